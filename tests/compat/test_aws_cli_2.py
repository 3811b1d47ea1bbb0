"""Version 2 of the aws CLI (Debian's package): what only it has, and where it speaks otherwise than version 1."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lambent.testing.server import RunningServer

AWS = Path("/usr/bin/aws")


def _version() -> str:
    if not AWS.exists():
        return ""
    return subprocess.run([AWS, "--version"], capture_output=True, text=True, check=True).stdout


pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not _version().startswith("aws-cli/2."), reason="/usr/bin/aws is not version 2 of the AWS CLI"),
]

CODE = {"app.py": "def handler(event, context):\n    print('seen', event['n'])\n    return event['n']\n"}


class Aws2:
    """`aws` in a directory of its own, pointed at the server by the variable as people do."""

    def __init__(self, url: str, directory: Path) -> None:
        self._directory = directory
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "key",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
        }
        self._command = [str(AWS), "--endpoint-url", url]

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=self._directory,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environ = self._environ | {"PYTHONUNBUFFERED": "1"}
        return subprocess.Popen([*self._command, *arguments], cwd=self._directory, env=environ, stdout=subprocess.PIPE)


@pytest.fixture
def aws(server: RunningServer, tmp_path: Path) -> Aws2:
    return Aws2(server.url, tmp_path)


def test_logs_tail_follow(aws: Aws2, server: RunningServer, newest: Callable[[str], str]) -> None:
    server.deploy("followed", CODE, Runtime=newest("python"))
    server.invoke("followed", {"n": "before"})
    tail = aws.start("logs", "tail", "/aws/lambda/followed", "--follow", "--since", "1h", "--format", "short")
    try:
        assert tail.stdout is not None
        shown = _read_until(tail, b"seen before")
        server.invoke("followed", {"n": "meanwhile"})
        shown = _read_until(tail, b"seen meanwhile", shown)
        assert shown.count(b"START RequestId") == 2
    finally:
        tail.kill()
        tail.communicate(timeout=20)


def _read_until(process: subprocess.Popen[bytes], words: bytes, shown: bytes = b"") -> bytes:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + 60
        while words not in shown:
            assert selector.select(deadline - time.monotonic()), shown
            piece = os.read(process.stdout.fileno(), 65536)
            assert piece, shown
            shown += piece
    return shown


def test_payloads_are_base64_unless_told_otherwise(
    aws: Aws2, server: RunningServer, newest: Callable[[str], str], tmp_path: Path
) -> None:
    server.deploy("called", CODE, Runtime=newest("python"))
    invoke = ("lambda", "invoke", "--function-name", "called")
    aws(*invoke, "--payload", "eyJuIjogMX0=", "answer")
    assert (tmp_path / "answer").read_text() == "1"
    told = aws(*invoke, "--cli-binary-format", "raw-in-base64-out", "--payload", '{"n": 2}', "answer")
    assert (tmp_path / "answer").read_text() == "2"
    assert json.loads(told)["StatusCode"] == 200


def test_metrics_and_policies(aws: Aws2, server: RunningServer, newest: Callable[[str], str]) -> None:
    server.deploy("measured-by-cli-2", CODE, Runtime=newest("python"))
    for _ in range(3):
        server.invoke("measured-by-cli-2", {"n": 1})
    metric = {
        "Namespace": "AWS/Lambda",
        "MetricName": "Invocations",
        "Dimensions": [{"Name": "FunctionName", "Value": "measured-by-cli-2"}],
    }
    query = [{"Id": "m", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}]
    now = int(time.time())
    arguments = ("--start-time", str(now - 7200), "--end-time", str(now + 3600))
    answer = aws("cloudwatch", "get-metric-data", "--metric-data-queries", json.dumps(query), *arguments)
    assert sum(json.loads(answer)["MetricDataResults"][0]["Values"]) == 3
    aws("iam", "create-user", "--user-name", "simulated")
    answer = aws(
        "iam", "simulate-principal-policy", "--policy-source-arn", "arn:aws:iam::000000000000:user/simulated",
        "--action-names", "lambda:InvokeFunction",
    )  # fmt: skip
    assert json.loads(answer)["EvaluationResults"][0]["EvalDecision"] == "implicitDeny"


def test_queues_by_the_older_sdk(aws: Aws2) -> None:
    """Its botocore is of 2022: it speaks the Query protocol to SQS."""
    url = json.loads(aws("sqs", "create-queue", "--queue-name", "older"))["QueueUrl"]
    aws("sqs", "send-message", "--queue-url", url, "--message-body", "hello")
    received = json.loads(aws("sqs", "receive-message", "--queue-url", url, "--attribute-names", "All"))
    [message] = received["Messages"]
    assert message["Body"] == "hello"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    aws("sqs", "delete-message", "--queue-url", url, "--receipt-handle", message["ReceiptHandle"])
    attributes = json.loads(aws("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "All"))
    assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "0"
