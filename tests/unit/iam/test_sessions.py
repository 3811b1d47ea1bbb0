"""Temporary credentials: minted without a store, good on any node with the secret, for nobody else and no longer."""

from __future__ import annotations

import base64

import pytest

from lambent.iam.identities import root_principal
from lambent.iam.refusals import Refusal, SignatureError
from lambent.iam.sessions import RoleArn, SessionIssuer, load_secret, parse_role_arn
from lambent.model.ids import AccountId
from lambent.testing.clock import ManualClock
from lambent.testing.store import MemoryStore

ROLE = "arn:aws:iam::123456789012:role/service-role/my-role"


def refusal(sessions: SessionIssuer, access_key_id: str, token: str) -> Refusal:
    with pytest.raises(SignatureError) as raised:
        sessions.verify(access_key_id, token)
    return raised.value.refusal


def test_a_role_session(sessions: SessionIssuer, clock: ManualClock) -> None:
    credentials, principal = sessions.assume_role(ROLE, "my-fn", 3600, role_id="AROAX", source="lambda.amazonaws.com")
    assert principal.arn == "arn:aws:sts::123456789012:assumed-role/my-role/my-fn"
    assert principal.user_id == "AROAX:my-fn"
    assert principal.account == "123456789012"
    assert principal.access_key_id == credentials.access_key_id
    assert credentials.access_key_id.startswith("ASIA")
    assert len(credentials.secret_access_key) == 40
    assert credentials.expires_at == clock.now() + 3600
    assert credentials.session_token is not None
    session = sessions.verify(credentials.access_key_id, credentials.session_token)
    assert session.principal == principal
    assert session.secret_access_key == credentials.secret_access_key
    assert (session.role_arn, session.session_name, session.source) == (ROLE, "my-fn", "lambda.amazonaws.com")
    assert (session.issued_at, session.expires_at) == (clock.now(), clock.now() + 3600)


def test_a_role_that_is_not_stored_has_an_id_all_the_same(sessions: SessionIssuer) -> None:
    ids = {sessions.assume_role(ROLE, "s", 900)[1].user_id for _ in range(3)}
    assert len(ids) == 1
    assert ids.pop().startswith("AROA")


def test_sessions_are_different_each_time(sessions: SessionIssuer) -> None:
    one, other = (sessions.assume_role(ROLE, "my-fn", 900)[0] for _ in range(2))
    assert one.session_token != other.session_token
    assert one.secret_access_key != other.secret_access_key


def test_a_session_ends(sessions: SessionIssuer, clock: ManualClock) -> None:
    credentials, _ = sessions.assume_role(ROLE, "my-fn", 900)
    token = credentials.session_token or ""
    clock.advance(899)
    sessions.verify(credentials.access_key_id, token)
    clock.advance(1)
    assert refusal(sessions, credentials.access_key_id, token) is Refusal.SESSION_EXPIRED
    with pytest.raises(SignatureError, match=r"^The security token included in the request is expired$"):
        sessions.verify(credentials.access_key_id, token)
    sessions.verify(credentials.access_key_id, token, now=clock.now() - 1)


def test_another_node_with_the_secret_verifies_it(sessions: SessionIssuer, clock: ManualClock) -> None:
    credentials, principal = sessions.assume_role(ROLE, "my-fn", 900)
    elsewhere = SessionIssuer(b"s" * 32, clock.now).verify(credentials.access_key_id, credentials.session_token or "")
    assert (elsewhere.principal, elsewhere.secret_access_key) == (principal, credentials.secret_access_key)


def test_another_installation_does_not(sessions: SessionIssuer, clock: ManualClock) -> None:
    credentials, _ = sessions.assume_role(ROLE, "my-fn", 900)
    foreign = SessionIssuer(b"t" * 32, clock.now)
    assert refusal(foreign, credentials.access_key_id, credentials.session_token or "") is Refusal.UNKNOWN_KEY


def test_a_token_is_only_good_with_its_key_id(sessions: SessionIssuer) -> None:
    one, other = (sessions.assume_role(ROLE, "my-fn", 900)[0] for _ in range(2))
    assert refusal(sessions, other.access_key_id, one.session_token or "") is Refusal.UNKNOWN_KEY


def test_every_changed_character_is_refused(sessions: SessionIssuer) -> None:
    credentials, _ = sessions.assume_role(ROLE, "my-fn", 900)
    token = credentials.session_token or ""
    for at, character in enumerate(token):
        for other in {"A", "B", "Q", "_", "="} - {character}:
            forged = token[:at] + other + token[at + 1 :]
            assert refusal(sessions, credentials.access_key_id, forged) is Refusal.UNKNOWN_KEY


@pytest.mark.parametrize(
    "token", ["", "x", "é", "AQ==", "AAAA" * 30, "A" * 100_000, base64.b64encode(b"\x01[]").decode()]
)
def test_refuses_what_is_no_token(sessions: SessionIssuer, token: str) -> None:
    assert refusal(sessions, "ASIAQAAAAAAAAAAAAAAA", token) is Refusal.UNKNOWN_KEY


def test_a_shortened_or_lengthened_token_is_refused(sessions: SessionIssuer) -> None:
    credentials, _ = sessions.assume_role(ROLE, "my-fn", 900)
    token = credentials.session_token or ""
    for forged in (token[:-1], token + "A", token + "=", token[1:], token + "\n"):
        assert refusal(sessions, credentials.access_key_id, forged) is Refusal.UNKNOWN_KEY


def test_a_session_of_oneself(sessions: SessionIssuer) -> None:
    credentials, principal = sessions.session_token(root_principal(AccountId("123456789012"), "AKIAX"), 900)
    assert (principal.arn, principal.access_key_id) == ("arn:aws:iam::123456789012:root", credentials.access_key_id)
    assert sessions.verify(credentials.access_key_id, credentials.session_token or "").role_arn is None


@pytest.mark.parametrize(
    ("arn", "name"), [("my-role", "s"), (ROLE.replace("iam", "sts"), "s"), (ROLE, ""), (ROLE, "a/b")]
)
def test_mints_nothing_for_what_is_no_role_or_name(sessions: SessionIssuer, arn: str, name: str) -> None:
    with pytest.raises(ValueError, match="not a role"):
        sessions.assume_role(arn, name, 900)


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        (ROLE, RoleArn(AccountId("123456789012"), "/service-role/", "my-role")),
        ("arn:aws:iam::123456789012:role/r", RoleArn(AccountId("123456789012"), "/", "r")),
        ("arn:aws-cn:iam::123456789012:role/a/b/r", RoleArn(AccountId("123456789012"), "/a/b/", "r")),
        ("arn:aws:iam::12345678901:role/r", None),
        ("arn:aws:iam::123456789012:user/r", None),
        ("arn:aws:iam::123456789012:role/", None),
        ("arn:aws:iam::123456789012:role/r\n", None),
    ],
)
def test_role_arns(arn: str, expected: RoleArn | None) -> None:
    assert parse_role_arn(arn) == expected


async def test_the_secret_is_made_once(store: MemoryStore) -> None:
    secret = await load_secret(store)
    assert len(secret) == 32
    assert await load_secret(store) == secret


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SessionIssuer(b"short")


def test_secrets_are_not_shown(sessions: SessionIssuer) -> None:
    credentials, _ = sessions.assume_role(ROLE, "my-fn", 900)
    session = sessions.verify(credentials.access_key_id, credentials.session_token or "")
    shown = repr(credentials) + repr(session)
    assert credentials.secret_access_key not in shown
    assert (credentials.session_token or "") not in shown
