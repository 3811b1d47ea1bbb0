"""Records on their way to what takes them: the whole server in this process, with policies enforced and upstreams that
note what they are sent. Functions are programs of the fake sandbox."""

from __future__ import annotations

import asyncio
import configparser
import datetime as dt
import io
import json
import urllib.parse
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from lambent.app import App
from lambent.config import load
from lambent.worker.sandbox.fake import FakeBackend, FakeProcess

ACCOUNT, REGION = "000000000000", "us-east-1"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/bus"
BUCKET = "arn:aws:s3:::bucket"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


@dataclass
class Upstream:
    """Answers SNS, EventBridge and S3 with what `answers` says next, or 200."""

    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    url: str = ""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                method, path, _ = line.decode().split(" ")
                headers: dict[str, str] = {}
                while text := (await reader.readline()).strip().decode():
                    name, _, value = text.partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append((method, path, headers, body))
                status = self.statuses.pop(0) if self.statuses else 200
                answer = b'{"FailedEntryCount": 0, "Entries": [{"EventId": "e"}]}' if status == 200 else b""
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(answer), answer))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def wait(self, count: int = 1) -> None:
        async with asyncio.timeout(20):
            while len(self.requests) < count:
                await asyncio.sleep(0.01)


async def program(process: FakeProcess) -> None:
    """A runtime: answers with the event, and its function's name; `{"fail": …}` is a function error."""
    reader, writer = await asyncio.open_connection(*process.address(9001))
    base = "/2018-06-01/runtime/invocation/"

    async def call(method: str, path: str, body: bytes = b"") -> tuple[dict[str, str], bytes]:
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: r\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await reader.readline()
        headers: dict[str, str] = {}
        while text := (await reader.readline()).strip().decode():
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        return headers, await reader.readexactly(int(headers.get("content-length", "0")))

    try:
        while True:
            headers, body = await call("GET", f"{base}next")
            request_id, event = headers["lambda-runtime-aws-request-id"], json.loads(body)
            process.write(json.dumps({"got": event, "trace": headers["lambda-runtime-trace-id"]}).encode() + b"\n")
            if isinstance(event, dict) and "fail" in event:
                error = {"errorMessage": event["fail"], "errorType": "Failure"}
                await call("POST", f"{base}{request_id}/error", json.dumps(error).encode())
            else:
                await call("POST", f"{base}{request_id}/response", b'{"done": true}')
    finally:
        writer.close()


