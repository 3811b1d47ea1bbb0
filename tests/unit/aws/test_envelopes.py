"""Requests whose envelope is known are answered as if it were not: same input, same answer, same refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambent.aws.chain import AwsEndpoint
from lambent.aws.context import Params, Reply, RequestContext
from lambent.aws.envelopes import Envelopes
from lambent.aws.service import ServiceDefinition
from lambent.http.messages import Headers, Request, RequestHead, Response
from lambent.model.errors import ServiceError, TooManyRequestsException
from lambent.model.ids import AccountId, Region

Answer = Callable[[AwsEndpoint, Request], Awaitable[Response]]
SIGNED = "AWS4-HMAC-SHA256 Credential={}/20261123/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00"


class Handlers:
    """Invoke: keeps what it is given, and answers with `output`; directly if `reply_later` is set."""

    def __init__(self) -> None:
        self.seen: list[Params] = []
        self.output: Params = {"StatusCode": 200, "Payload": b"1"}
        self.replies: list[Reply] = []
        self.is_direct = True
        self.raises: ServiceError | None = None

    async def handle(self, _: RequestContext, params: Params) -> Params:
        self.seen.append(params)
        return self.output

    def direct(self, _: RequestContext, params: Params, reply: Reply) -> bool:
        if self.raises is not None:
            raise self.raises
        if not self.is_direct:
            return False
        self.seen.append(params)
        self.replies.append(reply)
        return True


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


def make_endpoint(handlers: Handlers, authenticate: Any, *, direct: bool = False, **overrides: Any) -> AwsEndpoint:
    operations = {"Invoke": handlers.handle, "GetFunction": handlers.handle, "CreateFunction": handlers.handle}
    service = ServiceDefinition(
        "lambda", operations, {"Invoke": overrides}, direct={"Invoke": handlers.direct} if direct else {}
    )
    return AwsEndpoint([service], authenticate, region=Region("us-east-1"), account=AccountId("000000000000"))


def invoke(
    body: bytes = b"{}", name: str = "f", query: str = "", key: str = "AKID", headers: dict[str, str] | None = None
) -> Request:
    path = f"/2015-03-31/functions/{name}/invocations"
    items = (("host", "localhost"), ("authorization", SIGNED.format(key)), *(headers or {}).items())
    target = f"{path}?{query}" if query else path
    return Request(RequestHead("POST", target, path, query, Headers(items)), body)


def shown(response: Response) -> tuple[object, ...]:
    """A response but for its request id."""
    return response.status, tuple(h for h in response.headers if h[0] != "x-amzn-RequestId"), response.body


async def test_the_second_request_finds_what_the_first_left(
    handlers: Handlers, authenticate: Any, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = make_endpoint(handlers, authenticate)
    first = await answer(endpoint, invoke(b"one", query="Qualifier=live", headers={"x-amz-log-type": "Tail"}))
    monkeypatch.setattr(endpoint, "_route", None)  # from here on routing is impossible
    second = await answer(endpoint, invoke(b"two", query="Qualifier=live", headers={"x-amz-log-type": "Tail"}))
    assert shown(first) == shown(second)
    expected = {"FunctionName": "f", "Qualifier": "live", "LogType": "Tail"}
    assert handlers.seen == [{**expected, "Payload": b"one"}, {**expected, "Payload": b"two"}]


REQUESTS = st.builds(
    invoke,
    body=st.sampled_from([b"", b"{}", b"\xff"]),
    name=st.sampled_from(["f", "g", "f%3Alive", "n%20ame", "f" * 200]),
    query=st.sampled_from(["", "Qualifier=live", "Qualifier=a%20b", "Qualifier=1&Qualifier=2", "other=1"]),
    key=st.sampled_from(["AKID", "OTHER", "REFUSED"]),
    headers=st.dictionaries(
        st.sampled_from(["x-amz-log-type", "x-amz-invocation-type", "x-amz-client-context", "x-other", "content-type"]),
        st.sampled_from(["Tail", "None", "Event", "RequestResponse", "nonsense", "é"]),
    ),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(REQUESTS, min_size=1, max_size=12))
async def test_no_memory_changes_an_answer(authenticate: Any, answer: Answer, requests: list[Request]) -> None:
    remembering, forgetful = Handlers(), Handlers()
    endpoint = make_endpoint(remembering, authenticate)
    for request in requests:
        fresh = make_endpoint(forgetful, authenticate)
        assert shown(await answer(endpoint, request)) == shown(await answer(fresh, request))
    assert remembering.seen == forgetful.seen


async def test_what_a_handler_does_to_its_input_is_its_own_business(
    handlers: Handlers, authenticate: Any, answer: Answer
) -> None:
    endpoint = make_endpoint(handlers, authenticate)
    await answer(endpoint, invoke())
    handlers.seen[0].clear()
    await answer(endpoint, invoke())
    handlers.seen[1].clear()
    await answer(endpoint, invoke())
    assert handlers.seen[2] == {"FunctionName": "f", "Payload": b"{}"}


async def test_a_refused_caller_is_refused_though_the_envelope_is_known(
    handlers: Handlers, authenticate: Any, answer: Answer
) -> None:
    endpoint = make_endpoint(handlers, authenticate)
    request = invoke(key="KEY")
    await answer(endpoint, request)
    authenticate.authenticate = lambda *_: (_ for _ in ()).throw(ServiceError("Refused", "No.", status=403))
    assert (await answer(endpoint, request)).status == 403
    assert len(handlers.seen) == 1


@pytest.mark.parametrize("field", ["content-encoding", "x-amz-target"])
async def test_fields_that_change_the_way_are_not_overlooked(
    handlers: Handlers, authenticate: Any, answer: Answer, field: str
) -> None:
    endpoint = make_endpoint(handlers, authenticate)
    await answer(endpoint, invoke())
    fresh = make_endpoint(handlers, authenticate)
    odd = invoke(headers={field: "odd"})
    assert shown(await answer(endpoint, odd)) == shown(await answer(fresh, odd))


async def test_a_constrained_payload_is_checked_each_time(
    handlers: Handlers, authenticate: Any, answer: Answer
) -> None:
    endpoint = make_endpoint(handlers, authenticate, payload={"max": 3})
    assert (await answer(endpoint, invoke(b"123"))).status == 200
    assert (await answer(endpoint, invoke(b"1234"))).status == 400


async def test_the_memory_is_bounded(handlers: Handlers, authenticate: Any, answer: Answer) -> None:
    endpoint = make_endpoint(handlers, authenticate)
    for number in range(1_100):
        await answer(endpoint, invoke(name=f"f{number}"))
    for number in range(100):
        await answer(endpoint, invoke(headers={"x-amz-client-context": str(number)}))
    routes = endpoint._envelopes._routes
    assert len(routes) <= 1_024
    assert all(len(route.variants) <= 64 for route in routes.values())
    await answer(endpoint, invoke(headers={"x-amz-client-context": "x" * 2_000}))
    assert Envelopes().find(invoke().head) is None


async def test_a_direct_operation_answers_when_it_likes(handlers: Handlers, authenticate: Any) -> None:
    endpoint = make_endpoint(handlers, authenticate, direct=True)
    exchange = Exchange(invoke())
    endpoint.handle(exchange)
    assert not exchange.closed
    handlers.replies[0].succeed({"StatusCode": 200, "Payload": b"later"})
    assert exchange.response is not None
    assert exchange.response.body == b"later"
    handlers.replies[0].fail(TooManyRequestsException("late", Reason="x"))  # the second word counts for nothing


async def test_errors_of_direct_operations_are_rendered_alike(
    handlers: Handlers, authenticate: Any, answer: Answer
) -> None:
    refusal = TooManyRequestsException("Rate Exceeded.", Reason="ConcurrentInvocationLimitExceeded")
    endpoint = make_endpoint(handlers, authenticate, direct=True)
    handlers.raises = refusal
    raised = await answer(endpoint, invoke())
    handlers.raises = None
    exchange = Exchange(invoke())
    endpoint.handle(exchange)
    handlers.replies[0].fail(refusal)
    assert exchange.response is not None
    assert shown(raised) == shown(exchange.response)
    assert raised.status == 429
    await endpoint.close(0)  # nothing is left in flight


async def test_what_cannot_be_done_directly_is_done_by_the_handler(
    handlers: Handlers, authenticate: Any, answer: Answer
) -> None:
    handlers.is_direct = False
    endpoint = make_endpoint(handlers, authenticate, direct=True)
    assert (await answer(endpoint, invoke())).status == 200
    assert handlers.seen == [{"FunctionName": "f", "Payload": b"{}"}]


async def test_an_output_that_cannot_be_encoded_is_our_failure(handlers: Handlers, authenticate: Any) -> None:
    endpoint = make_endpoint(handlers, authenticate, direct=True)
    exchange = Exchange(invoke())
    endpoint.handle(exchange)
    handlers.replies[0].succeed({"StatusCode": 200, "Payload": 7, "FunctionError": object()})
    assert exchange.response is not None


async def test_closing_waits_for_direct_operations_and_answers_those_that_are_late(
    handlers: Handlers, authenticate: Any
) -> None:
    endpoint = make_endpoint(handlers, authenticate, direct=True)
    quick, late = Exchange(invoke()), Exchange(invoke())
    endpoint.handle(quick)
    endpoint.handle(late)
    closing = asyncio.create_task(endpoint.close(0.05))
    await asyncio.sleep(0)
    handlers.replies[0].succeed({"StatusCode": 200, "Payload": b"1"})
    await closing
    assert quick.response is not None
    assert late.response is not None
    assert (quick.response.status, late.response.status) == (200, 503)
    handlers.replies[1].succeed({"StatusCode": 200, "Payload": b"1"})  # too late, and harmless


class Exchange:
    """One without a connection, whose answer can be looked at at once."""

    client_address = None

    def __init__(self, request: Request) -> None:
        self.request = request
        self.response: Response | None = None

    @property
    def closed(self) -> bool:
        return self.response is not None

    def respond(self, response: Response) -> None:
        assert self.response is None
        self.response = response

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        pass
