"""What tools made for other local endpoints expect: any key, any region, health, one port for all services."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest

from lambent.testing.packages import zip_of
from lambent.testing.server import ROLE, RunningServer

pytestmark = pytest.mark.root


@pytest.mark.parametrize("path", ["/_lambent/health", "/_localstack/health"])
def test_health(server: RunningServer, path: str) -> None:
    server.health()  # has looked for runtimes
    with urllib.request.urlopen(server.url + path, timeout=10) as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
        told = json.load(response)
    assert told["services"] == dict.fromkeys(told["services"], "running")
    assert set(told["services"]) >= {"lambda", "logs", "iam", "sts"}
    assert (told["ready"], told["edition"], told["sandbox"]) == (True, "lambent", "linux")
    assert "python3.11" in told["runtimes"]
    request = urllib.request.Request(server.url + path, method="POST", data=b"{}")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    with refused.value as answer:
        assert answer.code == 405


@pytest.mark.parametrize(
    ("key", "account"),
    [
        ("test", "000000000000"),
        ("AKIAIOSFODNN7EXAMPLE", None),
        ("111111111111", "111111111111"),
    ],
)
def test_any_key_is_taken_and_twelve_digits_are_an_account(
    server: RunningServer, key: str, account: str | None
) -> None:
    session = boto3.Session(aws_access_key_id=key, aws_secret_access_key="x", region_name="eu-central-1")
    identity = session.client("sts", endpoint_url=server.url).get_caller_identity()
    assert identity["Account"] == (account or identity["Account"])
    assert identity["Arn"] == f"arn:aws:iam::{identity['Account']}:root"


def test_accounts_and_regions_do_not_see_each_other(server: RunningServer) -> None:
    def functions(key: str, region: str) -> Any:
        session = boto3.Session(aws_access_key_id=key, aws_secret_access_key="x", region_name=region)
        return session.client("lambda", endpoint_url=server.url)

    here = functions("222222222222", "eu-central-1")
    here.create_function(
        FunctionName="mine",
        Runtime="python3.11",
        Handler="app.handler",
        Role=ROLE.replace("000000000000", "222222222222"),
        Code={"ZipFile": zip_of({"app.py": "def handler(event, context): return context.invoked_function_arn"})},
    )
    here.get_waiter("function_active_v2").wait(FunctionName="mine")
    arn = "arn:aws:lambda:eu-central-1:222222222222:function:mine"
    assert json.load(here.invoke(FunctionName="mine")["Payload"]) == arn
    for other in (functions("222222222222", "us-east-1"), functions("333333333333", "eu-central-1")):
        assert other.list_functions()["Functions"] == []
        with pytest.raises(other.exceptions.ResourceNotFoundException):
            other.invoke(FunctionName="mine")
    here.delete_function(FunctionName="mine")


def test_settings_through_the_environment_alone(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in programs that know nothing of a local endpoint."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-1")
    session = boto3.Session()
    assert session.client("sts").get_caller_identity()["Account"] == "000000000000"
    assert session.client("lambda").list_functions()["Functions"] == []
    assert session.client("logs").describe_log_groups()["logGroups"] == []
    assert isinstance(session.client("iam").list_roles()["Roles"], list)