@dataclass
class World:
    app: App
    upstream: Upstream
    keys: tuple[str, str]
    clients: dict[str, Any] = field(default_factory=dict)

    async def call(self, service: str, operation: str, **given: Any) -> Any:
        """A call by boto3, as root."""
        if service not in self.clients:
            make: Any = boto3.client
            self.clients[service] = make(
                service,
                endpoint_url=self.app.endpoint_url,
                region_name=REGION,
                aws_access_key_id=self.keys[0],
                aws_secret_access_key=self.keys[1],
                config=Config(retries={"total_max_attempts": 1}),
            )
        return await asyncio.to_thread(getattr(self.clients[service], operation), **given)

    async def function(self, name: str, allowed: list[str], **config: Any) -> None:
        """A function, with a role of its own that may do that."""
        await self.call("iam", "create_role", RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
        if allowed:
            statement = {"Effect": "Allow", "Action": allowed, "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            await self.call("iam", "put_role_policy", RoleName=name, PolicyName="p", PolicyDocument=policy)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            info = zipfile.ZipInfo("bootstrap")
            info.external_attr = 0o755 << 16
            archive.writestr(info, "#!")
        await self.call(
            "lambda",
            "create_function",
            FunctionName=name,
            Runtime="provided.al2023",
            Role=f"arn:aws:iam::{ACCOUNT}:role/{name}",
            Handler="x",
            Code={"ZipFile": buffer.getvalue()},
            **config,
        )

    async def configure(self, name: str, **destinations: str) -> None:
        config = {side: {"Destination": arn} for side, arn in destinations.items()}
        given = {"FunctionName": name, "MaximumRetryAttempts": 0, "DestinationConfig": config}
        await self.call("lambda", "put_function_event_invoke_config", **given)

    async def send(self, name: str, event: object) -> str:
        answer = await self.call(
            "lambda", "invoke", FunctionName=name, InvocationType="Event", Payload=json.dumps(event).encode()
        )
        return str(answer["ResponseMetadata"]["RequestId"])

    async def logged(self, name: str, text: str) -> Any:
        """The first line of a function's log that has the text, decoded."""
        group = f"/aws/lambda/{name}"
        async with asyncio.timeout(20):
            while True:
                try:
                    found = await self.call("logs", "filter_log_events", logGroupName=group)
                except self.clients["logs"].exceptions.ResourceNotFoundException:
                    found = {"events": []}
                for event in found["events"]:
                    if text in event["message"] and event["message"].startswith("{"):
                        return json.loads(event["message"])
                await asyncio.sleep(0.02)

    async def metric(self, name: str) -> float:
        """The sum of a metric of all functions; asking for it brings what was counted to the store."""
        now = dt.datetime.now(dt.UTC)
        answer = await self.call(
            "cloudwatch",
            "get_metric_statistics",
            Namespace="AWS/Lambda",
            MetricName=name,
            StartTime=now - dt.timedelta(hours=1),
            EndTime=now + dt.timedelta(hours=1),
            Period=7200,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in answer["Datapoints"]))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    upstream = Upstream()
    listening = await asyncio.start_server(upstream.connected, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    settings = {
        "port": "0",
        "data-dir": str(tmp_path / "data"),
        "auth": "sigv4",
        "iam": "enforce",
        "sandbox": "process",
        "upstream": f"sns={url},events={url},s3={url}",
    }
    backend = FakeBackend({"/var/task/bootstrap": program})
    app = await App.start(load(settings, {}), {"PATH": "/usr/bin"}, backend=backend)
    file = configparser.ConfigParser()
    file.read(tmp_path / "data" / "credentials")
    section = file[file.sections()[0]]
    made = World(app, upstream, (section["aws_access_key_id"], section["aws_secret_access_key"]))
    yield made
    for client in made.clients.values():
        client.close()
    await app.stop()
    listening.close()


async def test_a_topic(world: World) -> None:
    await world.function("f", ["sns:Publish"], DeadLetterConfig={"TargetArn": TOPIC})
    await world.configure("f", OnFailure=TOPIC)
    request_id = await world.send("f", {"fail": "it fails"})
    await world.upstream.wait(2)
    forms = [dict(urllib.parse.parse_qsl(body.decode())) for _, _, _, body in world.upstream.requests]
    assert {(form["Action"], form["TopicArn"]) for form in forms} == {("Publish", TOPIC)}
    [dead] = [form for form in forms if "MessageAttributes.entry.1.Name" in form]
    [record] = [json.loads(form["Message"]) for form in forms if form is not dead]
    assert dead["Message"] == '{"fail": "it fails"}'
    attributes = {
        dead[f"MessageAttributes.entry.{n}.Name"]: (
            dead[f"MessageAttributes.entry.{n}.Value.DataType"],
            dead[f"MessageAttributes.entry.{n}.Value.StringValue"],
        )
        for n in (1, 2, 3)
    }
    assert attributes == {
        "RequestID": ("String", request_id),
        "ErrorCode": ("Number", "200"),
        "ErrorMessage": ("String", "it fails"),
    }
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["responsePayload"] == {"errorMessage": "it fails", "errorType": "Failure"}


async def test_an_event_bus(world: World) -> None:
    await world.function("f", ["events:PutEvents"])
    await world.configure("f", OnSuccess=BUS)
    await world.send("f", {"a": 1})
    await world.upstream.wait()
    [(_, _, headers, body)] = world.upstream.requests
    assert headers["x-amz-target"] == "AWSEvents.PutEvents"
    [entry] = json.loads(body)["Entries"]
    detail = json.loads(entry.pop("Detail"))
    assert entry.pop("TraceHeader").startswith("Root=1-")
    assert entry == {
        "Source": "lambda",
        "DetailType": "Lambda Function Invocation Result - Success",
        "Resources": [BUS, f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f:$LATEST"],
        "EventBusName": BUS,
    }
    assert (detail["requestPayload"], detail["responsePayload"]) == ({"a": 1}, {"done": True})


async def test_a_bucket(world: World) -> None:
    await world.function("f", ["s3:*"])
    await world.configure("f", OnFailure=BUCKET)
    request_id = await world.send("f", {"fail": "no"})
    await world.upstream.wait()
    [(method, path, _, body)] = world.upstream.requests
    assert method == "PUT"
    assert path.startswith("/bucket/aws/lambda/async/f/20")
    assert path.endswith(f"-{request_id}")
    assert json.loads(body)["requestContext"]["requestId"] == request_id


async def test_another_function_is_given_the_record_and_the_chain_of_calls(world: World) -> None:
    await world.function("g", [])
    await world.function("f", ["lambda:InvokeFunction"])
    await world.configure("f", OnSuccess=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:g")
    request_id = await world.send("f", {"a": 1})
    first, second = await world.logged("f", "got"), await world.logged("g", "got")
    assert second["got"]["requestContext"]["requestId"] == request_id
    assert second["got"]["responsePayload"] == {"done": True}
    assert first["trace"].split(";")[0] == second["trace"].split(";")[0]
    assert second["trace"].split("Lineage=")[1].startswith("2:")


async def test_what_the_role_may_not_do_is_lost_and_counted(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.function("f", [], DeadLetterConfig={"TargetArn": TOPIC})
    await world.configure("f", OnFailure=BUS)
    await world.send("f", {"fail": "no"})
    async with asyncio.timeout(20):
        while caplog.text.count("a record of an asynchronous invocation is lost") < 2:
            await asyncio.sleep(0.02)
    assert world.upstream.requests == []
    for name in ("DeadLetterErrors", "DestinationDeliveryFailures", "AsyncEventsDropped", "AsyncEventsReceived"):
        assert await world.metric(name) == 1, name


async def test_an_upstream_that_fails_is_asked_again(world: World) -> None:
    await world.function("f", ["events:PutEvents"])
    await world.configure("f", OnSuccess=BUS)
    world.upstream.statuses = [503]
    await world.send("f", {})
    await world.upstream.wait(2)


async def received(world: World, url: str) -> Any:
    answer = await world.call(
        "sqs",
        "receive_message",
        QueueUrl=url,
        WaitTimeSeconds=10,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    )
    [message] = answer["Messages"]
    return message


async def test_queues(world: World) -> None:
    failed = (await world.call("sqs", "create_queue", QueueName="failed"))["QueueUrl"]
    dead = (await world.call("sqs", "create_queue", QueueName="dead"))["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"
    await world.function("f", ["sqs:SendMessage"], DeadLetterConfig={"TargetArn": f"{arn}dead"})
    await world.configure("f", OnFailure=f"{arn}failed")
    request_id = await world.send("f", {"fail": "no"})
    record, letter = await received(world, failed), await received(world, dead)
    assert "MessageAttributes" not in record
    assert json.loads(record["Body"])["requestContext"]["requestId"] == request_id
    assert letter["Body"] == '{"fail": "no"}'
    assert {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()} == {
        "RequestID": request_id,
        "ErrorCode": "200",
        "ErrorMessage": "no",
    }
    assert letter["MessageAttributes"]["ErrorCode"]["DataType"] == "Number"
    trace = (await world.logged("f", "got"))["trace"]
    assert {record["Attributes"]["AWSTraceHeader"], letter["Attributes"]["AWSTraceHeader"]} == {trace}


async def test_a_queue_that_is_not_there(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.function("f", ["sqs:SendMessage"])
    await world.configure("f", OnSuccess=f"arn:aws:sqs:{REGION}:{ACCOUNT}:nothing")
    await world.send("f", {})
    async with asyncio.timeout(20):
        while "a record of an asynchronous invocation is lost" not in caplog.text:
            await asyncio.sleep(0.02)
    assert await world.metric("DestinationDeliveryFailures") == 1
    assert await world.metric("AsyncEventsDropped") == 0
