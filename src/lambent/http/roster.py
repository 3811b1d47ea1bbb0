"""What the connections of one server share: who handles, the limits, and the one timer that looks after them all.

A timer per request would cost more than parsing it, so connections only note the tick in which they began to wait,
and one sweep per interval compares. It runs only while some connection waits for its client: a server whose exchanges
all lie with their handlers (an idle Runtime API) costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from lambent.http.limits import HttpLimits
from lambent.http.messages import Handler, Policy

logger = logging.getLogger(__name__)


class Member(Protocol):
    """A connection, as the roster sees it."""

    def sweep(self) -> bool:
        """Give up on a client that took too long. True: waiting for the client, look again."""
        ...

    def drain(self) -> None:
        """Close when idle, else after the exchanges in hand."""
        ...

    def abort(self) -> None:
        """Close now."""
        ...


class Roster:
    """The connections of one server. `tick` counts sweeps; `held_bytes`, what is kept of bodies of some size."""

    __slots__ = (
        "_emptied",
        "_interval_s",
        "handler",
        "held_bytes",
        "limits",
        "loop",
        "members",
        "name",
        "policy",
        "stopping",
        "streams",
        "sweeping",
        "tick",
    )

    def __init__(self, handler: Handler, policy: Policy, limits: HttpLimits, name: str) -> None:
        self.handler = handler
        self.policy = policy
        self.limits = limits
        self.name = name
        self.loop = asyncio.get_running_loop()
        self.members: set[Member] = set()
        self.streams: set[asyncio.Task[None]] = set()
        self.stopping = False
        self.tick = 0
        self.held_bytes = 0
        self._interval_s = limits.sweep_interval_s
        self.sweeping: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None

    def arm(self) -> None:
        """See to it that a sweep comes. Called by a connection that begins to wait for its client."""
        if self.sweeping is None:
            self.sweeping = self.loop.call_later(self._interval_s, self._sweep)

    def expired(self, since: int, timeout_s: float) -> bool:
        """Whether `timeout_s` has passed since tick `since`, the part of a tick in which it began not counted."""
        return (self.tick - since - 1) * self._interval_s >= timeout_s

    def _sweep(self) -> None:
        self.sweeping = None
        self.tick += 1
        waiting = False
        for member in list(self.members):
            try:
                if member.sweep():
                    waiting = True
            except Exception:  # supervision point: one connection's failure must not end the care for the others
                logger.exception("looking after a connection failed", extra={"server": self.name})
                member.abort()
        if waiting:
            self.arm()

    def leave(self, member: Member) -> None:
        """`member` has lost its connection."""
        self.members.discard(member)
        if self._emptied is not None and not self.members:
            self._emptied.set()

    async def emptied(self, timeout_s: float | None) -> bool:
        """Wait until the last member has left; False when `timeout_s` passed before."""
        if not self.members:
            return True
        if self._emptied is None:
            self._emptied = asyncio.Event()
        try:
            await asyncio.wait_for(self._emptied.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def stop_sweeping(self) -> None:
        if self.sweeping is not None:
            self.sweeping.cancel()
            self.sweeping = None
