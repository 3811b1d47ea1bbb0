"""Assignment: which environment handles which invocation. Synchronous; returns actions, does no I/O.

One `Assignment` per pool (a function version at one revision, of one tenant). Its state is two things: the queue
of waiting invocations, and the environments with what each is doing. After every change the rule is applied in this
order: give a waiting invocation to the most recently used idle environment (the least used ones can then grow old
and be retired), else let it wait for an environment that is starting, else start one.

An environment takes one invocation at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from lambent.model.ids import EnvironmentId
from lambent.model.values import value

Waiting = TypeVar("Waiting")


class Activity(Enum):
    """What an environment is doing, seen from here."""

    STARTING = auto()
    IDLE = auto()
    BUSY = auto()


@value
class Hand(Generic[Waiting]):
    """Give the invocation to the environment."""

    invocation: Waiting
    environment_id: EnvironmentId


@dataclass(frozen=True, slots=True)
class Start:
    """Start that many more environments."""

    count: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop an idle (or, on retirement, surplus) environment."""

    environment_id: EnvironmentId


Action = Hand[Waiting] | Start | Stop


class Assignment(Generic[Waiting]):
    """The queue and the environments of one pool."""

    def __init__(self) -> None:
        self._queue: deque[Waiting] = deque()
        self._activity: dict[EnvironmentId, Activity] = {}
        self._idle: list[EnvironmentId] = []  # the last one was used most recently
        self._starting = 0
        self.retired = False

    def submit(self, invocation: Waiting) -> Action[Waiting]:
        """A new invocation: hand it out now, or queue it (and start an environment if none is on its way to it)."""
        if self._idle and not self._queue:
            return self._hand(invocation)
        self._queue.append(invocation)
        return Start(max(0, len(self._queue) - self._starting))

    def started(self, environment_id: EnvironmentId) -> None:
        """A `Start` was carried out: this environment is on its way."""
        self._activity[environment_id] = Activity.STARTING
        self._starting += 1

    def ready(self, environment_id: EnvironmentId) -> Action[Waiting] | None:
        """An environment asks for work."""
        self._leave(environment_id)
        if self._queue:
            self._activity[environment_id] = Activity.BUSY
            return Hand(self._queue.popleft(), environment_id)
        if self.retired:
            return Stop(environment_id)
        self._activity[environment_id] = Activity.IDLE
        self._idle.append(environment_id)
        return None

    def ended(self, environment_id: EnvironmentId) -> Action[Waiting] | None:
        """An environment is gone. Those waiting may need another one."""
        self._leave(environment_id)
        missing = len(self._queue) - self._starting
        return Start(missing) if missing > 0 else None

    def resubmit(self, invocation: Waiting) -> Action[Waiting]:
        """An invocation whose environment died before the hand-off: it goes to the front."""
        if self._idle:
            return self._hand(invocation)
        self._queue.appendleft(invocation)
        return Start(max(0, len(self._queue) - self._starting))

    def give_up(self, limit: int | None = None) -> list[Waiting]:
        """Take out waiting invocations, oldest first (they cannot be served)."""
        count = len(self._queue) if limit is None else min(limit, len(self._queue))
        return [self._queue.popleft() for _ in range(count)]

    def retire(self) -> list[Stop]:
        """No new work will come: stop what is idle now, and the rest when it is done (a queue is still served)."""
        self.retired = True
        stops = [Stop(environment_id) for environment_id in self._idle]
        self._idle.clear()
        for stop in stops:
            del self._activity[stop.environment_id]
        return stops

    def stop_idle(self, environment_id: EnvironmentId) -> bool:
        """Take an idle environment out, to be stopped. False if it is not idle (any more)."""
        if self._activity.get(environment_id) is not Activity.IDLE:
            return False
        self._leave(environment_id)
        return True

    @property
    def idle(self) -> Iterator[EnvironmentId]:
        """Idle environments, the least recently used first."""
        return iter(tuple(self._idle))

    @property
    def waiting(self) -> int:
        """How many invocations wait."""
        return len(self._queue)

    @property
    def starting(self) -> int:
        """How many environments are starting."""
        return self._starting

    @property
    def environments(self) -> int:
        """How many environments there are, starting ones included."""
        return len(self._activity)

    def _hand(self, invocation: Waiting) -> Hand[Waiting]:
        environment_id = self._idle.pop()
        self._activity[environment_id] = Activity.BUSY
        return Hand(invocation, environment_id)

    def _leave(self, environment_id: EnvironmentId) -> None:
        match self._activity.pop(environment_id, None):
            case Activity.STARTING:
                self._starting -= 1
            case Activity.IDLE:
                self._idle.remove(environment_id)
            case _:
                pass
