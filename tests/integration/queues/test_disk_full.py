"""SQS on a disk that is full: senders are told what AWS's clients try again, and nothing is lost or half kept."""

from __future__ import annotations

import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from botocore.exceptions import ClientError

from lambent.testing.server import RunningServer

pytestmark = [pytest.mark.root, pytest.mark.alone]

_BODY = "x" * 200_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """Its data are on a file system of 60 MB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "small", str(place)], check=True)
    try:
        with RunningServer(place / "data", ("--sandbox", "process")) as running:
            yield running
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(place: Path) -> Path:
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


def send_until_refused(sqs: Any, queue: str) -> tuple[list[str], dict[str, Any]]:
    """The ids of what was taken, and the refusal. What the log has room for is taken."""
    taken = []
    for _ in range(300):
        try:
            taken.append(sqs.send_message(QueueUrl=queue, MessageBody=_BODY)["MessageId"])
        except ClientError as error:
            return taken, dict(error.response)
    raise AssertionError("60 MB were taken")


def test_senders_are_told_to_try_again(server: RunningServer) -> None:
    sqs = server.client("sqs")
    queue = sqs.create_queue(QueueName="full")["QueueUrl"]
    taken = [sqs.send_message(QueueUrl=queue, MessageBody=_BODY)["MessageId"]]
    filler = fill(server.data_dir.parent)
    more, refusal = send_until_refused(sqs, queue)
    assert refusal["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert refusal["Error"]["Code"] == "ServiceUnavailable"
    assert refusal["Error"]["Message"] == "There is no room to keep this: the disk is full."
    assert refusal["ResponseMetadata"]["RetryAttempts"] == 0

    form = {"Action": "SendMessage", "Version": "2012-11-05", "QueueUrl": queue, "MessageBody": _BODY}
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(_signed(server, form), timeout=20):
        pass
    with refused.value as answer:
        assert answer.code == 503
        document = ET.fromstring(answer.read())
    namespace = "{http://queue.amazonaws.com/doc/2012-11-05/}"
    assert document.tag == f"{namespace}ErrorResponse"
    assert document.findtext(f"{namespace}Error/{namespace}Type") == "Receiver"
    assert document.findtext(f"{namespace}Error/{namespace}Code") == "ServiceUnavailable"

    # A client as people have it: it tries again by itself.
    patient = server.client("sqs", retries={"mode": "standard", "total_max_attempts": 8})
    threading.Timer(0.5, filler.unlink).start()
    sent = patient.send_message(QueueUrl=queue, MessageBody=_BODY)
    assert sent["ResponseMetadata"]["RetryAttempts"] > 0

    expected = {*taken, *more, sent["MessageId"]}
    received: set[str] = set()
    while len(received) < len(expected):
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=300)["Messages"]
        assert all(message["Body"] == _BODY for message in messages)
        received |= {message["MessageId"] for message in messages}
    assert received == expected


def _signed(server: RunningServer, form: dict[str, str]) -> urllib.request.Request:
    """The header names service and region; with the server's default any signature is taken."""
    scope = "test/20260101/us-east-1/sqs/aws4_request"
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}",
    }
    return urllib.request.Request(server.url + "/", urlencode(form).encode(), headers)
