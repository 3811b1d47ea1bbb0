"""What our own bootstraps and the server say to each other on a channel, in bytes. Pure.

It is the Runtime API's content without HTTP: one frame of the runtime's, one of the server's, and so on. Numbers are
big-endian.

A runtime's: u8 what it posts (0 nothing, 1 a response, 2 an error, 3 that its init failed), plus 16 if it asks for the
next event as well; u8, u16, u64: lengths of request id, error type and body; then those three.

The server's: u32, u32: lengths of head and body; then those two. The head is JSON, [status of what was posted, event];
the event is null when none was asked for or given, and else [request id, deadline in ms since the epoch, function ARN,
trace id, tenant id, client context, Cognito identity], with null for what there is not. The body is the payload of the
event, or of a refusal what the Runtime API says of it.
"""

from __future__ import annotations

import json
import struct
from typing import Final

import orjson

from lambent.model.execution import Invocation

NOTHING: Final = 0
RESPONSE: Final = 1
ERROR: Final = 2
INIT_ERROR: Final = 3
AND_NEXT: Final = 16
KINDS: Final = frozenset({RESPONSE, ERROR, INIT_ERROR, *(kind + AND_NEXT for kind in range(INIT_ERROR + 1))})

HEAD: Final = struct.Struct(">BBHQ")
"""The beginning of a runtime's frame."""
_ANSWER: Final = struct.Struct(">II")


def event(status: int, invocation: Invocation, deadline_ms: int) -> bytes:
    """An event, after what was posted got `status`."""
    context = invocation.client_context
    head = orjson.dumps(
        (
            status,
            (
                invocation.request_id,
                deadline_ms,
                invocation.invoked_function_arn,
                invocation.trace_header,
                invocation.tenant_id,
                None if context is None else ascii_json(context),
                invocation.cognito_identity,
            ),
        )
    )
    payload = invocation.payload
    return _ANSWER.pack(len(head), len(payload)) + head + payload


def answer(status: int, body: bytes = b"") -> bytes:
    """An answer without an event."""
    head = b"[%d,null]" % status
    return _ANSWER.pack(len(head), len(body)) + head + body


def ascii_json(document: bytes) -> str:
    """JSON re-written in ASCII, which means the same: a header cannot carry every byte."""
    return json.dumps(orjson.loads(document), separators=(",", ":"))
