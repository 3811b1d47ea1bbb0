"""How a runtime writes what it always writes: its answer to an event and, in the same breath, the request for the next.

Ours do (and every runtime that pipelines may): the read is then the same, byte for byte, but for the request id, the
body and its length. `learn` has a read understood by the HTTP parser once; `body` afterwards recognises such reads
with a few comparisons. Pure. What is not recognised is for the parser: nothing is ever guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lambent.http.exchange import HttpExchange
from lambent.http.limits import HttpLimits
from lambent.http.messages import Request, RequestHead, Response
from lambent.http.parsing import READ_MAX_BYTES, Phase, RequestParser
from lambent.worker.runtime_api.paths import INVOCATION, NEXT

_LENGTH_MAX_DIGITS = 5  # of a body that fits into a read that is looked at
_PARTS = re.compile(
    rb"POST \S+ HTTP/1\.1\r\n(?P<fields>(?:[!-~][ -~]*\r\n)*?)"
    rb"Content-Length: (?P<length>0|[1-9][0-9]*)\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Habit:
    """`fields` is between request line and Content-Length, which comes last; `poll` are the bytes of `next`."""

    fields: bytes
    poll: bytes
    next: Request

    def body(self, data: bytes, request_id: str) -> bytes | None:
        """The body of the answer to the event `request_id`, if `data` is that and the request for the next."""
        if len(data) > READ_MAX_BYTES or not data.endswith(self.poll):
            return None
        opening = b"POST %b%b/response HTTP/1.1\r\n%bContent-Length: " % (
            INVOCATION.encode(), request_id.encode(), self.fields,
        )  # fmt: skip
        if not data.startswith(opening):
            return None
        start = len(opening)
        end = data.find(b"\r\n\r\n", start, start + _LENGTH_MAX_DIGITS + 4)
        digits = data[start:end] if end > 0 else b""
        body = data[end + 4 : len(data) - len(self.poll)]
        # As written by `%d`: no sign, no blank, no zero before the number.
        return body if digits == b"%d" % len(body) else None


def learn(data: bytes, request_id: str) -> Habit | None:
    """The habit that a read shows, once the parser has confirmed what it consists of; None if it shows none."""
    parts = _PARTS.match(data)
    if parts is None or len(data) > READ_MAX_BYTES:
        return None
    start, length = parts.end(), int(parts["length"])
    parser = RequestParser(_Nobody(), _Nobody(), HttpLimits())
    parser.feed(data)
    if len(parser.ready) != 2 or parser.phase is not Phase.IDLE or parser.refusal is not None:
        return None
    answer, poll = parser.ready
    path = f"{INVOCATION}{request_id}/response"
    if answer.request.path != path or answer.request.head.target != path or not (answer.keep_alive and poll.keep_alive):
        return None
    if poll.request.head.target != NEXT or poll.request.method != "GET" or poll.request.body:
        return None
    if answer.request.body != data[start : start + length]:
        return None
    return Habit(parts["fields"], data[start + length :], poll.request)


class _Nobody:
    """Connection and policy of a parser that is only asked what bytes mean."""

    client_address = None

    def answer(self, exchange: HttpExchange, response: Response) -> None:
        raise NotImplementedError

    def call_soon(self, callback: object) -> None:
        raise NotImplementedError

    def body_limit(self, head: RequestHead) -> int:
        return READ_MAX_BYTES

    def too_large(self, head: RequestHead, limit: int) -> Response:
        return Response(413)

    def malformed(self, status: int, reason: str) -> Response:
        return Response(status)
