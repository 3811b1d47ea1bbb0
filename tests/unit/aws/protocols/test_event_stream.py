"""Event stream frames, read back by botocore."""

from __future__ import annotations

import json
from typing import Any

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.protocols import event_stream


def read(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    buffer: Any = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.text("abcdefgh:-", min_size=1, max_size=255), st.text(max_size=300), max_size=5),
            st.binary(max_size=300),
        ),
        max_size=4,
    )
)
def test_frames_are_read_back(messages: list[tuple[dict[str, str], bytes]]) -> None:
    try:
        encoded = [event_stream.frame(headers, payload) for headers, payload in messages]
    except UnicodeEncodeError:  # a lone surrogate is no text
        return
    assert read(b"".join(encoded)) == messages


def test_an_event_and_an_exception_by_name() -> None:
    [(headers, payload)] = read(event_stream.event("sessionUpdate", {"a": [1, "é"]}))
    assert headers == {":message-type": "event", ":event-type": "sessionUpdate", ":content-type": "application/json"}
    assert json.loads(payload) == {"a": [1, "é"]}
    [(headers, payload)] = read(event_stream.exception("SessionTimeoutException", "over"))
    assert (headers[":message-type"], headers[":exception-type"]) == ("exception", "SessionTimeoutException")
    assert json.loads(payload) == {"message": "over"}
