"""`--auth sigv4 --iam enforce` over the real wire: who may do one thing does nothing else, and nobody else's key helps.

A whole server with functions in real sandboxes; refusals are AWS's, word for word.
"""

from __future__ import annotations

import configparser
import datetime as dt
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lambent.iam.access_key_ids import new_access_key_id
from lambent.model.ids import AccountId
from lambent.testing.packages import zip_of
from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

ACCOUNT = "000000000000"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:"
TRUST_LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
CALLS_AWS = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    client = boto3.client(event["service"])
    try:
        answer = getattr(client, event["operation"])(**event.get("parameters", {}))
    except ClientError as error:
        return {"refused": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    return {"done": True}
"""

Refusal = tuple[str, int, str]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


@dataclass
class Enforcing:
    """A running server with policies in force."""

    server: RunningServer
    root_key: str
    root_secret: str

    def client(self, service: str, key: str, secret: str, token: str | None = None) -> Any:
        return botocore.session.get_session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url=self.server.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
        )

    def as_root(self, service: str) -> Any:
        return self.client(service, self.root_key, self.root_secret)

    def user(self, name: str, *documents: str) -> Callable[[str], Any]:
        """Makes a user with these inline policies; the result makes its clients."""
        iam = self.as_root("iam")
        iam.create_user(UserName=name)
        for number, document in enumerate(documents):
            iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return lambda service: self.client(service, key["AccessKeyId"], key["SecretAccessKey"])

    def role(self, name: str, *documents: str, trust: dict[str, Any] = TRUST_LAMBDA) -> str:
        """Makes a role with these inline policies; its ARN."""
        iam = self.as_root("iam")
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
        for number, document in enumerate(documents):
            iam.put_role_policy(RoleName=name, PolicyName=f"p{number}", PolicyDocument=document)
        return arn

    def deploy(self, name: str, source: str, role: str) -> None:
        functions = self.as_root("lambda")
        functions.create_function(
            FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=role, MemorySize=256, Timeout=30,
            Code={"ZipFile": zip_of({"app.py": source})},
        )  # fmt: skip
        functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enforcing]:
    data = tmp_path_factory.mktemp("enforcing") / "data"
    with RunningServer(data, ("--auth", "sigv4")) as server:  # policies are in force by default then
        file = configparser.ConfigParser()
        file.read(data / "credentials")
        yield Enforcing(server, file["default"]["aws_access_key_id"], file["default"]["aws_secret_access_key"])


@pytest.fixture(scope="module")
def functions(enforcing: Enforcing) -> str:
    """Two functions, `one` and `two`, and their role, which may write logs; its ARN."""
    role = enforcing.role("writes-logs")
    enforcing.as_root("iam").attach_role_policy(RoleName="writes-logs", PolicyArn=BASIC)
    for name in ("one", "two"):
        enforcing.deploy(name, CALLS_AWS, role)
    return role


def refused(call: Callable[..., Any], **params: Any) -> Refusal:
    with pytest.raises(ClientError) as raised:
        call(**params)
    response: Any = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def denial(user: str, action: str, resource: str, why: str = "") -> str:
    why = why or f"because no identity-based policy allows the {action} action"
    return f"User: {user} is not authorized to perform: {action} on resource: {resource} {why}"


EVENT = json.dumps({"service": "sts", "operation": "get_caller_identity"})


def test_a_user_who_may_invoke_one_function_and_nothing_else(enforcing: Enforcing, functions: str) -> None:
    client = enforcing.user("invoker", policy(allow("lambda:InvokeFunction", FUNCTION + "one")))
    arn = f"arn:aws:iam::{ACCOUNT}:user/invoker"
    answer = client("lambda").invoke(FunctionName="one", Payload=EVENT)
    assert json.load(answer["Payload"]) == {"done": True}
    code = "AccessDeniedException"
    assert refused(client("lambda").invoke, FunctionName="two") == (
        code, 403, denial(arn, "lambda:InvokeFunction", FUNCTION + "two"),
    )  # fmt: skip
    assert refused(client("lambda").invoke, FunctionName="one", Qualifier="1") == (
        code, 403, denial(arn, "lambda:InvokeFunction", FUNCTION + "one:1"),
    )  # fmt: skip
    assert refused(client("lambda").list_functions) == (code, 403, denial(arn, "lambda:ListFunctions", "*"))
    assert refused(client("lambda").get_function, FunctionName="one") == (
        code, 403, denial(arn, "lambda:GetFunction", FUNCTION + "one"),
    )  # fmt: skip
    for call in (client("lambda").delete_function, client("lambda").get_policy):
        assert refused(call, FunctionName="one")[0] == code
    group = "/aws/lambda/one"
    assert refused(client("logs").filter_log_events, logGroupName=group)[:2] == (code, 400)
    assert refused(client("iam").list_access_keys) == ("AccessDenied", 403, denial(arn, "iam:ListAccessKeys", arn))
    assert client("sts").get_caller_identity()["Arn"] == arn  # which nobody can be denied


def test_a_change_of_policies_holds_from_the_next_request(enforcing: Enforcing, functions: str) -> None:
    client, iam = enforcing.user("changing")("lambda"), enforcing.as_root("iam")
    assert refused(client.list_functions)[0] == "AccessDeniedException"
    iam.create_group(GroupName="readers")
    iam.attach_group_policy(GroupName="readers", PolicyArn="arn:aws:iam::aws:policy/AWSLambda_ReadOnlyAccess")
    assert refused(client.list_functions)[0] == "AccessDeniedException"
    iam.add_user_to_group(UserName="changing", GroupName="readers")
    assert client.list_functions()["Functions"]
    iam.put_user_policy(UserName="changing", PolicyName="no", PolicyDocument=policy(
        {"Effect": "Deny", "Action": "lambda:List*", "Resource": "*"}
    ))  # fmt: skip
    arn = f"arn:aws:iam::{ACCOUNT}:user/changing"
    why = "with an explicit deny in an identity-based policy"
    assert refused(client.list_functions)[2] == denial(arn, "lambda:ListFunctions", "*", why)
    iam.delete_user_policy(UserName="changing", PolicyName="no")
    boundary = iam.create_policy(PolicyName="only-logs", PolicyDocument=policy(allow("logs:*")))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="changing", PermissionsBoundary=boundary)
    why = "because no permissions boundary allows the lambda:ListFunctions action"
    assert refused(client.list_functions)[2] == denial(arn, "lambda:ListFunctions", "*", why)
    version = policy(allow("lambda:*"))
    iam.create_policy_version(PolicyArn=boundary, PolicyDocument=version, SetAsDefault=True)
    assert client.list_functions()["Functions"]


def test_a_functions_role_limits_what_it_does(enforcing: Enforcing, functions: str) -> None:
    role = enforcing.role("invokes-two", policy(allow("lambda:InvokeFunction", FUNCTION + "two")))
    enforcing.deploy("caller", CALLS_AWS, role)

    def run(service: str, operation: str, **parameters: Any) -> Any:
        event = {"service": service, "operation": operation, "parameters": parameters}
        answer = enforcing.as_root("lambda").invoke(FunctionName="caller", Payload=json.dumps(event))
        return json.load(answer["Payload"])

    assert run("lambda", "invoke", FunctionName="two", Payload=EVENT) == {"done": True}
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/invokes-two/caller"
    assert run("lambda", "invoke", FunctionName="one") == {
        "refused": "AccessDeniedException",
        "message": denial(session, "lambda:InvokeFunction", FUNCTION + "one"),
    }
    assert run("iam", "list_users")["refused"] == "AccessDenied"
    create = {"logGroupName": "/mine"}
    assert run("logs", "create_log_group", **create)["refused"] == "AccessDeniedException"
    enforcing.as_root("iam").attach_role_policy(RoleName="invokes-two", PolicyArn=BASIC)
    assert run("logs", "create_log_group", **create) == {"done": True}


def test_a_confused_deputy(enforcing: Enforcing, functions: str) -> None:
    """Who may make functions cannot use them to do what only a stronger role may, nor get at others' roles."""
    admin = enforcing.role("admin", policy(allow("*")))
    document = policy(
        allow(["lambda:CreateFunction", "lambda:UpdateFunctionConfiguration", "lambda:InvokeFunction"]),
        allow("iam:PassRole", functions, Condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}),
    )
    client = enforcing.user("developer", document)
    arn = f"arn:aws:iam::{ACCOUNT}:user/developer"
    make = {
        "FunctionName": "deputy", "Runtime": "python3.11", "Handler": "app.handler",
        "Code": {"ZipFile": zip_of({"app.py": CALLS_AWS})},
    }  # fmt: skip
    message = denial(arn, "iam:PassRole", admin)
    assert refused(client("lambda").create_function, **make, Role=admin) == ("AccessDeniedException", 403, message)
    client("lambda").create_function(**make, Role=functions)
    change = client("lambda").update_function_configuration
    assert refused(change, FunctionName="deputy", Role=admin) == ("AccessDeniedException", 403, message)
    fetched = {"S3Bucket": "secrets", "S3Key": "keys.zip"}
    assert refused(client("lambda").create_function, **(make | {"Code": fetched}), Role=functions)[2] == denial(
        arn, "s3:GetObject", "arn:aws:s3:::secrets/keys.zip"
    )
    assert refused(client("sts").assume_role, RoleArn=admin, RoleSessionName="me")[:2] == ("AccessDenied", 403)


