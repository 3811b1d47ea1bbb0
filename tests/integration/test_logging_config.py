"""LoggingConfig in real sandboxes: JSON format, levels, another log group."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

PYTHON = """
import logging, os
def handler(event, context):
    logging.info("left out")
    logging.warning("a %s", "warning", extra={"order": 7})
    print('{"level": "DEBUG", "timestamp": "2026-11-23T10:00:00Z"}')
    print("text")
    if event == "raise":
        raise KeyError("missing")
    return [os.environ.get("AWS_LAMBDA_LOG_FORMAT"), os.environ.get("AWS_LAMBDA_LOG_LEVEL")]
"""
NODE = """
export const handler = async () => {
  console.debug("left out");
  console.error("an error", new TypeError("odd"));
  return [process.env.AWS_LAMBDA_LOG_FORMAT, process.env.AWS_LAMBDA_LOG_LEVEL];
};
"""


def logged(server: RunningServer, group: str) -> list[Any]:
    """The events of a group: what JSON ones say, text as it is."""
    pages = server.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    messages = [event["message"] for page in pages for event in page["events"]]
    return [json.loads(message) if message.startswith("{") else message for message in messages]


def test_python_in_json(server: RunningServer) -> None:
    config = {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "INFO", "LogGroup": "team/logs"}
    server.deploy("json-python", {"app.py": PYTHON}, LoggingConfig=config)
    invoked = server.invoke("json-python")
    assert invoked.payload == ["JSON", "WARN"]
    init, start, warning, text, report = logged(server, "team/logs")
    assert (init["type"], start["type"], report["type"]) == (
        "platform.initStart", "platform.start", "platform.report",
    )  # fmt: skip
    assert init["record"]["runtimeVersion"].startswith("python:3.11.v")
    assert start["record"] == {"requestId": invoked.request_id, "version": "$LATEST"}
    assert (warning["level"], warning["message"], warning["order"]) == ("WARNING", "a warning", 7)
    assert warning["requestId"] == invoked.request_id
    assert text == "text\n"
    assert report["record"]["status"] == "success"
    assert report["record"]["metrics"]["memorySizeMB"] == 256
    assert json.loads(invoked.log.splitlines()[-1]) == report

    server.invoke("json-python", "raise")
    error, done, report = [event for event in logged(server, "team/logs") if isinstance(event, dict)][-3:]
    assert (error["level"], error["errorType"]) == ("ERROR", "KeyError")
    assert (done["type"], done["record"]["status"]) == ("platform.runtimeDone", "error")
    assert (report["type"], report["record"]["status"]) == ("platform.report", "error")


def test_recent_invocations_of_a_function_that_logs_in_json(server: RunningServer) -> None:
    server.deploy("json-asked", {"app.py": PYTHON}, LoggingConfig={"LogFormat": "JSON"})
    asked = [server.invoke("json-asked").request_id for _ in range(2)]
    logs, now = server.client("logs"), int(time.time())
    name = "Lambda/Recent invocations (JSON format)"
    [saved] = logs.describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"]
    group = "/aws/lambda/json-asked"
    started = logs.start_query(
        logGroupName=group, startTime=now - 600, endTime=now + 60, queryString=saved["queryString"]
    )
    while (answer := logs.get_query_results(queryId=started["queryId"]))["status"] == "Running":
        time.sleep(0.05)
    rows = [{field["field"]: field["value"] for field in row} for row in answer["results"]]
    assert [row["record.requestId"] for row in rows] == asked[::-1]
    assert [row["record.status"] for row in rows] == ["success"] * 2
    assert ["record.metrics.initDurationMs" in row for row in rows] == [False, True]


def test_changing_the_format_takes_effect_with_the_next_invocation(server: RunningServer) -> None:
    server.deploy("json-later", {"app.py": PYTHON})
    assert server.invoke("json-later").payload == ["Text", None]
    functions = server.client("lambda")
    functions.update_function_configuration(FunctionName="json-later", LoggingConfig={"LogFormat": "JSON"})
    functions.get_waiter("function_updated_v2").wait(FunctionName="json-later", WaiterConfig={"Delay": 1})
    invoked = server.invoke("json-later")
    assert invoked.payload == ["JSON", "INFO"]
    assert json.loads(invoked.log.splitlines()[0])["type"] == "platform.start"


def test_node_in_json(server: RunningServer, health: dict[str, Any]) -> None:
    runtime = next((name for name in health["runtimes"] if name.startswith("nodejs")), None)
    if runtime is None:
        pytest.skip("no Node.js on this host")
    config = {"LogFormat": "JSON", "ApplicationLogLevel": "ERROR", "SystemLogLevel": "WARN"}
    server.deploy("json-node", {"index.mjs": NODE}, Runtime=runtime, Handler="index.handler", LoggingConfig=config)
    assert server.invoke("json-node").payload == ["JSON", "ERROR"]
    [error] = logged(server, "/aws/lambda/json-node")
    assert (error["level"], error["errorType"]) == ("ERROR", "TypeError")
