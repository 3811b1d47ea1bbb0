"""The AWS client over both transports against our own endpoint: signed, verified, authorised, and refused in words."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from lambent.aws.chain import AwsEndpoint
from lambent.aws.context import Params, RequestContext
from lambent.aws.service import ServiceDefinition
from lambent.aws_client.client import AwsCaller, AwsClient, read_error
from lambent.aws_client.destinations import Destinations
from lambent.aws_client.errors import AwsError, AwsUnreachableError
from lambent.aws_client.http_transport import HttpTransport
from lambent.aws_client.in_process import InProcessTransport
from lambent.aws_client.role_credentials import RoleCredentials
from lambent.aws_client.sqs import FailedEntry, Sqs
from lambent.aws_client.transport import Answer, Transport
from lambent.http.messages import Headers
from lambent.http.server import HttpServer
from lambent.iam.authentication import VerifyEnvironment
from lambent.iam.principal import Credentials
from lambent.iam.sessions import SessionIssuer
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId, Region

ROLE = "arn:aws:iam::000000000000:role/poller"
ARN = "arn:aws:sts::000000000000:assumed-role/poller/mapping"
URL = "http://127.0.0.1:4566/000000000000/orders"
SESSIONS = SessionIssuer(b"s" * 32)


class Queue:
    """Handlers of SQS operations that note what they were given."""

    def __init__(self) -> None:
        self.seen: list[tuple[RequestContext, Params]] = []
        self.answer: Params = {}
        self.error: ServiceError | None = None
        self.hang = False
        self.left = asyncio.Event()

    async def __call__(self, context: RequestContext, params: Params) -> Params:
        self.seen.append((context, params))
        if self.hang:
            context.on_disconnect(self.left.set)
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture(params=["in process", "http"])
async def transport(request: pytest.FixtureRequest, queue: Queue) -> AsyncIterator[Transport]:
    names = ("ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessage", "GetQueueUrl")
    services = [
        ServiceDefinition("sqs", dict.fromkeys((*names, "GetQueueAttributes"), queue)),
        ServiceDefinition("events", {"PutEvents": queue}),
        ServiceDefinition("lambda", {"Invoke": queue}),
        ServiceDefinition("sns", {"Publish": queue}),
    ]
    endpoint = AwsEndpoint(
        services, VerifyEnvironment(SESSIONS, ARN), region=Region("us-east-1"), account=AccountId("000000000000")
    )
    made: Transport
    if request.param == "in process":
        made = in_process = InProcessTransport("127.0.0.1:4566")
        in_process.serve_with(endpoint.handle)
        yield made
        await made.close()
        await endpoint.close(0)
        return
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    server = HttpServer(endpoint.handle, endpoint.policy, name="test")
    await server.start(sock)
    made = HttpTransport(f"http://127.0.0.1:{sock.getsockname()[1]}")
    yield made
    await made.close()
    await endpoint.close(0)
    await server.close(0)


@pytest.fixture
def caller() -> AwsCaller:
    return AwsCaller(RoleCredentials(SESSIONS).find(ROLE, "mapping"), Region("eu-west-1"))


@pytest.fixture
def sqs(transport: Transport) -> Sqs:
    return Sqs(AwsClient(transport))


async def test_a_poll_is_made_as_the_role(sqs: Sqs, queue: Queue, caller: AwsCaller) -> None:
    queue.answer = {"Messages": [{"MessageId": "1", "Body": "b", "Attributes": {"SentTimestamp": "1"}}]}
    received = await sqs.receive(caller, URL, limit=3, wait_s=0)
    assert [(one["MessageId"], one["Body"], one["Attributes"]) for one in received] == [
        ("1", "b", {"SentTimestamp": "1"})
    ]
    ((context, params),) = queue.seen
    assert (context.principal.arn, context.region) == (ARN, "eu-west-1")
    assert params["MaxNumberOfMessages"] == 3
    assert params["MessageAttributeNames"] == ["All"]


async def test_an_empty_poll(sqs: Sqs, queue: Queue, caller: AwsCaller) -> None:
    assert await sqs.receive(caller, URL, wait_s=0) == []


async def test_batches_tell_which_entries_failed(sqs: Sqs, queue: Queue, caller: AwsCaller) -> None:
    failed = {"Id": "b", "SenderFault": True, "Code": "ReceiptHandleIsInvalid", "Message": "no"}
    queue.answer = {"Successful": [{"Id": "a"}], "Failed": [failed]}
    expected = [FailedEntry("b", "ReceiptHandleIsInvalid", "no")]
    assert await sqs.delete(caller, URL, {"a": "ra", "b": "rb"}) == expected
    assert await sqs.change_visibility(caller, URL, {"a": "ra", "b": "rb"}, 7) == expected
    assert [params["Entries"] for _, params in queue.seen] == [
        [{"Id": "a", "ReceiptHandle": "ra"}, {"Id": "b", "ReceiptHandle": "rb"}],
        [
            {"Id": "a", "ReceiptHandle": "ra", "VisibilityTimeout": 7},
            {"Id": "b", "ReceiptHandle": "rb", "VisibilityTimeout": 7},
        ],
    ]


async def test_the_other_calls_of_sqs(sqs: Sqs, queue: Queue, caller: AwsCaller) -> None:
    queue.answer = {"MessageId": "m", "QueueUrl": URL, "Attributes": {"VisibilityTimeout": "30"}}
    attributes = {"ErrorCode": {"DataType": "Number", "StringValue": "200"}}
    assert await sqs.send(caller, URL, "body", attributes=attributes, group="g", deduplication="d") == "m"
    assert await sqs.get_queue_url(caller, "orders", "000000000000") == URL
    assert await sqs.get_queue_attributes(caller, URL, ["All"]) == {"VisibilityTimeout": "30"}
    sent = queue.seen[0][1]
    assert (sent["MessageGroupId"], sent["MessageAttributes"]["ErrorCode"]["StringValue"]) == ("g", "200")


async def test_refusals_have_the_services_words(sqs: Sqs, queue: Queue, caller: AwsCaller) -> None:
    queue.error = ServiceError("QueueDoesNotExist", "The specified queue does not exist.")
    with pytest.raises(AwsError) as refused:
        await sqs.receive(caller, URL, wait_s=0)
    error = refused.value
    assert (error.code, error.message, error.status) == (
        "QueueDoesNotExist",
        "The specified queue does not exist.",
        400,
    )
    assert not error.retryable


async def test_strangers_are_refused(sqs: Sqs, queue: Queue) -> None:
    with pytest.raises(AwsError) as refused:
        await sqs.receive(AwsCaller(Credentials("AKIAIOSFODNN7EXAMPLE", "secret"), Region("us-east-1")), URL, wait_s=0)
    assert refused.value.code == "InvalidClientTokenId"
    assert not queue.seen


async def test_a_poll_given_up_is_noticed(sqs: Sqs, queue: Queue, caller: AwsCaller) -> None:
    queue.hang = True
    poll = asyncio.create_task(sqs.receive(caller, URL))
    while not queue.seen:
        await asyncio.sleep(0.001)
    poll.cancel()
    async with asyncio.timeout(5):
        await queue.left.wait()


async def test_closing_ends_polls(transport: Transport, sqs: Sqs, queue: Queue, caller: AwsCaller) -> None:
    queue.hang = True
    poll = asyncio.create_task(sqs.receive(caller, URL))
    while not queue.seen:
        await asyncio.sleep(0.001)
    await transport.close()
    with pytest.raises(AwsUnreachableError):
        await poll


async def test_events_and_their_refusals(transport: Transport, queue: Queue, caller: AwsCaller) -> None:
    destinations = Destinations(AwsClient(transport))
    entry = {"Source": "lambda", "DetailType": "t", "Detail": "{}", "EventBusName": "bus"}
    queue.answer = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
    await destinations.put_event(caller, entry)
    assert queue.seen[0][1]["Entries"] == [entry]
    told = {"ErrorCode": "InternalFailure", "ErrorMessage": "later"}
    queue.answer = {"FailedEntryCount": 1, "Entries": [told]}
    with pytest.raises(AwsError, match="later") as refused:
        await destinations.put_event(caller, entry)
    assert refused.value.retryable


async def test_topics_and_functions(transport: Transport, queue: Queue, caller: AwsCaller) -> None:
    destinations = Destinations(AwsClient(transport))
    queue.answer = {"MessageId": "1", "StatusCode": 202}
    topic = "arn:aws:sns:us-east-1:000000000000:alarms"
    await destinations.publish(caller, topic, "né & co", {"ErrorCode": ("Number", "200")})
    function = "arn:aws:lambda:us-east-1:000000000000:function:next:live"
    await destinations.invoke(caller, function, {"a": 1})
    published, invoked = (params for _, params in queue.seen)
    assert (published["TopicArn"], published["Message"]) == (topic, "né & co")
    assert published["MessageAttributes"] == {"ErrorCode": {"DataType": "Number", "StringValue": "200"}}
    assert (invoked["FunctionName"], invoked["Qualifier"]) == (function.removesuffix(":live"), "live")
    assert (invoked["InvocationType"], bytes(invoked["Payload"])) == ("Event", b'{"a":1}')


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (400, {}, b'{"__type":"com.amazonaws.sqs#OverLimit","message":"m"}', ("OverLimit", "m", True)),
        (429, {"x-amzn-errortype": "TooManyRequestsException:http"}, b'{"message":"Rate Exceeded."}',
         ("TooManyRequestsException", "Rate Exceeded.", True)),
        (404, {}, b"<Error><Code>NoSuchBucket</Code><Message>a &amp; b</Message></Error>",
         ("NoSuchBucket", "a & b", False)),
        (403, {}, b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code></Error></ErrorResponse>",
         ("AccessDenied", "", False)),
        (503, {}, b"upstream is tired", ("ServiceUnavailable", "", True)),
    ],
)  # fmt: skip
def test_errors_of_all_protocols(
    status: int, headers: dict[str, str], body: bytes, expected: tuple[str, str, bool]
) -> None:
    error = read_error(Answer(status, Headers(tuple(headers.items())), body))
    assert isinstance(error, AwsError)
    assert (error.code, error.message, error.retryable) == expected


def test_a_former_query_service_tells_its_old_code() -> None:
    headers = Headers((("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender"),))
    error = read_error(Answer(400, headers, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"m"}'))
    assert isinstance(error, AwsError)
    assert (error.code, error.query_code) == ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")


@pytest.mark.parametrize("body", [b"", b"<html>moved</html>", b"[1]", b"{"])
def test_an_answer_that_is_none_of_awss(body: bytes) -> None:
    assert isinstance(read_error(Answer(404, Headers(), body)), AwsUnreachableError)


def test_role_credentials_are_kept_until_they_are_nearly_over() -> None:
    now = [1_000_000.0]
    roles = RoleCredentials(SessionIssuer(b"s" * 32, lambda: now[0]), lambda: now[0])
    first = roles.find(ROLE, "a")
    assert roles.find(ROLE, "a") is first
    assert roles.find(ROLE, "b") is not first
    now[0] += 3600 - 599
    assert roles.find(ROLE, "a") is not first