def test_roles_are_assumed_by_whom_both_sides_let(enforcing: Enforcing) -> None:
    account = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    external = account | {"Condition": {"StringEquals": {"sts:ExternalId": "shared-secret"}}}
    target = enforcing.role("target", policy(allow("lambda:List*")), trust=external)
    unlisted = enforcing.user("unlisted")("sts")
    listed = enforcing.user("listed", policy(allow("sts:AssumeRole", target)))("sts")
    assume = {"RoleArn": target, "RoleSessionName": "me", "ExternalId": "shared-secret"}
    arn = f"arn:aws:iam::{ACCOUNT}:user/unlisted"
    assert refused(unlisted.assume_role, **assume) == ("AccessDenied", 403, denial(arn, "sts:AssumeRole", target))
    assert refused(listed.assume_role, **(assume | {"ExternalId": "guess"}))[:2] == ("AccessDenied", 403)
    named = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}
    by_name = enforcing.role("by-name", trust=named)
    unlisted.assume_role(RoleArn=by_name, RoleSessionName="me")
    assert refused(listed.assume_role, RoleArn=by_name, RoleSessionName="me")[0] == "AccessDenied"
    session = listed.assume_role(**assume, Policy=policy(allow("lambda:GetAccountSettings")))["Credentials"]
    client = enforcing.client("lambda", session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    why = "because no session policy allows the lambda:ListFunctions action"
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/target/me"
    assert refused(client.list_functions)[2] == denial(arn, "lambda:ListFunctions", "*", why)
    assert refused(client.get_account_settings)[2] == denial(arn, "lambda:GetAccountSettings", "*")
    wide = listed.assume_role(**assume, Policy=policy(allow("*")))["Credentials"]
    client = enforcing.client("lambda", wide["AccessKeyId"], wide["SecretAccessKey"], wide["SessionToken"])
    client.list_functions()
    assert refused(client.get_account_settings)[0] == "AccessDeniedException"


def test_credentials_that_are_not_ones_own(enforcing: Enforcing, functions: str) -> None:
    """Stolen halves, foreign ones, tampered requests and tokens, expired and replayed signatures."""
    iam = enforcing.as_root("iam")
    enforcing.user("victim", policy(allow("*")))
    (key,) = iam.list_access_keys(UserName="victim")["AccessKeyMetadata"]
    code = "UnrecognizedClientException"
    assert refused(enforcing.client("lambda", key["AccessKeyId"], "guess").list_functions)[0] == (
        "InvalidSignatureException"
    )
    foreign = new_access_key_id("AKIA", AccountId(ACCOUNT))
    assert refused(enforcing.client("lambda", foreign, "x").list_functions)[:2] == (code, 403)
    role = enforcing.role(
        "short", policy(allow("*")),
        trust={"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"},
    )  # fmt: skip
    own = enforcing.as_root("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    secret, token = own["SecretAccessKey"], own["SessionToken"]
    tampered = token[:60] + ("A" if token[60] != "A" else "B") + token[61:]
    assert refused(enforcing.client("lambda", own["AccessKeyId"], secret, tampered).list_functions)[:2] == (code, 403)
    assert refused(enforcing.client("lambda", enforcing.root_key, enforcing.root_secret, token).list_functions)[:2] == (
        code, 403,
    )  # fmt: skip
    iam.update_access_key(UserName="victim", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert refused(enforcing.client("lambda", key["AccessKeyId"], "x").list_functions)[:2] == (code, 403)


def test_a_recorded_request_is_good_for_what_it_was_and_not_for_long(
    enforcing: Enforcing, functions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = enforcing.as_root("lambda")
    sent: list[Any] = []
    client.meta.events.register("before-send.lambda.GetFunction", lambda request, **_: sent.append(request))
    client.get_function(FunctionName="one")
    (request,) = sent
    replay = client._endpoint.http_session.send
    assert replay(request).status_code == 200  # within its five minutes, as on AWS
    request.url = request.url.replace("/one", "/two")
    assert replay(request).status_code == 403
    an_hour_ago = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(hours=1)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: an_hour_ago)
    code, status, message = refused(enforcing.as_root("lambda").list_functions)
    assert (code, status) == ("InvalidSignatureException", 403)
    assert message.startswith("Signature expired")


def test_decisions_are_in_the_audit_log(enforcing: Enforcing, functions: str) -> None:
    client = enforcing.user("audited", policy(allow("lambda:GetFunction", FUNCTION + "one")))("lambda")
    client.get_function(FunctionName="one")
    assert refused(client.get_function, FunctionName="two")[0] == "AccessDeniedException"
    path = enforcing.server.data_dir / "audit" / "decisions.jsonl"
    entries: list[Any] = []
    deadline = time.monotonic() + 10
    while len(entries) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        entries = [entry for entry in lines if entry["principal"].endswith("user/audited")]
    allowed, denied = entries
    assert (allowed["decision"], allowed["action"], allowed["resource"]) == (
        "allowed", "lambda:GetFunction", FUNCTION + "one",
    )  # fmt: skip
    assert allowed["statements"] == [{"policy": "p0", "sid": None, "number": 1}]
    assert (denied["decision"], denied["resource"]) == ("implicitDeny", FUNCTION + "two")
    assert denied["reason"] == "because no identity-based policy allows the lambda:GetFunction action"
    assert re.fullmatch(r"[0-9a-f-]{36}", denied["requestId"])
    assert Path(path).stat().st_mode & 0o077 == 0


def test_a_functions_own_policy_can_let_somebody_in(enforcing: Enforcing, functions: str) -> None:
    root = enforcing.as_root("lambda")
    other = enforcing.user("guest", policy(allow("lambda:InvokeFunction", FUNCTION + "two")))("lambda")
    root.add_permission(
        FunctionName="one", StatementId="guest", Action="lambda:InvokeFunction",
        Principal=f"arn:aws:iam::{ACCOUNT}:user/guest",
    )  # fmt: skip
    assert json.load(other.invoke(FunctionName="one", Payload=EVENT)["Payload"]) == {"done": True}
    root.remove_permission(FunctionName="one", StatementId="guest")
    assert refused(other.invoke, FunctionName="one")[0] == "AccessDeniedException"
