"""Tenant isolation: no environment is shared by two tenants, and the function knows whose event it handles."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import botocore.exceptions
import pytest

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

PYTHON = """
seen = []

def handler(event, context):
    seen.append(context.tenant_id)
    print("handling")
    return seen
"""
NODE = """
const seen = [];
exports.handler = async (event, context) => { seen.push(context.tenantId); return seen; };
"""
TENANT_MISSING = (
    "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again."
)
PER_TENANT = {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}


def refusal(call: Callable[[], Any]) -> tuple[str, int, str]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    response = caught.value.response
    error = response["Error"]
    return error["Code"], response["ResponseMetadata"]["HTTPStatusCode"], error["Message"]


def test_each_tenant_has_environments_of_its_own(server: RunningServer) -> None:
    server.deploy("tenants", {"app.py": PYTHON}, **PER_TENANT)
    answers = [server.invoke("tenants", TenantId=tenant).payload for tenant in ("blue", "green", "blue", "a b/c@d")]
    assert answers == [["blue"], ["green"], ["blue", "blue"], ["a b/c@d"]]
    found = server.client("lambda").get_function_configuration(FunctionName="tenants")
    assert found["TenancyConfig"] == {"TenantIsolationMode": "PER_TENANT"}


def test_node_functions_know_their_tenant(server: RunningServer, newest: Callable[[str], str]) -> None:
    settings = {"Runtime": newest("nodejs"), "Handler": "index.handler"}
    server.deploy("node-tenants", {"index.js": NODE}, **settings, **PER_TENANT)
    answers = [server.invoke("node-tenants", TenantId=tenant).payload for tenant in ("blue", "green", "blue")]
    assert answers == [["blue"], ["green"], ["blue", "blue"]]


def test_a_tenant_has_to_be_named_and_only_where_there_are_tenants(server: RunningServer) -> None:
    server.deploy("asks-whose", {"app.py": PYTHON}, **PER_TENANT)
    server.deploy("asks-nobody", {"app.py": PYTHON})
    for kind in ("RequestResponse", "Event", "DryRun"):
        missing = refusal(lambda kind=kind: server.invoke("asks-whose", InvocationType=kind))  # type: ignore[misc]
        assert missing == ("InvalidParameterValueException", 400, TENANT_MISSING)
        extra = refusal(
            lambda kind=kind: server.invoke("asks-nobody", InvocationType=kind, TenantId="blue")  # type: ignore[misc]
        )
        assert extra[:2] == ("InvalidParameterValueException", 400)
    assert refusal(lambda: server.invoke("asks-whose", TenantId="b#d"))[:2] == ("ValidationException", 400)


def test_an_event_keeps_its_tenant_and_the_log_tells_it(server: RunningServer) -> None:
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO"}
    server.deploy("tenant-events", {"app.py": PYTHON}, LoggingConfig=logging, **PER_TENANT)
    server.invoke("tenant-events", InvocationType="Event", TenantId="blue")
    logs, deadline = server.client("logs"), time.monotonic() + 20
    lines: list[dict[str, Any]] = []
    while not any(line.get("type") == "platform.report" for line in lines):
        assert time.monotonic() < deadline
        time.sleep(0.05)
        try:
            events = logs.filter_log_events(logGroupName="/aws/lambda/tenant-events")["events"]
        except logs.exceptions.ResourceNotFoundException:
            continue
        lines = [json.loads(event["message"]) for event in events if event["message"].startswith("{")]
    started = next(line for line in lines if line.get("type") == "platform.start")
    assert started["record"]["tenantId"] == "blue"
