"""How events are written down."""

from __future__ import annotations

import pytest

from lambent.async_invoke.events import Event, function_of, queue_of
from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.ids import AccountId, Region, RequestId

FUNCTION = FunctionId(AccountId("000000000000"), Region("us-east-1"), "f")


@pytest.mark.parametrize("qualifier", [None, "$LATEST", "7", "live"])
@pytest.mark.parametrize("trace_header", [None, "Root=1-5759e988-bd862e3fe1be46a994272793"])
@pytest.mark.parametrize("payload", [b"{}", b'{\n "a": "\xc3\xa9"\n}\n', b"null"])
def test_an_event_is_read_as_it_was_written(qualifier: str | None, trace_header: str | None, payload: bytes) -> None:
    event = Event(FunctionReference(FUNCTION, qualifier), RequestId("id"), payload, trace_header)
    assert Event.from_body(FUNCTION, "id", event.to_body()) == event


def test_every_function_has_its_queue() -> None:
    assert queue_of(FUNCTION) == "async/000000000000/us-east-1/f"
    assert function_of(queue_of(FUNCTION)) == FUNCTION
