"""The three policies of finding out who calls."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from lambent.http.messages import Headers, Request, RequestHead
from lambent.iam.authentication import AcceptAnyKey, Authenticate, Caller, VerifyEnvironment, VerifySignatures
from lambent.iam.identities import Identities, root_principal
from lambent.iam.principal import Credentials
from lambent.iam.refusals import WireFamily
from lambent.iam.sessions import SessionIssuer
from lambent.iam.sigv4 import payload_digest
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId, Region
from lambent.testing.clock import ManualClock
from lambent.testing.store import MemoryStore

ACCOUNT, REGION = AccountId("000000000000"), Region("us-east-1")
ROLE = "arn:aws:iam::123456789012:role/my-role"
FUNCTION_ARN = "arn:aws:sts::123456789012:assumed-role/my-role/my-fn"


@pytest.fixture
async def identities(store: MemoryStore) -> AsyncIterator[Identities]:
    identities = await Identities.load(store)
    yield identities
    await identities.close()


@pytest.fixture
def now() -> float:
    return time.time()


@pytest.fixture
def sessions() -> SessionIssuer:
    return SessionIssuer(b"s" * 32)


def signed_by(credentials: Credentials, *, region: str = "eu-west-1", body: bytes = b"{}") -> Request:
    request = AWSRequest("POST", "http://127.0.0.1:4566/path", data=body)
    key = BotocoreCredentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
    SigV4Auth(key, "lambda", region).add_auth(request)
    fields = [(name.lower(), str(value)) for name, value in request.headers.items()]
    fields.append(("host", "127.0.0.1:4566"))
    return Request(RequestHead("POST", "/path", "/path", "", Headers(tuple(fields))), body)


def unsigned() -> Request:
    return Request(RequestHead("GET", "/", "/", "", Headers((("host", "h"),))), b"")


def code(policy: Authenticate, request: Request, family: WireFamily = WireFamily.REST_JSON) -> str:
    with pytest.raises(ServiceError) as raised:
        policy.authenticate(request, family)
    return raised.value.code


def test_without_authentication_the_default_account_is_root(sessions: SessionIssuer) -> None:
    policy = AcceptAnyKey(sessions, ACCOUNT, REGION)
    assert policy.authenticate(unsigned(), WireFamily.QUERY) == Caller(root_principal(ACCOUNT), REGION, None)
    caller = policy.authenticate(signed_by(Credentials("test", "test")), WireFamily.QUERY)
    assert caller == Caller(root_principal(ACCOUNT, "test"), Region("eu-west-1"), "lambda")
    assert caller.account == ACCOUNT
    assert not policy.covers_body(signed_by(Credentials("test", "test")).head)


def test_without_authentication_a_12_digit_key_names_the_account(sessions: SessionIssuer) -> None:
    caller = AcceptAnyKey(sessions, ACCOUNT, REGION).authenticate(
        signed_by(Credentials("111122223333", "x")), WireFamily.QUERY
    )
    assert caller.principal.arn == "arn:aws:iam::111122223333:root"
    assert caller.account == "111122223333"


@pytest.mark.parametrize("authorization", ["Bearer x", "AWS4-HMAC-SHA256 Credential=a/b", "", "AWS x:y"])
def test_without_authentication_nonsense_passes(sessions: SessionIssuer, authorization: str) -> None:
    request = Request(RequestHead("GET", "/", "/", "", Headers((("authorization", authorization),))), b"")
    caller = AcceptAnyKey(sessions, ACCOUNT, REGION).authenticate(request, WireFamily.QUERY)
    assert (caller.account, caller.region) == (ACCOUNT, REGION)


def test_without_authentication_own_sessions_are_recognised(sessions: SessionIssuer) -> None:
    policy = AcceptAnyKey(sessions, ACCOUNT, REGION)
    credentials, principal = sessions.assume_role(ROLE, "my-fn", 900)
    assert policy.authenticate(signed_by(credentials), WireFamily.QUERY).principal == principal
    foreign, _ = SessionIssuer(b"x" * 32).assume_role(ROLE, "my-fn", 900)
    assert policy.authenticate(signed_by(foreign), WireFamily.QUERY).account == ACCOUNT
    over, _ = sessions.assume_role(ROLE, "my-fn", -1)
    assert code(policy, signed_by(over)) == "ExpiredTokenException"


async def test_verifies_access_keys(identities: Identities, sessions: SessionIssuer) -> None:
    policy = VerifySignatures(identities, sessions)
    key = await identities.create(root_principal(ACCOUNT))
    assert policy.authenticate(signed_by(key.credentials), WireFamily.REST_JSON) == Caller(
        key.principal, Region("eu-west-1"), "lambda"
    )
    assert policy.covers_body(signed_by(key.credentials).head)
    request = signed_by(key.credentials, body=b"data")
    policy.authenticate(request, WireFamily.REST_JSON, payload_digest(b"data"))
    with pytest.raises(ServiceError):
        policy.authenticate(request, WireFamily.REST_JSON, payload_digest(b"other"))


async def test_refuses_what_it_cannot_verify(identities: Identities, sessions: SessionIssuer) -> None:
    policy = VerifySignatures(identities, sessions)
    key = await identities.create(root_principal(ACCOUNT))
    wrong = Credentials(key.access_key_id, "wrong")
    assert code(policy, unsigned()) == "MissingAuthenticationTokenException"
    assert code(policy, unsigned(), WireFamily.QUERY) == "MissingAuthenticationToken"
    assert code(policy, signed_by(Credentials("test", "test"))) == "UnrecognizedClientException"
    assert code(policy, signed_by(Credentials("test", "test")), WireFamily.QUERY) == "InvalidClientTokenId"
    assert code(policy, signed_by(wrong)) == "InvalidSignatureException"
    assert code(policy, signed_by(wrong), WireFamily.QUERY) == "SignatureDoesNotMatch"
    await identities.set_active(key.access_key_id, False)
    assert code(policy, signed_by(key.credentials)) == "UnrecognizedClientException"


async def test_verifies_sessions(identities: Identities, sessions: SessionIssuer) -> None:
    policy = VerifySignatures(identities, sessions)
    credentials, principal = sessions.assume_role(ROLE, "my-fn", 900)
    assert policy.authenticate(signed_by(credentials), WireFamily.REST_JSON).principal == principal
    token, key_id = credentials.session_token, credentials.access_key_id
    assert code(policy, signed_by(Credentials(key_id, "wrong", token))) == "InvalidSignatureException"
    assert code(policy, signed_by(Credentials(key_id, credentials.secret_access_key))) == "UnrecognizedClientException"
    foreign, _ = SessionIssuer(b"x" * 32).assume_role(ROLE, "my-fn", 900)
    assert code(policy, signed_by(foreign)) == "UnrecognizedClientException"
    over, _ = sessions.assume_role(ROLE, "my-fn", -1)
    assert code(policy, signed_by(over)) == "ExpiredTokenException"
    assert code(policy, signed_by(over), WireFamily.QUERY) == "ExpiredToken"


async def test_an_access_key_gains_nothing_from_a_token(identities: Identities, sessions: SessionIssuer) -> None:
    policy = VerifySignatures(identities, sessions)
    key = await identities.create(root_principal(ACCOUNT))
    session, _ = sessions.assume_role(ROLE, "my-fn", 900)
    mixed = Credentials(key.access_key_id, key.secret_access_key, session.session_token)
    assert code(policy, signed_by(mixed)) == "UnrecognizedClientException"


async def test_verifies_presigned_requests(identities: Identities, sessions: SessionIssuer) -> None:
    credentials, principal = sessions.assume_role(ROLE, "my-fn", 900)
    request = AWSRequest("GET", "http://h/?Action=GetCallerIdentity")
    key = BotocoreCredentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
    SigV4QueryAuth(key, "sts", "us-east-1", expires=60).add_auth(request)
    query = str(request.url).partition("?")[2]
    received = Request(RequestHead("GET", f"/?{query}", "/", query, Headers((("host", "h"),))), b"")
    caller = VerifySignatures(identities, sessions).authenticate(received, WireFamily.QUERY)
    assert (caller.principal, caller.service) == (principal, "sts")


async def test_skew_is_wider_for_query_services(identities: Identities, sessions: SessionIssuer, now: float) -> None:
    key = await identities.create(root_principal(ACCOUNT))
    clock = ManualClock(now + 600)
    policy = VerifySignatures(identities, sessions, clock.now)
    request = signed_by(key.credentials)
    policy.authenticate(request, WireFamily.QUERY)
    assert code(policy, request, WireFamily.REST_JSON) == "InvalidSignatureException"
    clock.advance(400)
    assert code(policy, request, WireFamily.QUERY) == "SignatureDoesNotMatch"
    assert code(policy, request, WireFamily.S3) == "RequestTimeTooSkewed"


async def test_inside_an_environment_only_its_own_credentials_pass(
    identities: Identities, sessions: SessionIssuer
) -> None:
    policy = VerifyEnvironment(sessions, FUNCTION_ARN)
    own, principal = sessions.assume_role(ROLE, "my-fn", 900)
    assert policy.authenticate(signed_by(own), WireFamily.REST_JSON).principal == principal
    assert policy.covers_body(signed_by(own).head)
    derived, _ = sessions.assume_role("arn:aws:iam::123456789012:role/other", "s", 900, source=FUNCTION_ARN)
    policy.authenticate(signed_by(derived), WireFamily.REST_JSON)
    key = await identities.create(root_principal(ACCOUNT))
    refused = [
        sessions.assume_role(ROLE, "other-fn", 900)[0],
        sessions.assume_role("arn:aws:iam::123456789012:role/other", "my-fn", 900)[0],
        sessions.assume_role(ROLE.replace("1234", "9999"), "my-fn", 900)[0],
        SessionIssuer(b"x" * 32).assume_role(ROLE, "my-fn", 900)[0],
        key.credentials,
        Credentials("test", "test"),
        Credentials("123456789012", "test"),
    ]
    for credentials in refused:
        assert code(policy, signed_by(credentials)) == "UnrecognizedClientException"
    assert code(policy, unsigned()) == "MissingAuthenticationTokenException"
    assert code(policy, signed_by(sessions.assume_role(ROLE, "my-fn", -1)[0])) == "ExpiredTokenException"
    wrong = Credentials(own.access_key_id, "wrong", own.session_token)
    assert code(policy, signed_by(wrong)) == "InvalidSignatureException"


@pytest.mark.parametrize("authorization", ["Bearer x", "AWS4-HMAC-SHA256 x"])
def test_asking_whether_the_body_matters_never_raises(sessions: SessionIssuer, authorization: str) -> None:
    head = RequestHead("GET", "/", "/", "", Headers((("authorization", authorization),)))
    assert not VerifyEnvironment(sessions, FUNCTION_ARN).covers_body(head)
