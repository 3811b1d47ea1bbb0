"""Who one is, whose roles one may take, and what a session is good for: boto3 against the verified endpoint."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "000000000000"


def trust(principal: object) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as raised:
        call(**params)
    response: Any = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


@pytest.fixture(scope="module")
def role(strict_server: Any) -> str:
    """A role that its account may assume."""
    iam = strict_server.as_root("iam")
    made = iam.create_role(RoleName="worker", Path="/x/", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
    return str(made["Role"]["Arn"])


def assume(sts: Any, role: str, **params: Any) -> Any:
    return sts.assume_role(RoleArn=role, RoleSessionName="me", **params)


def test_root(strict_server: Any) -> None:
    identity = strict_server.as_root("sts").get_caller_identity()
    identity.pop("ResponseMetadata")
    assert identity == {"UserId": ACCOUNT, "Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"}


def test_the_wrong_credentials(strict_server: Any) -> None:
    root = strict_server.root
    sts = strict_server.client("sts", root.access_key_id, "wrong")
    code, status, message = refused(sts.get_caller_identity)
    assert (code, status) == ("SignatureDoesNotMatch", 403)
    assert message.startswith("The request signature we calculated does not match the signature you provided.")
    sts = strict_server.client("sts", "AKIAQAAAAAAAAAAAAAAA", "x")
    expected = ("InvalidClientTokenId", 403, "The security token included in the request is invalid.")
    assert refused(sts.get_caller_identity) == expected
    sts = strict_server.client("sts", root.access_key_id, root.secret_access_key, "token")
    assert refused(sts.get_caller_identity) == expected


def test_no_credentials(strict_server: Any, open_server: Any) -> None:
    query = "/?Action=GetCallerIdentity&Version=2011-06-15"
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(strict_server.url + query)
    assert raised.value.code == 403
    text = raised.value.read().decode()
    assert "<Code>MissingAuthenticationToken</Code>" in text
    assert "<Message>Request is missing Authentication Token</Message>" in text
    with urllib.request.urlopen(open_server.url + query) as response:
        assert f"<Arn>arn:aws:iam::{ACCOUNT}:root</Arn>" in response.read().decode()


def test_without_authentication_an_account_is_a_key_id(open_server: Any) -> None:
    sts = open_server.client("sts", "111122223333", "anything")
    assert sts.get_caller_identity()["Arn"] == "arn:aws:iam::111122223333:root"
    assert open_server.client("sts", "test", "test").get_caller_identity()["Account"] == ACCOUNT


def test_a_presigned_url_is_good_without_credentials(strict_server: Any) -> None:
    url = strict_server.as_root("sts").generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    with urllib.request.urlopen(url) as response:
        assert f"<Arn>arn:aws:iam::{ACCOUNT}:root</Arn>" in response.read().decode()
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url.replace("2011-06-15", "2011-06-16"))


def test_assuming_a_role(strict_server: Any, role: str) -> None:
    answer = assume(strict_server.as_root("sts"), role, DurationSeconds=900)
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/me"
    credentials = answer["Credentials"]
    left = credentials["Expiration"] - datetime.now(UTC)
    assert timedelta(seconds=890) < left <= timedelta(seconds=900)
    sts = strict_server.with_session("sts", credentials)
    identity = sts.get_caller_identity()
    assert identity["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert identity["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    role_id = strict_server.as_root("iam").get_role(RoleName="worker")["Role"]["RoleId"]
    assert identity["UserId"] == f"{role_id}:me"
    assert assume(sts, role)["AssumedRoleUser"]["Arn"] == identity["Arn"]
    assert refused(sts.get_session_token)[:2] == ("AccessDenied", 403)


def test_session_durations(strict_server: Any, role: str) -> None:
    sts = strict_server.as_root("sts")
    assert refused(assume, sts=sts, role=role, DurationSeconds=3601) == (
        "ValidationError", 400, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )  # fmt: skip
    root = strict_server.root
    lax = strict_server.client("sts", root.access_key_id, root.secret_access_key, parameter_validation=False)
    assert refused(assume, sts=lax, role=role, DurationSeconds=899)[:2] == ("ValidationError", 400)
    strict_server.as_root("iam").update_role(RoleName="worker", MaxSessionDuration=43_200)
    credentials = assume(sts, role, DurationSeconds=43_200)["Credentials"]
    chained = strict_server.with_session("sts", credentials)
    assert refused(assume, sts=chained, role=role, DurationSeconds=3601) == (
        "ValidationError",
        400,
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
    )


def test_roles_that_cannot_be_assumed(strict_server: Any) -> None:
    iam, sts = strict_server.as_root("iam"), strict_server.as_root("sts")
    service = trust({"Service": "lambda.amazonaws.com"})
    arns = [
        iam.create_role(RoleName="service", AssumeRolePolicyDocument=service)["Role"]["Arn"],
        iam.create_role(RoleName="other", AssumeRolePolicyDocument=trust({"AWS": "111122223333"}))["Role"]["Arn"],
        f"arn:aws:iam::{ACCOUNT}:role/absent",
        "arn:aws:iam::111122223333:role/absent",
    ]
    for arn in arns:
        user = f"arn:aws:iam::{ACCOUNT}:root"
        message = f"User: {user} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        assert refused(assume, sts=sts, role=arn) == ("AccessDenied", 403, message)
    nonsense = "nonsense-that-is-long-enough"
    assert refused(assume, sts=sts, role=nonsense) == ("ValidationError", 400, f"{nonsense} is invalid")


def test_what_would_narrow_a_session_is_not_ignored(strict_server: Any, role: str) -> None:
    sts = strict_server.as_root("sts")
    assert refused(assume, sts=sts, role=role, Policy="{}")[0] == "MalformedPolicyDocument"
    unknown = [{"arn": "arn:aws:iam::aws:policy/Unheard"}]
    assert refused(assume, sts=sts, role=role, PolicyArns=unknown)[0] == "MalformedPolicyDocument"
    assert refused(assume, sts=sts, role=role, SerialNumber="123456789", TokenCode="123456")[1] == 501


def test_a_session_of_oneself(strict_server: Any) -> None:
    credentials = strict_server.as_root("sts").get_session_token()["Credentials"]
    assert credentials["Expiration"] - datetime.now(UTC) <= timedelta(hours=1)
    sts = strict_server.with_session("sts", credentials)
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert refused(sts.get_session_token)[2] == "Cannot call GetSessionToken with session credentials"


def test_whose_a_key_is(strict_server: Any, role: str) -> None:
    sts = strict_server.as_root("sts")
    credentials = assume(sts, role)["Credentials"]
    for key in (strict_server.root.access_key_id, credentials["AccessKeyId"]):
        assert sts.get_access_key_info(AccessKeyId=key)["Account"] == ACCOUNT
    assert refused(sts.get_access_key_info, AccessKeyId="AKIA1111111111111111")[0] == "ValidationError"


def test_sessions_and_keys_outlive_the_server(start_identity: Any, tmp_path: Path) -> None:
    first = start_identity(auth="sigv4", data=tmp_path)
    made = first.as_root("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
    credentials = assume(first.as_root("sts"), made["Role"]["Arn"])["Credentials"]
    first.close()
    second = start_identity(auth="sigv4", data=tmp_path)
    assert second.root == first.root
    file = configparser.ConfigParser()
    file.read(tmp_path / "credentials")
    sts = second.client("sts", file["default"]["aws_access_key_id"], file["default"]["aws_secret_access_key"])
    assert sts.get_caller_identity()["Arn"].endswith(":root")
    assert second.with_session("sts", credentials).get_caller_identity()["Arn"].endswith(":assumed-role/r/me")
    assert [role["RoleName"] for role in second.as_root("iam").list_roles()["Roles"]] == ["r"]


def test_inside_an_environment(start_identity: Any) -> None:
    own_arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/my-role/my-fn"
    server = start_identity(auth=own_arn)

    def session(role: str, name: str) -> Any:
        credentials, _ = server.sessions.assume_role(f"arn:aws:iam::{ACCOUNT}:role/{role}", name, 900)
        secret, token = credentials.secret_access_key, credentials.session_token
        return server.client("sts", credentials.access_key_id, secret, token)

    assert session("my-role", "my-fn").get_caller_identity()["Arn"] == own_arn
    others = [session("my-role", "other-fn"), session("other", "my-fn"), server.as_root("sts")]
    for other in [*others, server.client("sts", ACCOUNT, "x")]:
        assert refused(other.get_caller_identity)[:2] == ("InvalidClientTokenId", 403)


def test_the_aws_cli_with_the_credentials_file(start_identity: Any, tmp_path: Path) -> None:
    """The file made at first start is all that the aws CLI needs."""
    server = start_identity(auth="sigv4", data=tmp_path)
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_ENDPOINT_URL": server.url,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    aws = Path(sys.executable).with_name("aws")
    done = subprocess.run(
        [aws, "sts", "get-caller-identity"], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout)["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
