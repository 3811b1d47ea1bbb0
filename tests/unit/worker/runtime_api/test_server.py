"""The answer to `next`: prepared bytes and general rendering say the same."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lambent.http.rendering import PreparedResponse, date_line, render
from lambent.model.execution import Invocation
from lambent.model.ids import RequestId
from lambent.worker.runtime_api.server import next_response

INVOCATION = Invocation(
    request_id=RequestId("8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
    payload=b'{"key": "value"}',
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:custom-runtime",
    trace_header="Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
    timeout_s=3,
)
_DATE = re.compile(rb"Date: [^\r]+")


@pytest.mark.parametrize("payload", [b"{}", b"x" * 200_000])
def test_the_prepared_event_is_the_rendered_one(payload: bytes) -> None:
    response = next_response(replace(INVOCATION, payload=payload), 1542409706888)
    assert isinstance(response, PreparedResponse)
    prepared = response.prepared(date_line())
    assert prepared is not None
    general = response.general()
    rendered = render(general, True, False, False)[0]
    assert _DATE.sub(b"", prepared[0]) == _DATE.sub(b"", rendered)
    assert prepared[1] == general.body == payload


@pytest.mark.parametrize(
    "changes",
    [
        {"client_context": b'{"custom": "\xc3\xa9"}'},
        {"cognito_identity": "{}"},
        {"trace_header": "Root=\xe9"},
        {"trace_header": "Root=1\tx"},
    ],
)
def test_what_is_not_usual_is_left_to_the_general_way(changes: dict[str, object]) -> None:
    response = next_response(replace(INVOCATION, **changes), 1542409706888)  # type: ignore[arg-type]
    assert isinstance(response, PreparedResponse)
    assert response.prepared(date_line()) is None
    assert render(response.general(), True, False, False)[0]
