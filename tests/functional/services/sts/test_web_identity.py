"""AssumeRoleWithWebIdentity, with a real issuer: an https server with a discovery document, keys, and signed tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import jwt
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lambent.http import tls

ACCOUNT = "000000000000"
AUDIENCE = "sts.amazonaws.com"


@dataclass
class Issuer:
    """An OpenID Connect provider. `asked`: the paths that were fetched."""

    url: str
    authority: Path
    thumbprint: str
    keys: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def new_key(self, key_id: str, curve: bool = False) -> None:
        self.keys[key_id] = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, 2048)

    def token(self, key_id: str = "one", *, signed_by: str | None = None, **claims: Any) -> str:
        now = int(time.time())
        document = {"iss": self.url, "sub": "repo:me/mine", "aud": AUDIENCE, "iat": now, "exp": now + 300} | claims
        key = self.keys[signed_by or key_id]
        algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
        return jwt.encode({k: v for k, v in document.items() if v is not None}, key, algorithm, {"kid": key_id})

    def document(self, path: str) -> dict[str, Any] | None:
        if path == "/realm/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if path == "/realm/keys":
            return {"keys": [_public(key_id, key) for key_id, key in self.keys.items()]}
        return None


def _public(key_id: str, key: Any) -> dict[str, Any]:
    algorithm: Any = jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else (
        jwt.algorithms.RSAAlgorithm
    )  # fmt: skip
    public: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return public | {"kid": key_id, "use": "sig"}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    authority, certificate, key = tls.self_made(tmp_path_factory.mktemp("issuer"), ["localhost", "127.0.0.1"])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            document = found.document(self.path)
            body = json.dumps(document).encode()
            self.send_response(200 if document is not None else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    leaf = ssl.PEM_cert_to_DER_cert(certificate.read_text()[: certificate.read_text().index("-----END") + 25])
    found = Issuer(f"https://localhost:{server.server_port}/realm", authority, hashlib.sha1(leaf).hexdigest())
    found.new_key("one")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(start_identity: Any) -> Any:
    return start_identity(auth="sigv4", enforce=True)


@pytest.fixture
def provider(server: Any, issuer: Issuer) -> str:
    answer = server.as_root("iam").create_open_id_connect_provider(
        Url=issuer.url, ClientIDList=[AUDIENCE], ThumbprintList=[issuer.thumbprint]
    )
    arn: str = answer["OpenIDConnectProviderArn"]
    return arn


@pytest.fixture
def anonymous(server: Any) -> Iterator[Any]:
    make: Any = boto3.client
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    client = make("sts", endpoint_url=server.url, region_name="eu-west-1", config=config)
    yield client
    client.close()


def role(server: Any, provider: str, condition: dict[str, Any], **more: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": more.get("actions", "sts:AssumeRoleWithWebIdentity"),
        "Condition": condition,
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam = server.as_root("iam")
    arn: str = iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    allow = {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}
    iam.put_role_policy(
        RoleName="deploy",
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
    )
    return arn


def only_mine(issuer: Issuer) -> dict[str, Any]:
    name = issuer.url.removeprefix("https://")
    return {"StringEquals": {f"{name}:aud": AUDIENCE}, "StringLike": {f"{name}:sub": "repo:me/*"}}


def refused(client: Any, arn: str, token: str, **more: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        client.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="ci", WebIdentityToken=token, **more)
    error: Any = raised.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_token_becomes_a_session(server: Any, issuer: Issuer, provider: str, anonymous: Any) -> None:
    arn = role(server, provider, only_mine(issuer))
    answer = anonymous.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="ci", WebIdentityToken=issuer.token())
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ci"
    assert answer["SubjectFromWebIdentityToken"] == "repo:me/mine"
    assert (answer["Audience"], answer["Provider"]) == (AUDIENCE, provider)
    session = server.with_session("iam", answer["Credentials"])
    assert session.list_users()["Users"] == []
    with pytest.raises(ClientError, match="AccessDenied"):
        session.list_roles()


def test_a_certificate_of_a_trusted_authority_needs_no_thumbprint(
    start_identity: Any, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(issuer.authority))
    server = start_identity(auth="sigv4", enforce=True)
    iam = server.as_root("iam")
    iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=[AUDIENCE])
    arn = f"arn:aws:iam::{ACCOUNT}:role/none"
    assert refused(server.as_root("sts"), arn, issuer.token())[0] == "AccessDenied"


def test_what_is_not_trusted_is_refused(server: Any, issuer: Issuer, provider: str, anonymous: Any) -> None:
    arn = role(server, provider, only_mine(issuer))
    not_trusted = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    assert refused(anonymous, arn, issuer.token(sub="repo:you/yours")) == not_trusted
    assert refused(anonymous, f"arn:aws:iam::{ACCOUNT}:role/none", issuer.token()) == not_trusted
    wrong_audience = issuer.token(aud="somebody.else")
    assert refused(anonymous, arn, wrong_audience) == ("InvalidIdentityToken", "Incorrect token audience")
    assert refused(anonymous, arn, issuer.token(azp="a-party")) == ("InvalidIdentityToken", "Incorrect token audience")
    assert refused(anonymous, arn, issuer.token(exp=int(time.time()) - 5))[0] == "ExpiredTokenException"
    assert refused(anonymous, arn, issuer.token(exp=None))[0] == "InvalidIdentityToken"
    assert refused(anonymous, arn, "nonsense")[0] == "InvalidIdentityToken"
    assert refused(anonymous, arn, issuer.token(), DurationSeconds=7200)[0] == "ValidationError"


def test_a_forged_token_is_refused(server: Any, issuer: Issuer, provider: str, anonymous: Any) -> None:
    arn = role(server, provider, only_mine(issuer))
    code = "InvalidIdentityToken"
    head, _, signature = issuer.token(sub="repo:you/yours").split(".")
    mine = issuer.token().split(".")[1]
    assert refused(anonymous, arn, f"{head}.{mine}.{signature}")[0] == code
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"one"}').rstrip(b"=").decode()
    assert refused(anonymous, arn, f"{none}.{mine}.")[0] == code
    public = _public("one", issuer.keys["one"])
    shared = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=").decode()
    assert refused(anonymous, arn, f"{shared}.{mine}.{public['n'][:43]}")[0] == code
    stranger = Issuer(issuer.url, issuer.authority, issuer.thumbprint)
    stranger.new_key("one")
    assert refused(anonymous, arn, stranger.token())[0] == code


def test_a_new_key_is_found_and_kept(server: Any, issuer: Issuer, provider: str, anonymous: Any) -> None:
    arn = role(server, provider, only_mine(issuer))
    issuer.new_key("curve", curve=True)
    call = anonymous.assume_role_with_web_identity
    call(RoleArn=arn, RoleSessionName="ci", WebIdentityToken=issuer.token("curve"))
    asked = len(issuer.asked)
    call(RoleArn=arn, RoleSessionName="ci", WebIdentityToken=issuer.token("one"))
    assert len(issuer.asked) == asked
    assert refused(anonymous, arn, issuer.token("unknown", signed_by="one"))[0] == "InvalidIdentityToken"


def test_session_tags_come_with_the_token(server: Any, issuer: Issuer, provider: str, anonymous: Any) -> None:
    condition = {"StringEquals": {"aws:RequestTag/team": "blue"}}
    actions = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
    arn = role(server, provider, condition, actions=actions)
    tags: dict[str, Any] = {
        "https://aws.amazon.com/tags": {"principal_tags": {"team": ["blue"]}, "transitive_tag_keys": ["team"]}
    }
    answer = anonymous.assume_role_with_web_identity(
        RoleArn=arn,
        RoleSessionName="ci",
        WebIdentityToken=issuer.token(**tags, **{"https://aws.amazon.com/source_identity": "ada"}),
    )
    assert answer["SourceIdentity"] == "ada"
    assert answer["PackedPolicySize"] > 0
    assert refused(anonymous, arn, issuer.token())[0] == "AccessDenied"


def test_an_issuer_that_is_none_here_or_does_not_answer(server: Any, issuer: Issuer, anonymous: Any) -> None:
    token = issuer.token()
    arn = f"arn:aws:iam::{ACCOUNT}:role/x"
    message = f"No OpenIDConnect provider found in your account for {issuer.url}"
    assert refused(anonymous, arn, token) == ("InvalidIdentityToken", message)
    iam = server.as_root("iam")
    iam.create_open_id_connect_provider(Url="https://localhost:1/gone", ClientIDList=[AUDIENCE])
    assert refused(anonymous, arn, issuer.token(iss="https://localhost:1/gone"))[0] == "IDPCommunicationError"


def test_a_certificate_that_nobody_trusts(start_identity: Any, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start_identity(auth="sigv4", enforce=True)
    for prints in ([], ["0" * 40]):
        iam = server.as_root("iam")
        created = iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=[AUDIENCE], ThumbprintList=prints)
        arn = f"arn:aws:iam::{ACCOUNT}:role/x"
        assert refused(server.as_root("sts"), arn, issuer.token())[0] == "IDPCommunicationError"
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=created["OpenIDConnectProviderArn"])


def test_the_life_of_a_provider(start_identity: Any) -> None:
    iam = start_identity(auth="none").as_root("iam")
    created = iam.create_open_id_connect_provider(
        Url="https://token.actions.githubusercontent.com",
        ClientIDList=["a"],
        ThumbprintList=["A" * 40],
        Tags=[{"Key": "k", "Value": "v"}],
    )
    arn = created["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="b")
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="b")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="a")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["b" * 40])
    iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=[{"Key": "l", "Value": "w"}])
    iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=["k"])
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert found["Url"] == "token.actions.githubusercontent.com"
    assert (found["ClientIDList"], found["ThumbprintList"]) == (["b"], ["b" * 40])
    assert found["Tags"] == iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)["Tags"]
    assert found["Tags"] == [{"Key": "l", "Value": "w"}]
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == [{"Arn": arn}]
    with pytest.raises(ClientError, match="already exists"):
        iam.create_open_id_connect_provider(Url="https://token.actions.githubusercontent.com")
    for url in ("http://plain.example", "https://", "https://a.example?q=1"):
        with pytest.raises(ClientError, match=r"InvalidInput.*Invalid Open ID Connect Provider URL|ValidationError"):
            iam.create_open_id_connect_provider(Url=url)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
