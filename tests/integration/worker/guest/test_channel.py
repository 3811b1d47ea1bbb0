"""The bootstraps at the other end of a channel: what they say there, and to whom they leave it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from lambent.model import limits
from lambent.model.execution import Invocation
from lambent.model.ids import RequestId
from lambent.worker.runtime_api.calls import Poll
from lambent.worker.runtime_api.channel import RuntimeChannel
from lambent.worker.runtime_api.machine import RuntimeMachine

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:fn"
PYTHON = """
import os
def handler(event, context):
    what = event["what"]
    if what == "fail":
        raise KeyError(event["message"])
    if what == "large":
        return "x" * event["size"]
    if what == "count":
        return len(event["data"])
    if what == "context":
        return [context.aws_request_id, context.invoked_function_arn, context.tenant_id, context.client_context.custom,
                context.identity.cognito_identity_id, os.environ["_X_AMZN_TRACE_ID"],
                context.get_remaining_time_in_millis() > 1000, "_LAMBENT_CHANNEL_FD" in os.environ]
    return {"echo": event}
"""
NODE = """
exports.handler = async (event, context) => {
  const { what } = event;
  if (what === "fail") throw Object.assign(new Error(event.message), { name: "KeyError" });
  if (what === "large") return "x".repeat(event.size);
  if (what === "count") return event.data.length;
  if (what === "context")
    return [context.awsRequestId, context.invokedFunctionArn, context.tenantId ?? null, context.clientContext.custom,
      context.identity.cognitoIdentityId, process.env._X_AMZN_TRACE_ID, context.getRemainingTimeInMillis() > 1000,
      process.env._LAMBENT_CHANNEL_FD !== undefined];
  return { echo: event };
};
"""


@dataclass
class Server:
    """The server's end, with its rules: `invoke` hands an event out and waits for the answer."""

    machine: RuntimeMachine = field(default_factory=RuntimeMachine)
    polls: asyncio.Queue[Poll] = field(default_factory=asyncio.Queue)
    answers: asyncio.Queue[tuple[str, bytes]] = field(default_factory=asyncio.Queue)
    _count: int = 0

    def wait_for_event(self, poll: Poll) -> None:
        self.machine.next()
        self.polls.put_nowait(poll)

    def poll_lost(self, poll: Poll) -> None:
        self.machine.poll_lost()

    def response(self, request_id: str, payload: bytes) -> None:
        self.machine.response(request_id)
        self.answers.put_nowait(("response", payload))

    def error(self, request_id: str, payload: bytes, error_type: str | None) -> None:
        self.machine.error(request_id)
        self.answers.put_nowait((error_type or "", payload))

    def init_error(self, payload: bytes, error_type: str | None) -> None:
        self.machine.init_error()
        self.answers.put_nowait((f"init: {error_type}", payload))

    def response_too_large(self, request_id: str) -> None:
        self.machine.response(request_id)
        self.answers.put_nowait(("too large", b"null"))

    async def invoke(self, event: object, **changes: Any) -> tuple[str, Any]:
        self._count += 1
        request_id = RequestId(f"00000000-0000-4000-8000-{self._count:012d}")
        poll = await asyncio.wait_for(self.polls.get(), 20)
        self.machine.hand_out(request_id)
        payload = json.dumps(event).encode()
        poll.hand_out(Invocation(request_id, payload, ARN, "Root=1-5bef4de7", 3, **changes), 99999999999999)
        kind, answer = await asyncio.wait_for(self.answers.get(), 20)
        return kind, json.loads(answer)


@pytest.fixture
async def sockets() -> AsyncIterator[tuple[Server, socket.socket]]:
    server = Server()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    channel = RuntimeChannel(server, ours)
    await channel.open()
    yield server, theirs
    theirs.close()
    await channel.close()


Ends = tuple[Server, socket.socket]


async def test_a_python_guest_on_its_channel(start_guest: Any, python_argv: list[str], sockets: Ends) -> None:
    await _whole_life(await start_guest(python_argv, {"index.py": PYTHON}, channel=sockets[1]), sockets[0], sockets[1])


