"""SQS over the wire: sends from 1, 8 and 64 callers, receives and deletes, and what a message costs with many waiting.

Lambent's messages are synced to disk before the answer, and signatures verified; see each peer for what it does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import load
import processes
from subject import Lambent, Subject, call
from table import Figure, Row
from topics import Options

CALLERS = (1, 8, 64)
SENT_GOAL = 5_000  # with 64 callers
BACKLOGS = (10, 10_000)
FURTHER_BACKLOG = "LAMBENT_BENCH_BACKLOG"  # 1000000: takes some minutes
_BODY = "x" * 200
_AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=00"
)


def beside(subject: Subject, options: Options) -> Iterator[Row]:
    """Nothing of a peer that has no queues."""
    try:
        _made(subject, "first")
    except RuntimeError as error:
        print(f"{subject.name} has no queues: {str(error).splitlines()[0]}", file=sys.stderr)
        return
    yield from measure(subject, options)


def measure(subject: Subject, options: Options) -> Iterator[Row]:
    for callers in CALLERS:
        if callers <= subject.callers_max:
            yield _sends(subject, callers, options.seconds)
    yield _drain(
        subject, _made(subject, "sent-64"), "SQS, 10 received and deleted at a time, 1 caller", options.seconds
    )


def measure_with_backlogs(subject: Lambent, options: Options) -> Iterator[Row]:
    yield from measure(subject, options)
    further = os.environ.get(FURTHER_BACKLOG)
    for backlog in (*BACKLOGS, *([int(further)] if further else [])):
        yield _with_backlog(subject, backlog)


def _ask(subject: Subject, action: str, parameters: dict[str, Any]) -> bytes:
    """The bytes of a request."""
    body = json.dumps(parameters).encode()
    headers = {"X-Amz-Target": f"AmazonSQS.{action}", "Content-Type": "application/x-amz-json-1.0"}
    if isinstance(subject, Lambent):
        return subject.signed("POST", "/", body, headers, service="sqs")
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = [f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{subject.port}", f"Authorization: {_AUTHORIZATION}", *lines]
    return "\r\n".join([*head, "X-Amz-Date: 20260101T000000Z", f"Content-Length: {len(body)}", "", ""]).encode() + body


def _answer(data: bytes) -> Any:
    return json.loads(data.partition(b"\r\n\r\n")[2] or b"{}")


def _made(subject: Subject, name: str) -> str:
    """The URL of a queue."""
    url: str = _answer(call(subject.port, _ask(subject, "CreateQueue", {"QueueName": name})))["QueueUrl"]
    return url


def _send(subject: Subject, url: str) -> bytes:
    return _ask(subject, "SendMessage", {"QueueUrl": url, "MessageBody": _BODY})


def _sends(subject: Subject, callers: int, seconds: float) -> Row:
    request = _send(subject, _made(subject, f"sent-{callers}"))
    load.run(subject.port, request, callers, min(1.0, seconds))
    before = processes.cpu_ms([subject.pid])
    outcome = load.run(subject.port, request, callers, seconds)
    cpu_us = (processes.cpu_ms([subject.pid]) - before) * 1000 / max(1, outcome.requests)
    figures = (
        Figure("", outcome.per_second, "/s", SENT_GOAL if callers == 64 else None),
        Figure("p50", outcome.percentile(0.5), "ms"),
        Figure("p99", outcome.percentile(0.99), "ms"),
        Figure("server CPU", cpu_us, "µs"),
    )
    note = f"{outcome.errors} errors" if outcome.errors else ""
    return Row(f"SQS, SendMessage, {callers} caller{'s' if callers > 1 else ''}", figures, subject.name, note)


def _drain(subject: Subject, url: str, what: str, seconds: float) -> Row:
    """Receive and delete batches of ten on one connection; the client signs each request anew."""
    receive = _ask(subject, "ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 300})
    sock = load.connect(subject.port)
    before, begun, count = processes.cpu_ms([subject.pid]), time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        messages = _answer(load.exchange(sock, receive)).get("Messages", [])
        if not messages:
            break
        entries = [{"Id": str(at), "ReceiptHandle": one["ReceiptHandle"]} for at, one in enumerate(messages)]
        request = _ask(subject, "DeleteMessageBatch", {"QueueUrl": url, "Entries": entries})
        count += len(_answer(load.exchange(sock, request))["Successful"])
    elapsed = time.perf_counter() - begun
    sock.close()
    cpu_us = (processes.cpu_ms([subject.pid]) - before) * 1000 / max(1, count)
    figures = (Figure("", count / elapsed, "/s"), Figure("server CPU", cpu_us, "µs"))
    return Row(what, figures, subject.name)


def _with_backlog(subject: Lambent, backlog: int) -> Row:
    """The server's processor time of one message, sent and received and deleted, with that many waiting."""
    url = _made(subject, f"backlog-{backlog}")
    entries = [{"Id": str(at), "MessageBody": _BODY} for at in range(10)]
    fill = _ask(subject, "SendMessageBatch", {"QueueUrl": url, "Entries": entries})
    while (missing := backlog - _waiting(subject, url)) > 0:
        if missing < 1000:
            call(subject.port, fill)
        else:
            load.run(subject.port, fill, 16, min(20.0, missing / 40_000))
    before = processes.cpu_ms([subject.pid])
    outcome = load.run(subject.port, _send(subject, url), 16, 2.0)
    send_us = (processes.cpu_ms([subject.pid]) - before) * 1000 / max(1, outcome.requests)
    drained = _drain(subject, url, "", 2.0)
    figures = (
        Figure("sent", send_us, "µs"),
        Figure("received and deleted", drained.figures[1].value, "µs"),
        Figure("sends", outcome.per_second, "/s"),
        Figure("memory", processes.rss_mb(subject.pid), "MB"),
    )
    return Row(f"SQS, server CPU of a message with {backlog:,} waiting", figures)


def _waiting(subject: Subject, url: str) -> int:
    wanted = {"QueueUrl": url, "AttributeNames": ["ApproximateNumberOfMessages"]}
    answer = _answer(call(subject.port, _ask(subject, "GetQueueAttributes", wanted)))
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])
