"""The aws CLI as people use it, every command a process of its own: functions from creation to deletion, the examples.

Its version 1, the one on PyPI; `test_aws_cli_2` has what only version 2 can do.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.packages import zip_of
from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

AWS = Path(sys.executable).parent / "aws"
TRUST = (
    '{"Version": "2012-10-17", "Statement": '
    '[{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
)
ROLE = "arn:aws:iam::000000000000:role/cli"


class Aws:
    """`aws --endpoint-url SERVER ...` in a directory of its own."""

    def __init__(self, url: str, directory: Path) -> None:
        self.directory = directory
        self._url = url
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "key",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(AWS), "--endpoint-url", self._url, *arguments]
        return subprocess.run(
            command, cwd=self.directory, env=self._environ, capture_output=True, text=True, timeout=60, check=False
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on. Host names are left as they are: stream-127.0.0.1 is none."""
        command = [str(AWS), "--endpoint-url", self._url, *arguments]
        environ = {**self._environ, "AWS_DISABLE_HOST_PREFIX_INJECTION": "true"}
        return subprocess.Popen(command, cwd=self.directory, env=environ, stdout=subprocess.PIPE, text=True)

    def __call__(self, *arguments: str) -> Any:
        """What the command prints, decoded; None when it prints nothing. Fails when the command does."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def text(self, *arguments: str) -> str:
        """What the command prints with --output text."""
        done = self.run(*arguments, "--output", "text")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write(self, name: str, content: bytes | str) -> None:
        (self.directory / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def read_json(self, name: str) -> Any:
        return json.loads((self.directory / name).read_bytes())


@pytest.fixture
def aws(server: RunningServer, tmp_path: Path) -> Aws:
    return Aws(server.url, tmp_path)


def test_a_function_from_creation_to_deletion(aws: Aws, newest: Callable[[str], str]) -> None:
    assert aws("sts", "get-caller-identity")["Arn"] == "arn:aws:iam::000000000000:root"
    role = aws("iam", "create-role", "--role-name", "cli", "--assume-role-policy-document", TRUST)["Role"]
    assert role["Arn"] == ROLE
    assert aws("iam", "get-role", "--role-name", "cli")["Role"] == role | {"RoleLastUsed": {}}
    source = "def handler(event, context):\n    print('got', event)\n    return {'version': %d, 'got': event}\n"
    for number in (1, 2):
        aws.write(f"v{number}.zip", zip_of({"app.py": source % number}))

    # The command line is the one in AWS's guide.
    created = aws(
        "lambda", "create-function", "--function-name", "cli", "--runtime", newest("python"), "--role", ROLE,
        "--handler", "app.handler", "--zip-file", "fileb://v1.zip", "--memory-size", "192",
        "--environment", "Variables={STAGE=test}", "--tags", "team=cli",
    )  # fmt: skip
    arn = "arn:aws:lambda:eu-west-1:000000000000:function:cli"
    assert (created["FunctionArn"], created["State"], created["MemorySize"]) == (arn, "Pending", 192)
    assert created["Environment"] == {"Variables": {"STAGE": "test"}}
    aws("lambda", "wait", "function-active-v2", "--function-name", "cli")

    invoke = ("lambda", "invoke", "--function-name", "cli")
    answer = aws(*invoke, "--payload", '{"a": "é"}', "--log-type", "Tail", "out.json")
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "got {'a': 'é'}\n" in base64.b64decode(answer["LogResult"]).decode()
    assert aws.read_json("out.json") == {"version": 1, "got": {"a": "é"}}

    # Published, then changed: the version stays what it was.
    assert aws("lambda", "publish-version", "--function-name", "cli")["Version"] == "1"
    code = ("--function-name", "cli", "--zip-file", "fileb://v2.zip")
    assert aws("lambda", "update-function-code", *code)["LastUpdateStatus"] == "InProgress"
    aws("lambda", "wait", "function-updated-v2", "--function-name", "cli")
    aws(*invoke, "new.json")
    aws(*invoke, "--qualifier", "1", "old.json")
    assert [aws.read_json(name)["version"] for name in ("new.json", "old.json")] == [2, 1]
    assert aws.text("lambda", "list-functions", "--query", "Functions[].FunctionName") == "cli\n"
    versions = ("lambda", "list-versions-by-function", "--function-name", "cli", "--query", "Versions[].Version")
    assert aws.text(*versions) == "$LATEST\t1\n"

    aws("lambda", "delete-function", "--function-name", "cli")
    gone = aws.run(*invoke, "out.json")
    assert gone.returncode in (254, 255)
    message = f"calling the Invoke operation: Function not found: {arn}:$LATEST"
    assert gone.stderr.strip() == f"An error occurred (ResourceNotFoundException) when {message}"


def test_the_settings_of_a_function(aws: Aws, newest: Callable[[str], str]) -> None:
    aws.write("set.zip", zip_of({"app.py": "def handler(event, context):\n    return event\n"}))
    function = ("--function-name", "cli-set")
    aws(
        "lambda", "create-function", *function, "--runtime", newest("python"), "--role", ROLE,
        "--handler", "app.handler", "--zip-file", "fileb://set.zip", "--publish",
    )  # fmt: skip
    aws("lambda", "wait", "published-version-active", *function, "--qualifier", "1")
    reserved = ("lambda", "put-function-concurrency", *function, "--reserved-concurrent-executions")
    assert aws(*reserved, "0") == {"ReservedConcurrentExecutions": 0}
    assert aws("lambda", "get-function", *function)["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    aws("lambda", "delete-function-concurrency", *function)

    url = aws("lambda", "create-function-url-config", *function, "--auth-type", "NONE", "--cors", "AllowOrigins=*")
    assert aws("lambda", "get-function-url-config", *function)["FunctionUrl"] == url["FunctionUrl"]
    aws("lambda", "put-function-event-invoke-config", *function, "--maximum-retry-attempts", "0")
    configs = aws("lambda", "list-function-event-invoke-configs", *function)["FunctionEventInvokeConfigs"]
    assert [config["MaximumRetryAttempts"] for config in configs] == [0]
    aws("sqs", "create-queue", "--queue-name", "cli-set")
    source = ("--event-source-arn", "arn:aws:sqs:eu-west-1:000000000000:cli-set", "--no-enabled")
    mapping = aws("lambda", "create-event-source-mapping", *function, *source)
    listed = aws("lambda", "list-event-source-mappings", *function)["EventSourceMappings"]
    assert [one["UUID"] for one in listed] == [mapping["UUID"]]
    aws("lambda", "delete-event-source-mapping", "--uuid", mapping["UUID"])
    aws("lambda", "delete-function", *function)


def test_aliases_weights_layers_permissions_and_tags(aws: Aws, newest: Callable[[str], str]) -> None:
    function = ("--function-name", "cli-life")
    aws.write("layer.zip", zip_of({"python/shared.py": "NAME = 'layer'\n"}))
    layer = aws("lambda", "publish-layer-version", "--layer-name", "cli-shared", "--zip-file", "fileb://layer.zip")
    assert layer["LayerVersionArn"].endswith(":layer:cli-shared:1")
    source = "import shared\ndef handler(event, context):\n    return [shared.NAME, context.function_version]\n"
    aws.write("life.zip", zip_of({"app.py": source}))
    aws(
        "lambda", "create-function", *function, "--runtime", newest("python"), "--role", ROLE,
        "--handler", "app.handler", "--zip-file", "fileb://life.zip", "--layers", layer["LayerVersionArn"],
    )  # fmt: skip
    aws("lambda", "wait", "function-active-v2", *function)

    # Two versions, and an alias that first names one and then sends everything to the other.
    assert aws("lambda", "publish-version", *function)["Version"] == "1"
    aws("lambda", "update-function-configuration", *function, "--description", "second")
    aws("lambda", "wait", "function-updated-v2", *function)
    assert aws("lambda", "publish-version", *function)["Version"] == "2"
    aws("lambda", "create-alias", *function, "--name", "live", "--function-version", "1")
    invoke = ("lambda", "invoke", *function, "--qualifier", "live", "out.json")
    assert aws(*invoke)["ExecutedVersion"] == "1"
    assert aws.read_json("out.json") == ["layer", "1"]
    weights = ("--routing-config", '{"AdditionalVersionWeights": {"2": 1.0}}')
    aws("lambda", "update-alias", *function, "--name", "live", *weights)
    assert aws(*invoke)["ExecutedVersion"] == "2"

    permission = ("--statement-id", "s3", "--action", "lambda:InvokeFunction", "--principal", "s3.amazonaws.com")
    statement = json.loads(aws("lambda", "add-permission", *function, "--qualifier", "live", *permission)["Statement"])
    policy = json.loads(aws("lambda", "get-policy", *function, "--qualifier", "live")["Policy"])
    assert policy["Statement"] == [statement]
    aws("lambda", "remove-permission", *function, "--qualifier", "live", "--statement-id", "s3")

    arn = "arn:aws:lambda:eu-west-1:000000000000:function:cli-life"
    aws("lambda", "tag-resource", "--resource", arn, "--tags", "team=cli,stage=test")
    aws("lambda", "untag-resource", "--resource", arn, "--tag-keys", "stage")
    assert aws("lambda", "list-tags", "--resource", arn)["Tags"] == {"team": "cli"}

    aws("lambda", "delete-alias", *function, "--name", "live")
    aws("lambda", "delete-function", *function)
    aws("lambda", "delete-layer-version", "--layer-name", "cli-shared", "--version-number", "1")
    assert aws("lambda", "list-layers")["Layers"] == []


def test_live_tail(aws: Aws, newest: Callable[[str], str], server: RunningServer) -> None:
    source = "def handler(event, context):\n    print('line', event)\n"
    server.deploy("cli-tail", {"app.py": source}, Runtime=newest("python"))
    server.invoke("cli-tail", "before")
    [group] = server.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/cli-tail")["logGroups"]
    pattern = ("--log-event-filter-pattern", "line")
    with aws.start("logs", "start-live-tail", "--log-group-identifiers", group["logGroupArn"], *pattern,
                   "--region", "us-east-1") as process:  # fmt: skip
        assert process.stdout is not None
        with ThreadPoolExecutor(1) as pool:
            line = pool.submit(process.stdout.readline)
            for number in range(200):  # until the session is there
                server.invoke("cli-tail", f"tail {number}")
                if futures.wait([line], timeout=0.3).done:
                    break
            assert line.result(30).startswith("line tail ")
        process.send_signal(signal.SIGINT)
        process.wait(30)


def test_the_log_of_a_function(aws: Aws, newest: Callable[[str], str]) -> None:
    aws.write("log.zip", zip_of({"app.py": "def handler(event, context):\n    print('line', event)\n"}))
    aws(
        "lambda", "create-function", "--function-name", "cli-log", "--runtime", newest("python"), "--role", ROLE,
        "--handler", "app.handler", "--zip-file", "fileb://log.zip",
    )  # fmt: skip
    aws("lambda", "wait", "function-active-v2", "--function-name", "cli-log")
    for number in (1, 2):
        aws("lambda", "invoke", "--function-name", "cli-log", "--payload", str(number), "out.json")
    group = ("--log-group-name", "/aws/lambda/cli-log")
    [stream] = aws("logs", "describe-log-streams", *group)["logStreams"]
    events = aws("logs", "get-log-events", *group, "--log-stream-name", stream["logStreamName"])["events"]
    words = [event["message"].split()[0] for event in events]
    assert words == ["INIT_START", *["START", "line", "END", "REPORT"] * 2]
    found = aws("logs", "filter-log-events", *group, "--filter-pattern", "line")["events"]
    assert [event["message"] for event in found] == ["line 1\n", "line 2\n"]
    pattern = ("--filter-pattern", "[word=line, number>1]")
    assert [event["message"] for event in aws("logs", "filter-log-events", *group, *pattern)["events"]] == ["line 2\n"]
    query = ("--query-string", 'filter @type = "REPORT" | stats count(*) as n, max(@memorySize) / 1000000 as MB')
    now = int(time.time())
    asked = aws("logs", "start-query", *group, "--start-time", str(now - 600), "--end-time", str(now), *query)
    while (answer := aws("logs", "get-query-results", "--query-id", asked["queryId"]))["status"] == "Running":
        time.sleep(0.1)
    assert answer["results"] == [[{"field": "n", "value": "2"}, {"field": "MB", "value": "128"}]]
    groups = ("logs", "describe-log-groups", "--log-group-name-prefix", "/aws/lambda/cli")
    assert "/aws/lambda/cli-log" in aws.text(*groups, "--query", "logGroups[].logGroupName")
    aws("lambda", "delete-function", "--function-name", "cli-log")


@pytest.mark.parametrize("name", ["greeting", "dynamodb-item", "api-gateway", "thumbnail"])
def test_the_examples(
    aws: Aws,
    example: Callable[[str], Any],
    name: str,
    grace_hopper: bytes,
    jpeg_size: Callable[[bytes], tuple[int, int]],
) -> None:
    loaded = example(name)
    aws.write("function.zip", loaded.package)
    aws.write("event.json", loaded.event or json.dumps({"image": base64.b64encode(grace_hopper).decode()}))
    function = ("--function-name", f"cli-{name}")
    aws(
        "lambda", "create-function", *function, "--runtime", loaded.runtime, "--handler", loaded.handler,
        "--role", ROLE, "--zip-file", "fileb://function.zip", "--memory-size", "256", "--timeout", "20",
    )  # fmt: skip
    aws("lambda", "wait", "function-active-v2", *function)
    answer = aws("lambda", "invoke", *function, "--payload", "file://event.json", "out.json")
    result = aws.read_json("out.json")
    assert "FunctionError" not in answer, result
    if name == "greeting":
        assert result == {"message": "Hello Ada Lovelace!"}
    elif name == "dynamodb-item":
        assert result["customer"] == {"S": "Ada Lovelace"}
    elif name == "api-gateway":
        assert json.loads(result["body"])["message"] == "Bonjour, Ada!"
    else:
        assert jpeg_size(base64.b64decode(result["image"])) == (109, 128)
    aws("lambda", "delete-function", *function)
