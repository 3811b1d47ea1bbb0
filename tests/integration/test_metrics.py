"""Metrics of real invocations in real sandboxes: published, embedded, scraped, billed; over a crash; and to whom."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.packages import zip_of
from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

BIN = Path(sys.executable).parent
_SOURCE = """
import json, time

def handler(event, context):
    if event == "fail":
        raise ValueError(event)
    metrics = [{"Name": "Sold", "Unit": "Count"}]
    directive = {"Namespace": "Shop", "Dimensions": [["Kind"]], "Metrics": metrics}
    metadata = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    print(json.dumps({"_aws": metadata, "Kind": "book", "Sold": event}))
    return event
"""
_BILLED = re.compile(r"Billed Duration: (\d+) ms")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "data") as server:
        yield server


def _sum(server: RunningServer, name: str, namespace: str = "AWS/Lambda", **dimensions: str) -> float | None:
    now = datetime.now(UTC)
    answer = server.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=20),
        EndTime=now + timedelta(minutes=5),
        Period=3600,
        Statistics=["Sum"],
    )
    points = answer["Datapoints"]
    return points[0]["Sum"] if points else None


def _get(url: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _program(name: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "LAMBENT_"))}
    return subprocess.run(
        [BIN / name, *arguments],
        env={
            **inherited,
            "HOME": "/nonexistent",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_a_function_does_shows_everywhere_and_outlives_a_crash(own_server: RunningServer) -> None:
    server = own_server
    server.deploy("shop", {"app.py": _SOURCE}, MemorySize=512)
    logs = [server.invoke("shop", number).log for number in (1, 2, 3)]
    failed = server.invoke("shop", "fail")
    assert failed.function_error == "Unhandled"
    server.client("lambda").put_function_concurrency(FunctionName="shop", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        server.invoke("shop", 4)

    for _ in range(2):  # the second time after a crash: what was asked for was on disk
        assert _sum(server, "Invocations", FunctionName="shop") == 4
        assert _sum(server, "Invocations", FunctionName="shop", Resource="shop") == 4
        assert _sum(server, "Invocations") == 4
        assert _sum(server, "Errors", FunctionName="shop") == 1
        assert _sum(server, "Throttles", FunctionName="shop") == 1
        assert _sum(server, "Sold", "Shop", Kind="book") == 6
        server.stop(signal.SIGKILL)
        server.start()

    billed_ms = sum(int(_BILLED.findall(log)[0]) for log in [*logs, failed.log])
    status, text = _get(server.url + "/_lambent/cost")
    [day] = json.loads(text)["days"]
    assert status == 200
    assert (day["function"], day["requests"], day["cost"]) == ("shop", 4, "0")
    assert Decimal(day["gbSeconds"]) == Decimal(billed_ms * 512) / 1024 / 1000
    listed = Decimal(day["gbSeconds"]) * Decimal("0.0000166667") + 4 * Decimal("0.0000002")
    assert Decimal(day["costWithoutFreeTier"]) == listed

    printed = _program("lambent", "cost", "shop", "--endpoint-url", server.url)
    assert printed.stderr == ""
    assert re.search(r"shop +us-east-1 +x86_64 +4 ", printed.stdout)
    document = json.loads(_program("lambent", "cost", "--since", "7d", "--json", "--endpoint-url", server.url).stdout)
    assert document["total"]["requests"] == 4
    refused = _program("lambent", "cost", "--since", "yesterday", "--endpoint-url", server.url)
    assert (refused.returncode, refused.stderr) == (
        1,
        "lambent: ValidationException: from must be a day such as 2026-01-31.\n",
    )


def test_metrics_in_lines_that_others_log(server: RunningServer) -> None:
    logs = server.client("logs")
    logs.create_log_group(logGroupName="/agent")
    logs.create_log_stream(logGroupName="/agent", logStreamName="one")
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    directive = {"Namespace": "Agent", "Dimensions": [[]], "Metrics": [{"Name": "Load"}]}
    line = {"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]}, "Load": [0.5, 1.5]}
    events = [{"timestamp": now_ms, "message": text} for text in (json.dumps(line), '{"_aws": "nothing"}')]
    logs.put_log_events(logGroupName="/agent", logStreamName="one", logEvents=events)
    assert _sum(server, "Load", "Agent") == 2
    logs.delete_log_group(logGroupName="/agent")


def test_versions_behind_an_alias_are_told_apart(server: RunningServer) -> None:
    client = server.client("lambda")
    source = "def handler(event, context): return %d"
    server.deploy("split", {"app.py": source % 1}, Publish=True)
    client.update_function_code(FunctionName="split", ZipFile=zip_of({"app.py": source % 2}), Publish=True)
    weights = {"AdditionalVersionWeights": {"2": 0.5}}
    client.create_alias(FunctionName="split", Name="live", FunctionVersion="1", RoutingConfig=weights)
    answers = [server.invoke("split", Qualifier="live").payload for _ in range(30)]
    alias = {"FunctionName": "split", "Resource": "split:live"}
    assert _sum(server, "Invocations", **alias) == 30
    for version in (1, 2):
        assert _sum(server, "Invocations", ExecutedVersion=str(version), **alias) == answers.count(version) > 0
    assert _sum(server, "Invocations", FunctionName="split", Resource="split") is None
    client.delete_function(FunctionName="split")


def test_the_aws_command_line(server: RunningServer) -> None:
    server.deploy("seen", {"app.py": "def handler(event, context): return 1"})
    for _ in range(3):
        server.invoke("seen")
    now = datetime.now(UTC)
    metric = {"Namespace": "AWS/Lambda", "Dimensions": [{"Name": "FunctionName", "Value": "seen"}]}
    queries = [
        {"Id": name[0].lower(), "MetricStat": {"Metric": {**metric, "MetricName": name}, "Period": 3600, "Stat": stat}}
        for name, stat in (("Invocations", "Sum"), ("Duration", "p90"))
    ] + [{"Id": "twice", "Expression": "i * 2"}]
    common = ("--endpoint-url", server.url, "--output", "json")
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    ran = _program(
        *("aws", "cloudwatch", "get-metric-data", "--metric-data-queries", json.dumps(queries), *common),
        *("--start-time", (now - timedelta(minutes=30)).isoformat(), "--end-time", now.isoformat()),
        **keys,
    )
    assert ran.stderr == ""
    values = {result["Id"]: result["Values"] for result in json.loads(ran.stdout)["MetricDataResults"]}
    assert (values["i"], values["twice"]) == ([3], [6])
    assert 0 < values["d"][0] < 60_000
    put = ("cloudwatch", "put-metric-data", "--namespace", "Cli", "--metric-name", "A", "--value", "7")
    assert _program("aws", *put, *common, **keys).returncode == 0
    listed = json.loads(_program("aws", "cloudwatch", "list-metrics", "--namespace", "Cli", *common, **keys).stdout)
    assert listed["Metrics"] == [{"Namespace": "Cli", "MetricName": "A", "Dimensions": []}]
    server.client("lambda").delete_function(FunctionName="seen")


def test_who_may_read_reports(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data, ("--auth", "sigv4")) as server:
        status, text = _get(server.url + "/metrics")
        assert status == 200
        assert 'lambent_info{version="' in text
        for headers in ({"X_Forwarded_For": "192.0.2.1"}, {"Host": "metrics.example.com"}):
            status, text = _get(server.url + "/metrics", **headers)
            assert (status, json.loads(text)["code"]) == (403, "MissingAuthenticationTokenException")
        status, _ = _get(server.url + "/metrics", Origin="http://example.com")
        assert status == 403
        status, text = _get(server.url + "/_lambent/cost")
        assert (status, json.loads(text)["code"]) == (403, "MissingAuthenticationTokenException")
        signed = _program("lambent", "cost", "--json", "--endpoint-url", server.url, LAMBENT_DATA_DIR=str(data))
        assert json.loads(signed.stdout)["days"] == []
        wrong = _program(
            *("lambent", "cost", "--endpoint-url", server.url),
            AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE",
            AWS_SECRET_ACCESS_KEY="wrong",
        )
        assert wrong.returncode == 1
        assert "UnrecognizedClientException" in wrong.stderr


@pytest.mark.parametrize("path", ["/metricsx", "/metrics/x", "/_lambent/cost/x"])
def test_other_paths_are_not_reports(server: RunningServer, path: str) -> None:
    assert _get(server.url + path)[0] == 404


def test_a_user_needs_to_be_allowed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data, ("--auth", "sigv4")) as server:
        root = dict(line.split(" = ", 1) for line in (data / "credentials").read_text().splitlines() if " = " in line)
        iam = _client(server, "iam", root["aws_access_key_id"], root["aws_secret_access_key"])
        iam.create_user(UserName="watcher")
        key = iam.create_access_key(UserName="watcher")["AccessKey"]
        keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        cloudwatch = _client(server, "cloudwatch", key["AccessKeyId"], key["SecretAccessKey"])
        with pytest.raises(ClientError, match="not authorized to perform: cloudwatch:ListMetrics"):
            cloudwatch.list_metrics()
        refused = _program("lambent", "cost", "--endpoint-url", server.url, **keys)
        assert refused.returncode == 1
        assert "not authorized to perform: ce:" in refused.stderr
        allowed: dict[str, Any] = {"Effect": "Allow", "Action": ["ce:*", "cloudwatch:PutMetricData"], "Resource": "*"}
        allowed["Condition"] = {"StringEqualsIfExists": {"cloudwatch:namespace": "Mine"}}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="watcher", PolicyName="p", PolicyDocument=document)
        assert _program("lambent", "cost", "--endpoint-url", server.url, **keys).returncode == 0
        data_ = [{"MetricName": "A", "Value": 1.0}]
        cloudwatch.put_metric_data(Namespace="Mine", MetricData=data_)
        with pytest.raises(ClientError, match="not authorized to perform: cloudwatch:PutMetricData"):
            cloudwatch.put_metric_data(Namespace="Others", MetricData=data_)


def _client(server: RunningServer, service: str, key: str, secret: str) -> Any:
    import botocore.session

    return botocore.session.get_session().create_client(
        service,
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )
