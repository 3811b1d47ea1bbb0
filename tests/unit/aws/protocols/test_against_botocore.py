"""Every operation and error of many services, with botocore on the other side of the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.model import OperationModel, ServiceModel, Shape

from lambent.aws.models import load_service_model
from lambent.aws.protocols.api import ServiceProtocol
from lambent.aws.protocols.registry import PROTOCOLS
from lambent.http.messages import Request, Response
from lambent.model.errors import ServiceError
from lambent.model.ids import RequestId

BotocoreModel = Callable[[str], ServiceModel]
Sample = Callable[[Shape, bool], Any]
Serialized = Callable[[OperationModel, dict[str, Any]], Request]
Parsed = Callable[[str, Response, Shape | None], dict[str, Any]]

REQUEST_ID = RequestId("11111111-2222-3333-4444-555555555555")
SERVICES = {
    "lambda": "rest-json",
    "logs": "json",
    "iam": "query",
    "sts": "query",
    # not answered (yet); here for what those above do not use: documents, jsonvalue, header and query maps, timestamps
    # in headers, shapes within themselves, flattened lists and maps, greedy labels, the query-compatible header
    "sqs": "json",
    "dynamodb": "json",
    "events": "json",
    "kinesis": "json",
    "stepfunctions": "json",
    "apigateway": "rest-json",
    "glacier": "rest-json",
    "lex-runtime": "rest-json",
    "pinpoint": "rest-json",
    "iot-data": "rest-json",
    "schemas": "rest-json",
    "sns": "query",
    "sdb": "query",
    "cloudformation": "query",
    "elbv2": "query",
    "autoscaling": "query",
    "elasticache": "query",
    "ses": "query",
    "cloudwatch": "smithy-rpc-v2-cbor",
}
SUPPLIED: tuple[object, ...] = (b"", {}, 200, 201, 202, "application/json", "application/octet-stream")
FAULTS = {  # those the models mark as the service's own
    "InternalServerException",
    "InternalServerError",
    "InternalException",
    "InternalFailureException",
    "ServiceUnavailableException",
}


def _protocol(service: str) -> ServiceProtocol:
    model = load_service_model(service)
    assert model.protocols[0] == SERVICES[service]
    return PROTOCOLS[SERVICES[service]](model)


@pytest.mark.parametrize("maximal", [False, True], ids=["minimal", "maximal"])
@pytest.mark.parametrize("service", SERVICES)
def test_every_input_is_read_as_it_was_sent(
    service: str, maximal: bool, botocore_model: BotocoreModel, sample: Sample, serialized: Serialized
) -> None:
    theirs, ours, model = botocore_model(service), _protocol(service), load_service_model(service)
    assert set(theirs.operation_names) == set(model.operations)
    for name in theirs.operation_names:
        operation = theirs.operation_model(name)
        if operation.has_event_stream_input:
            continue
        params = sample(operation.input_shape, maximal) if operation.input_shape else {}
        request = serialized(operation, params)
        target = ours.find(request)
        assert target is not None, name
        assert target.operation == name
        read = ours.codec(model.operations[name]).decode(request, target)
        # botocore sends `{}` for an absent payload member, as for an empty one
        assert {key: value for key, value in read.items() if key in params or value != {}} == params, name


@pytest.mark.parametrize("maximal", [False, True], ids=["minimal", "maximal"])
@pytest.mark.parametrize("service", SERVICES)
def test_every_output_is_read_by_botocore_as_it_was_given(
    service: str, maximal: bool, botocore_model: BotocoreModel, sample: Sample, parsed: Parsed
) -> None:
    theirs, ours, model = botocore_model(service), _protocol(service), load_service_model(service)
    for name in theirs.operation_names:
        shape = theirs.operation_model(name).output_shape
        if theirs.operation_model(name).has_event_stream_output:
            continue
        output = sample(shape, maximal) if shape else {}
        given = output | {"NotInTheModel": 1, "NotGiven": None}
        response = ours.codec(model.operations[name]).encode(given, REQUEST_ID)
        assert dict(response.headers)["x-amzn-RequestId"] == REQUEST_ID
        read = parsed(SERVICES[service], response, shape)
        metadata = read.pop("ResponseMetadata")
        if shape is not None or "cbor" not in SERVICES[service]:  # botocore overlooks the id of such an empty answer
            assert metadata["RequestId"] == REQUEST_ID
        if not maximal and shape is not None:  # botocore gives absent payloads and statuses of their own accord
            read = {key: value for key, value in read.items() if key in output or value not in SUPPLIED}
        assert read == output, name


@pytest.mark.parametrize("service", SERVICES)
def test_every_declared_error_is_read_by_botocore_as_it_was_raised(
    service: str, botocore_model: BotocoreModel, sample: Sample, parsed: Parsed
) -> None:
    theirs, ours = botocore_model(service), _protocol(service)
    assert theirs.error_shapes
    for shape in theirs.error_shapes:
        members = sample(shape, True)
        message_member = next((name for name in members if name.lower() == "message"), None)
        if message_member is not None:
            del members[message_member]
        response = ours.encode_error(ServiceError(shape.name, "It is <so> & \u00fc.", members=members), REQUEST_ID)
        error = shape.metadata.get("error", {})
        assert response.status == error.get("httpStatusCode", 500 if shape.name in FAULTS else 400), shape.name
        generic = parsed(SERVICES[service], response, None)
        assert generic["Error"]["Code"] == error.get("code", shape.name)
        assert generic["Error"]["Message"] == "It is <so> & \u00fc."
        modelled = parsed(SERVICES[service], response, shape)
        for metadata in ("ResponseMetadata", "Error"):
            modelled.pop(metadata, None)
        if SERVICES[service] == "query" and message_member == "message":
            message_member = None  # AWS's XML says `Message` whatever the model says
        expected = members | ({message_member: "It is <so> & \u00fc."} if message_member else {})
        assert modelled == expected, shape.name
