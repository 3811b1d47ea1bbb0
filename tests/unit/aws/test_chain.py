"""The request chain without a connection: every step's refusal, in each protocol, and what happens around handlers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambent.aws.chain import AwsEndpoint
from lambent.aws.context import Operations, Params, RequestContext
from lambent.aws.service import ANY_OPERATION, BodyLimit, ServiceDefinition
from lambent.http.messages import Exchange, Headers, Request, RequestHead, Response
from lambent.iam.authentication import Caller
from lambent.iam.refusals import WireFamily
from lambent.model.errors import ResourceNotFoundException, ServiceError, TooManyRequestsException, access_denied
from lambent.model.ids import AccountId, Region
from lambent.store.api import StoreFullError

Answer = Callable[[AwsEndpoint, Request], Awaitable[Response]]
FUNCTIONS = "/2015-03-31/functions"
FORM = "application/x-www-form-urlencoded; charset=utf-8"


class Authenticate(Protocol):
    digests: list[str | None]

    def covers_body(self, head: RequestHead) -> bool: ...

    def authenticate(self, request: Request, family: WireFamily, body_sha256: str | None = None) -> Caller: ...


class Recorder:
    """Handlers of a few operations; each does what its first argument says."""

    def __init__(self) -> None:
        self.seen: list[tuple[RequestContext, Params]] = []
        self.error: Exception | None = None
        self.output: Params = {}
        self.wait = asyncio.Event()
        self.wait.set()

    async def __call__(self, context: RequestContext, params: Params) -> Params:
        self.seen.append((context, params))
        await self.wait.wait()
        if self.error is not None:
            raise self.error
        return self.output


@pytest.fixture
def handler() -> Recorder:
    return Recorder()


@pytest.fixture
def services(handler: Recorder) -> list[ServiceDefinition]:
    functions: Operations = dict.fromkeys(("CreateFunction", "GetFunction", "Invoke", "DeleteAlias"), handler)
    return [
        ServiceDefinition(
            "lambda",
            functions,
            overrides={
                ANY_OPERATION: {"functionName": {"max": 10, "pattern": None}},
                "Invoke": {"qualifier": {"max": 3}},
            },
            body_limits={
                "CreateFunction": BodyLimit(70_167_211),
                "Invoke": BodyLimit(6_291_456, code="RequestTooLargeException", named="InvokeFunction"),
            },
        ),
        ServiceDefinition("logs", {"PutLogEvents": handler}, validation_code="InvalidParameterException"),
        ServiceDefinition("iam", {"CreateRole": handler}),
        ServiceDefinition("sts", {"GetCallerIdentity": handler, "AssumeRoleWithWebIdentity": handler}),
    ]


Make = Callable[..., AwsEndpoint]


@pytest.fixture
def make(services: list[ServiceDefinition], authenticate: Authenticate) -> Make:
    def make(**options: Any) -> AwsEndpoint:
        account, region = AccountId("111111111111"), Region("us-east-1")
        return AwsEndpoint(services, authenticate, region=region, account=account, **options)

    return make


@pytest.fixture
def endpoint(make: Make) -> AwsEndpoint:
    return make()


def request(method: str, target: str, body: bytes = b"", service: str | None = None, **headers: str) -> Request:
    path, _, query = target.partition("?")
    items = [("host", "localhost:4566"), *((name.replace("_", "-"), value) for name, value in headers.items())]
    if service is not None:
        scope = f"Credential=AKID/20261123/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
        items.append(("authorization", f"AWS4-HMAC-SHA256 {scope}"))
    return Request(RequestHead(method, target, path, query, Headers(tuple(items))), body)


def header(response: Response, name: str) -> str | None:
    return next((value for key, value in response.headers if key.lower() == name.lower()), None)


def body(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def text(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


async def test_an_invocation_goes_through(endpoint: AwsEndpoint, handler: Recorder, answer: Answer) -> None:
    handler.output = {"StatusCode": 202, "Payload": b"\x00raw", "FunctionError": None}
    sent = request("POST", f"{FUNCTIONS}/f/invocations?Qualifier=1", b"{}", "lambda", x_amz_invocation_type="Event")
    response = await answer(endpoint, sent)
    assert (response.status, response.body) == (202, b"\x00raw")
    assert header(response, "Content-Type") == "application/json"
    assert header(response, "X-Amz-Function-Error") is None
    ((context, params),) = handler.seen
    assert params == {"FunctionName": "f", "Qualifier": "1", "InvocationType": "Event", "Payload": b"{}"}
    assert header(response, "x-amzn-RequestId") == context.request_id
    assert (context.service, context.operation) == ("lambda", "Invoke")
    assert (context.account, context.region) == ("000000000000", "eu-west-1")
    assert context.endpoint_url == "http://localhost:4566"


async def test_an_empty_payload_is_absent(endpoint: AwsEndpoint, handler: Recorder, answer: Answer) -> None:
    await answer(endpoint, request("POST", f"{FUNCTIONS}/f/invocations", b"", "lambda"))
    assert handler.seen[0][1] == {"FunctionName": "f"}


async def test_204_has_neither_body_nor_type(endpoint: AwsEndpoint, answer: Answer) -> None:
    response = await answer(endpoint, request("DELETE", f"{FUNCTIONS}/f/aliases/a", b"", "lambda"))
    assert (response.status, response.body) == (204, b"")
    assert header(response, "Content-Type") is None


async def test_services_errors_are_rendered_as_their_model_says(
    endpoint: AwsEndpoint, handler: Recorder, answer: Answer
) -> None:
    sent = request("GET", f"{FUNCTIONS}/f", b"", "lambda")
    handler.error = ResourceNotFoundException("Function not found: arn")
    response = await answer(endpoint, sent)
    assert (response.status, body(response)) == (404, {"Type": "User", "Message": "Function not found: arn"})
    assert header(response, "x-amzn-ErrorType") == "ResourceNotFoundException"
    handler.error = TooManyRequestsException("Rate Exceeded.", Reason="CallerRateLimitExceeded", retryAfterSeconds="3")
    response = await answer(endpoint, sent)
    assert response.status == 429
    assert body(response) == {"Type": "User", "message": "Rate Exceeded.", "Reason": "CallerRateLimitExceeded"}
    assert header(response, "Retry-After") == "3"
    handler.error = access_denied("")
    response = await answer(endpoint, sent)
    assert (response.status, body(response)) == (403, {"Message": ""})


async def test_validation_says_all_and_heeds_overrides(
    endpoint: AwsEndpoint, handler: Recorder, answer: Answer
) -> None:
    sent = request("POST", f"{FUNCTIONS}/{'!' * 11}/invocations?Qualifier=1234", b"", "lambda")
    response = await answer(endpoint, sent)
    assert response.status == 400
    assert header(response, "x-amzn-ErrorType") == "ValidationException"
    assert body(response) == {
        "message": "2 validation errors detected: Value '!!!!!!!!!!!' at 'functionName' failed to satisfy constraint: "
        "Member must have length less than or equal to 10; "
        "Value '1234' at 'qualifier' failed to satisfy constraint: Member must have length less than or equal to 3"
    }
    logs = request("POST", "/", b"{}", "logs", x_amz_target="Logs_20140328.PutLogEvents")
    response = await answer(endpoint, logs)
    assert body(response)["__type"] == "InvalidParameterException"
    assert body(response)["message"].startswith("3 validation errors detected: Value null at 'logGroupName'")
    iam = request("POST", "/", b"Action=CreateRole&Version=2010-05-08", "iam", content_type=FORM)
    response = await answer(endpoint, iam)
    assert "<Type>Sender</Type><Code>ValidationError</Code><Message>2 validation errors" in text(response)
    assert handler.seen == []


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b'{"Timeout": "3"}', "STRING_VALUE can not be converted to an Integer"),
        (b'{"Timeout": true}', "TRUE_VALUE can not be converted to an Integer"),
        (b'{"Description": 3}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"Description": {}}', "Start of structure or map found where not expected."),
        (b'{"Description": []}', "Start of list found where not expected"),
        (b'{"Layers": "x"}', "Expected list or null"),
        (b'{"Layers": {}}', "Start of structure or map found where not expected."),
        (b'{"Environment": "x"}', "Expected null"),
        (b'{"Tags": "x"}', "Expected map or null"),
        (b'{"Code": {"ZipFile": "!"}}', "Invalid base64 in a blob member"),
        (b"[]", "Start of list found where not expected"),
        (b"{", "Could not parse request body into json: "),
        (b'{"Description": "\xff"}', "Could not parse request body into json: "),
    ],
)
async def test_wrong_types_are_serialization_errors(
    endpoint: AwsEndpoint, answer: Answer, sent: bytes, message: str
) -> None:
    response = await answer(endpoint, request("POST", FUNCTIONS, sent, "lambda"))
    assert (response.status, header(response, "x-amzn-ErrorType")) == (400, "SerializationException")
    assert body(response)["message"].startswith(message)


async def test_what_is_not_offered_is_named(endpoint: AwsEndpoint, answer: Answer) -> None:
    response = await answer(endpoint, request("POST", "/2025-11-30/capacity-providers", b"{}", "lambda"))
    assert (response.status, header(response, "x-amzn-ErrorType")) == (501, "NotImplementedException")
    assert body(response)["message"] == "Lambent does not offer lambda:CreateCapacityProvider yet"
    response = await answer(endpoint, request("POST", "/", b"Action=ListRoles", "iam", content_type=FORM))
    assert "<Code>NotImplementedException</Code><Message>Lambent does not offer iam:ListRoles yet" in text(response)


async def test_unknown_operations(endpoint: AwsEndpoint, answer: Answer) -> None:
    response = await answer(endpoint, request("GET", "/2015-03-31/nonsense", b"", "lambda"))
    assert (response.status, header(response, "x-amzn-ErrorType")) == (404, "UnknownOperationException")
    response = await answer(endpoint, request("PATCH", FUNCTIONS, b"", "lambda"))
    assert response.status == 404
    response = await answer(endpoint, request("POST", "/", b"{}", "logs", x_amz_target="Logs_20140328.Nonsense"))
    assert (response.status, body(response)["__type"]) == (400, "UnknownOperationException")
    response = await answer(endpoint, request("POST", "/", b"Action=Nonsense&Version=1", "sts", content_type=FORM))
    assert response.status == 400
    assert "<Code>InvalidAction</Code><Message>Could not find operation Nonsense for version 1<" in text(response)
    response = await answer(endpoint, request("POST", "/", b"", "sts", content_type=FORM))
    assert "<Code>MissingAction</Code>" in text(response)


async def test_services_we_do_not_answer_are_named_in_their_protocol(endpoint: AwsEndpoint, answer: Answer) -> None:
    sentence = "Lambent does not answer {0}; start it with --upstream {0}=URL to forward {0}"
    response = await answer(endpoint, request("POST", "/", b"{}", "dynamodb", x_amz_target="DynamoDB_20120810.GetItem"))
    assert response.status == 501
    assert body(response) == {"__type": "NotImplementedException", "message": sentence.format("dynamodb")}
    response = await answer(endpoint, request("GET", "/bucket/key", b"", "s3"))
    assert f"<Message>{sentence.format('s3')}</Message>" in text(response)
    response = await answer(endpoint, request("GET", "/v2/apis", b"", "apigateway"))
    assert body(response)["message"] == sentence.format("apigateway")
    response = await answer(endpoint, request("GET", "/whatever"))
    assert (response.status, header(response, "x-amzn-ErrorType")) == (404, "UnknownOperationException")


async def test_upstreams_get_what_is_theirs(make: Make, answer: Answer) -> None:
    seen: list[tuple[str, str, str]] = []

    async def forward(sent: Request, service: str, url: str, caller: Caller) -> Response:
        seen.append((service, url, caller.account))
        if sent.path == "/broken":
            raise ConnectionError("unreachable")
        return Response(200, (), b"from upstream")

    endpoint = make(upstreams={"dynamodb": "http://up:1"}, forward=forward)
    response = await answer(endpoint, request("POST", "/", b"{}", "dynamodb", x_amz_target="DynamoDB_20120810.GetItem"))
    assert response.body == b"from upstream"
    assert seen == [("dynamodb", "http://up:1", "000000000000")]
    response = await answer(endpoint, request("GET", "/broken", b"", "dynamodb"))
    assert response.status == 500


async def test_a_refused_caller_reaches_nobody(endpoint: AwsEndpoint, handler: Recorder, answer: Answer) -> None:
    authorization = "AWS4-HMAC-SHA256 Credential=REFUSED/20261123/us-east-1/lambda/aws4_request, Signature=0"
    response = await answer(endpoint, request("GET", f"{FUNCTIONS}/f", b"", None, authorization=authorization))
    assert (response.status, header(response, "x-amzn-ErrorType")) == (403, "RefusedREST_JSON")
    assert handler.seen == []


@pytest.mark.parametrize(
    ("sent", "operation"),
    [
        (request("GET", f"{FUNCTIONS}/f"), "GetFunction"),
        (request("GET", f"{FUNCTIONS}/f", b"", None, host="lambda.us-east-1.localhost"), "GetFunction"),
        (
            request(
                "POST",
                "/",
                b'{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1,"message":"m"}]}',
                None,
                x_amz_target="Logs_20140328.PutLogEvents",
            ),
            "PutLogEvents",
        ),
        (request("POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", content_type=FORM), "GetCallerIdentity"),
        (request("GET", "/?Action=GetCallerIdentity&Version=2011-06-15"), "GetCallerIdentity"),
        (
            request("GET", "/?Action=GetCallerIdentity&X-Amz-Credential=A%2F20261123%2Fus-east-1%2Fsts%2Faws4_request"),
            "GetCallerIdentity",
        ),
    ],
)
async def test_unsigned_and_presigned_requests_find_their_service(
    endpoint: AwsEndpoint, handler: Recorder, answer: Answer, sent: Request, operation: str
) -> None:
    response = await answer(endpoint, sent)
    assert response.status == 200
    assert [context.operation for context, _ in handler.seen] == [operation]


async def test_operations_without_credentials_are_not_asked_for_any(
    endpoint: AwsEndpoint, handler: Recorder, authenticate: Authenticate, answer: Answer
) -> None:
    form = b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=session&WebIdentityToken=token"
    form += b"&RoleArn=arn:aws:iam::000000000000:role/some-role"
    response = await answer(endpoint, request("POST", "/", form, content_type=FORM))
    assert response.status == 200
    assert authenticate.digests == []
    assert handler.seen[0][0].principal.arn == "anonymous"
    assert handler.seen[0][0].account == "111111111111"


async def test_unexpected_failures_are_logged_and_not_shown(
    endpoint: AwsEndpoint, handler: Recorder, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    handler.error = ZeroDivisionError("secret detail")
    with caplog.at_level(logging.ERROR):
        response = await answer(endpoint, request("GET", f"{FUNCTIONS}/f", b"", "lambda"))
    assert (response.status, header(response, "x-amzn-ErrorType")) == (500, "ServiceException")
    assert body(response)["Type"] == "Service"
    assert "secret" not in text(response)
    (record,) = caplog.records
    assert record.__dict__["request_id"] == header(response, "x-amzn-RequestId")
    assert "secret detail" in caplog.text
    caplog.clear()
    response = await answer(endpoint, request("POST", "/", b"Action=GetCallerIdentity", "sts", content_type=FORM))
    assert response.status == 500
    assert "<Type>Receiver</Type><Code>InternalFailure</Code>" in text(response)


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (request("GET", f"{FUNCTIONS}/f", b"", "lambda"), 500, '"Type":"Service"'),
        (request("POST", "/", b"Action=GetCallerIdentity", "sts", content_type=FORM), 503,
         "<Type>Receiver</Type><Code>ServiceUnavailable</Code>"),
    ],
)  # fmt: skip
async def test_a_full_disk_is_told_as_something_to_try_again(
    endpoint: AwsEndpoint, handler: Recorder, answer: Answer, sent: Request, status: int, words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    handler.error = StoreFullError("/secret/place is full")
    response = await answer(endpoint, sent)
    assert response.status == status
    assert words in text(response)
    assert "the disk is full" in text(response)
    assert "secret" not in text(response)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING


async def test_an_output_that_cannot_be_encoded_is_a_failure_of_ours(
    endpoint: AwsEndpoint, handler: Recorder, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    handler.output = {"Tags": {"k": object()}}
    response = await answer(endpoint, request("GET", f"{FUNCTIONS}/f", b"", "lambda"))
    assert response.status == 500
    assert len(caplog.records) == 1


async def test_large_bodies_are_hashed_and_decoded_too(
    endpoint: AwsEndpoint, handler: Recorder, authenticate: Authenticate, answer: Answer
) -> None:
    payload = b'{"a":"' + b"x" * 400_000 + b'"}'
    response = await answer(endpoint, request("POST", f"{FUNCTIONS}/f/invocations", payload, "lambda"))
    assert response.status == 200
    assert handler.seen[0][1]["Payload"] == payload
    assert authenticate.digests == [hashlib.sha256(payload).hexdigest()]
    response = await answer(endpoint, request("POST", FUNCTIONS, payload[:-1], "lambda"))
    assert header(response, "x-amzn-ErrorType") == "SerializationException"


async def test_authorisation_comes_after_validation_and_before_the_handler(
    make: Make, handler: Recorder, answer: Answer
) -> None:
    asked: list[str] = []

    def authorise(context: RequestContext, params: Params) -> None:
        asked.append(f"{context.service}:{context.operation}")
        raise access_denied("not you")

    endpoint = make(authorise=authorise)
    response = await answer(endpoint, request("GET", f"{FUNCTIONS}/{'f' * 11}", b"", "lambda"))
    assert header(response, "x-amzn-ErrorType") == "ValidationException"
    response = await answer(endpoint, request("GET", f"{FUNCTIONS}/f", b"", "lambda"))
    assert (response.status, body(response)) == (403, {"Message": "not you"})
    assert asked == ["lambda:GetFunction"]
    assert handler.seen == []


async def test_extra_routes_come_first(make: Make, answer: Answer) -> None:
    def health(exchange: Exchange) -> None:
        exchange.respond(Response(200, (), b"healthy"))

    endpoint = make(extra_routes={"/_lambent/": health})
    assert (await answer(endpoint, request("GET", "/_lambent/health"))).body == b"healthy"
    assert (await answer(endpoint, request("GET", "/_other/health"))).status == 404


async def test_closing_waits_then_cancels_and_answers_everybody(
    endpoint: AwsEndpoint, handler: Recorder, answer: Answer
) -> None:
    handler.wait.clear()
    waiting = asyncio.create_task(answer_of(answer, endpoint))
    while not handler.seen:
        await asyncio.sleep(0)
    await endpoint.close(0.01)
    response = await waiting
    assert (response.status, header(response, "x-amzn-ErrorType")) == (503, "ServiceUnavailableException")
    assert (await answer(endpoint, request("GET", f"{FUNCTIONS}/f", b"", "lambda"))).status == 503


async def answer_of(answer: Answer, endpoint: AwsEndpoint) -> Response:
    return await answer(endpoint, request("GET", f"{FUNCTIONS}/f", b"", "lambda"))


def test_body_limits_and_their_words(endpoint: AwsEndpoint) -> None:
    invoke = request("POST", f"{FUNCTIONS}/f/invocations", b"", "lambda", content_length="7000000").head
    create = request("POST", FUNCTIONS, b"", "lambda", transfer_encoding="chunked").head
    assert endpoint.policy.body_limit(invoke) == 6_291_456
    assert endpoint.policy.body_limit(create) == 70_167_211
    small = request("POST", FUNCTIONS, b"", "lambda", content_length="99999").head
    assert 99_999 < endpoint.policy.body_limit(small) <= 70_167_211
    response = endpoint.policy.too_large(invoke, 6_291_456)
    assert (response.status, header(response, "x-amzn-ErrorType")) == (413, "RequestTooLargeException")
    assert body(response)["message"] == "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    response = endpoint.policy.too_large(create, 70_167_211)
    assert header(response, "x-amzn-ErrorType") == "RequestEntityTooLargeException"
    assert body(response) == {"message": "Request must be smaller than 70167211 bytes for the CreateFunction operation"}
    assert endpoint.policy.too_large(request("POST", "/", service="unknown").head, 1).status == 413
    assert endpoint.policy.malformed(431, "Too long").status == 431


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.sampled_from(["/", FUNCTIONS, f"{FUNCTIONS}/f", f"{FUNCTIONS}/f/invocations", f"{FUNCTIONS}/%ff%00"])
    | st.text(st.characters(min_codepoint=33, max_codepoint=126)).map(lambda text: "/" + text),
    query=st.text(st.characters(min_codepoint=33, max_codepoint=126)),
    service=st.sampled_from([None, "lambda", "logs", "iam", "sts", "s3"]),
    target=st.sampled_from([None, "Logs_20140328.PutLogEvents", "Nonsense"]),
    sent=st.binary()
    | st.sampled_from([b"Action=CreateRole&", b"Action=CreateRole&Tags.member.1.Key=", b'{"Timeout":']).flatmap(
        lambda start: st.binary().map(lambda rest: start + rest)
    )
    | st.recursive(
        st.none()
        | st.booleans()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.integers(-(2**63), 2**63)
        | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["FunctionName", "Code", "Layers", "Timeout", "Tags", "logEvents", "ZipFile"])
                | st.text(),
                inner,
            )
        ),
    ).map(lambda value: json.dumps(value).encode()),
)
async def test_no_request_whatever_makes_us_fail(
    endpoint: AwsEndpoint,
    handler: Recorder,
    answer: Answer,
    method: str,
    path: str,
    query: str,
    service: str | None,
    target: str | None,
    sent: bytes,
) -> None:
    headers = {"x_amz_target": target} if target else {}
    response = await answer(endpoint, request(method, f"{path}?{query}", sent, service, **headers))
    assert response.status != 500
    assert isinstance(response.body, bytes)


async def test_json_nested_without_end_is_refused(endpoint: AwsEndpoint, answer: Answer) -> None:
    for sent in (b"[" * 100_000, b'{"Code":' * 5_000 + b"1" + b"}" * 5_000):
        response = await answer(endpoint, request("POST", FUNCTIONS, sent, "lambda"))
        assert header(response, "x-amzn-ErrorType") == "SerializationException"
    form = b"Action=CreateRole&" + b"Tags" + b".a" * 100_000 + b"=1"
    response = await answer(endpoint, request("POST", "/", form, "iam", content_type=FORM))
    assert response.status == 400


async def test_headers_of_answers_cannot_be_split(endpoint: AwsEndpoint, handler: Recorder, answer: Answer) -> None:
    handler.output = {"FunctionError": "x\r\nSet-Cookie: a=b", "Payload": b""}
    response = await answer(endpoint, request("POST", f"{FUNCTIONS}/f/invocations", b"", "lambda"))
    assert header(response, "X-Amz-Function-Error") == "x  Set-Cookie: a=b"
    handler.error = ServiceError("Bad\r\nName", "text")
    response = await answer(endpoint, request("POST", f"{FUNCTIONS}/f/invocations", b"", "lambda"))
    assert header(response, "x-amzn-ErrorType") == "Bad  Name"


async def test_an_endpoint_for_other_callers_shares_the_services_and_nothing_else(make: Make, answer: Answer) -> None:
    class Nobody:
        def covers_body(self, head: RequestHead) -> bool:
            return False

        def authenticate(self, request: Request, family: WireFamily, body_sha256: str | None = None) -> Caller:
            raise ServiceError("UnrecognizedClientException", "No.", status=403)

    def secret(exchange: Exchange) -> None:
        exchange.respond(Response(200, (), b"for the outside only"))

    outer = make(extra_routes={"/_lambent/": secret})
    inner = outer.for_callers(Nobody())
    sent = request("GET", f"{FUNCTIONS}/f", b"", "lambda")
    assert (await answer(outer, sent)).status == 200
    assert (await answer(inner, sent)).status == 403
    assert (await answer(inner, request("GET", "/_lambent/secret", b"", "lambda"))).status == 404
    await inner.close(0)
    assert (await answer(inner, sent)).status == 503
    assert (await answer(outer, sent)).status == 200


@pytest.mark.parametrize(
    ("headers", "is_refused"),
    [
        ({"sec_fetch_site": "cross-site"}, True),
        ({"sec_fetch_site": "same-site"}, True),
        ({"origin": "https://evil.example"}, True),
        ({"origin": "null"}, True),
        ({"origin": "http://localhost:8000"}, True),
        ({"origin": "http://localhost:4566", "sec_fetch_site": "same-origin"}, False),
        ({"sec_fetch_site": "none"}, False),
    ],
)
async def test_web_pages_of_other_origins_reach_nothing(
    endpoint: AwsEndpoint, handler: Recorder, answer: Answer, headers: dict[str, str], is_refused: bool
) -> None:
    form = b"Action=GetCallerIdentity&Version=2011-06-15"
    response = await answer(endpoint, request("POST", "/", form, content_type=FORM, **headers))
    assert response.status == (403 if is_refused else 200)
    assert len(handler.seen) == (0 if is_refused else 1)


async def test_a_request_cancelled_while_its_body_is_decoded_is_answered(
    endpoint: AwsEndpoint, handler: Recorder, answer: Answer
) -> None:
    sent = request("POST", f"{FUNCTIONS}/f/invocations", b"x" * 400_000, "lambda")
    waiting = asyncio.ensure_future(answer(endpoint, sent))
    await asyncio.sleep(0)
    await endpoint.close(0)
    assert (await waiting).status == 503
    assert handler.seen == []


async def test_upstreams_may_be_called_by_botocores_name(make: Make, answer: Answer) -> None:
    async def forward(sent: Request, service: str, url: str, caller: Caller) -> Response:
        return Response(200, (), f"{service} {url}".encode())

    endpoint = make(upstreams={"cloudwatch": "http://up:1"}, forward=forward)
    assert (await answer(endpoint, request("POST", "/", b"", "monitoring"))).body == b"cloudwatch http://up:1"


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "Unmodelled"])
async def test_an_error_renders_whatever_is_in_it(
    endpoint: AwsEndpoint, handler: Recorder, answer: Answer, code: str
) -> None:
    handler.error = ServiceError(code, "lone \udcff", members={"Type": object()})
    response = await answer(endpoint, request("GET", f"{FUNCTIONS}/f", b"", "lambda"))
    assert header(response, "x-amzn-ErrorType") == code
    assert "lone ?" in text(response)


async def test_what_is_to_be_awaited_is_awaited_before_the_handler(
    make: Make, handler: Recorder, answer: Answer
) -> None:
    addresses: list[str | None] = []

    async def refuse() -> None:
        raise access_denied("not you either")

    def authorise(context: RequestContext, params: Params) -> Callable[[], Awaitable[None]]:
        addresses.append(context.client_address)
        return refuse

    response = await answer(make(authorise=authorise), request("GET", f"{FUNCTIONS}/f", b"", "lambda"))
    assert (response.status, body(response)) == (403, {"Message": "not you either"})
    assert addresses == ["192.0.2.7"]
    assert handler.seen == []


async def test_forwarding_is_authorised_too(make: Make, answer: Answer) -> None:
    asked: list[str] = []

    async def authorise(request: Request, service: str, caller: Caller, address: str | None) -> None:
        asked.append(service)
        raise access_denied("not there")

    async def forward(request: Request, service: str, url: str, caller: Caller) -> Response:
        raise AssertionError("forwarded all the same")

    endpoint = make(upstreams={"dynamodb": "http://up"}, forward=forward, authorise_forward=authorise)
    response = await answer(endpoint, request("POST", "/", b"{}", "dynamodb"))
    assert response.status == 403
    assert asked == ["dynamodb"]