async def test_a_node_guest_on_its_channel(start_guest: Any, node_argv: list[str], sockets: Ends) -> None:
    await _whole_life(await start_guest(node_argv, {"index.js": NODE}, channel=sockets[1]), sockets[0], sockets[1])


async def _whole_life(guest: Any, server: Server, theirs: socket.socket) -> None:
    theirs.close()
    echo = {"what": "é ☃"}
    assert await server.invoke(echo) == ("response", {"echo": echo})
    kind, failure = await server.invoke({"what": "fail", "message": "no\nway"})
    assert (kind, failure["errorType"]) == ("KeyError", "KeyError")
    context = await server.invoke(
        {"what": "context"},
        client_context='{"custom": {"é": 1}}'.encode(),
        cognito_identity='{"cognitoIdentityId": "é"}',
        tenant_id="blue",
    )
    request_id = "00000000-0000-4000-8000-000000000003"
    assert context == ("response", [request_id, ARN, "blue", {"é": 1}, "é", "Root=1-5bef4de7", True, False])
    assert await server.invoke({"what": "count", "data": "é" * 3_000_000}) == ("response", 3_000_000)
    assert (await server.invoke({"what": "large", "size": 6_000_000}))[1] == "x" * 6_000_000
    assert (await server.invoke({"what": "large", "size": limits.SYNC_RESPONSE_MAX_BYTES}))[0] == "too large"
    assert await server.invoke(echo) == ("response", {"echo": echo})
    said = guest.raw_output() + "".join(guest.texts())
    assert "Failed to post handler" in said
    assert "413" in said
    assert guest.api.answers.empty()  # nothing of it went over TCP
    guest.process.kill()
    await guest.exited()


async def test_a_failed_init_on_a_channel(start_guest: Any, python_argv: list[str], sockets: Ends) -> None:
    guest = await start_guest(python_argv, {"index.py": "raise ValueError('no')"}, channel=sockets[1])
    sockets[1].close()
    kind, failure = await asyncio.wait_for(sockets[0].answers.get(), 20)
    assert (kind, json.loads(failure)["errorMessage"]) == ("init: ValueError", "no")
    assert await guest.exited() == 1


async def test_a_failed_init_of_node_on_a_channel(start_guest: Any, node_argv: list[str], sockets: Ends) -> None:
    guest = await start_guest(node_argv, {"index.js": "throw new TypeError('no')"}, channel=sockets[1])
    sockets[1].close()
    kind, failure = await asyncio.wait_for(sockets[0].answers.get(), 20)
    assert (kind, json.loads(failure)["errorMessage"]) == ("init: TypeError", "no")
    assert await guest.exited() != 0


async def test_a_guest_whose_channel_ends_does_so_too(start_guest: Any, python_argv: list[str]) -> None:
    ours, theirs = socket.socketpair()
    guest = await start_guest(python_argv, {"index.py": PYTHON}, channel=theirs)
    theirs.close()
    ours.close()
    assert await guest.exited() == 1


async def test_node_ends_with_its_channel(start_guest: Any, node_argv: list[str]) -> None:
    ours, theirs = socket.socketpair()
    guest = await start_guest(node_argv, {"index.js": NODE}, channel=theirs)
    theirs.close()
    ours.close()
    assert await guest.exited() == 1


@pytest.mark.parametrize("number", ["1023", "1"])
async def test_without_the_socket_a_guest_speaks_http(start_guest: Any, python_argv: list[str], number: str) -> None:
    """Whoever starts the runtime in our place may close what it does not know."""
    guest = await start_guest(python_argv, {"index.py": PYTHON}, env={"_LAMBENT_CHANNEL_FD": number})
    assert (await guest.api.invoke({"what": ""})).json == {"echo": {"what": ""}}


@pytest.mark.parametrize("number", ["1023", "1"])
async def test_without_the_socket_node_speaks_http(start_guest: Any, node_argv: list[str], number: str) -> None:
    guest = await start_guest(node_argv, {"index.js": NODE}, env={"_LAMBENT_CHANNEL_FD": number})
    assert (await guest.api.invoke({"what": ""})).json == {"echo": {"what": ""}}
