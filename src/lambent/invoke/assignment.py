"""Assignment: which environment handles which invocation. Synchronous; returns actions, does no I/O.

One `Assignment` per pool (a function version at one revision, of one tenant). Its state is two things: the queue
of waiting invocations, and the environments with what each is doing. After every change the rule is applied in this
order: give a waiting invocation to the most recently used idle environment (the least used ones can then grow old
and be retired), else let it wait for an environment that is starting, else start one. With `Patience` an invocation may
first wait a moment for a busy environment; `overdue` is to be called while some do. Times are seconds, of any clock.

An environment takes one invocation at a time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from lambent.invoke.patience import Patience
from lambent.model.ids import EnvironmentId
from lambent.model.values import value

Waiting = TypeVar("Waiting")

_NEVER = math.inf


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

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience
        self._queue: deque[tuple[Waiting, float]] = deque()  # and until when it waits for a busy one
        self._patient = 0  # of these, how many wait for a busy one
        self._busy: dict[EnvironmentId, float] = {}  # since when
        self._activity: dict[EnvironmentId, Activity] = {}
        self._idle: list[EnvironmentId] = []  # the last one was used most recently
        self._starting = 0
        self.retired = False

    def submit(self, invocation: Waiting, now: float = 0.0) -> Action[Waiting]:
        """A new invocation: hand it out now, or queue it (and start an environment if none is on its way to it)."""
        patience, busy = self.patience, len(self._busy)
        if patience is not None and busy and patience.is_worth_it(busy):
            self._queue.append((invocation, now + patience.wait_s(len(self._queue), busy)))
            self._patient += 1
            return Start(0)
        if self._idle and not self._impatient:
            return self._hand(invocation, now)
        self._queue.append((invocation, _NEVER))
        return Start(self._missing())

    def overdue(self, now: float) -> list[Action[Waiting]]:
        """Have those who waited too long for a busy environment run elsewhere: on idle ones, or on new ones."""
        late = sum(until <= now for _, until in self._queue)
        if not late:
            return []
        if self.patience is not None:
            self.patience.lost()
        self._queue = deque((invocation, _NEVER if until <= now else until) for invocation, until in self._queue)
        self._patient -= late
        actions: list[Action[Waiting]] = []
        while self._idle and self._impatient:
            actions.append(self._hand(self._take(), now))
        if (missing := self._missing()) > 0:
            actions.append(Start(missing))
        return actions

    def started(self, environment_id: EnvironmentId) -> None:
        """A `Start` was carried out: this environment is on its way."""
        self._activity[environment_id] = Activity.STARTING
        self._starting += 1

    def ready(self, environment_id: EnvironmentId, now: float = 0.0) -> Action[Waiting] | None:
        """An environment asks for work."""
        since = self._busy.get(environment_id)
        if since is not None and self.patience is not None:
            self.patience.learn(now - since)
        self._leave(environment_id)
        if self._queue:
            self._activity[environment_id] = Activity.BUSY
            self._busy[environment_id] = now
            return Hand(self._take(), environment_id)
        if self.retired:
            return Stop(environment_id)
        self._activity[environment_id] = Activity.IDLE
        self._idle.append(environment_id)
        return None

    def ended(self, environment_id: EnvironmentId) -> Action[Waiting] | None:
        """An environment is gone. Those waiting may need another one."""
        self._leave(environment_id)
        missing = self._missing()
        return Start(missing) if missing > 0 else None

    def resubmit(self, invocation: Waiting, now: float = 0.0) -> Action[Waiting]:
        """An invocation whose environment died before the hand-off: it goes to the front."""
        if self._idle:
            return self._hand(invocation, now)
        self._queue.appendleft((invocation, _NEVER))
        return Start(self._missing())

    def give_up(self, limit: int | None = None) -> list[Waiting]:
        """Take out waiting invocations, oldest first (they cannot be served)."""
        count = len(self._queue) if limit is None else min(limit, len(self._queue))
        return [self._take() for _ in range(count)]

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
    def patient(self) -> int:
        """How many invocations wait for a busy environment: call `overdue` while there are any."""
        return self._patient

    @property
    def starting(self) -> int:
        """How many environments are starting."""
        return self._starting

    @property
    def environments(self) -> int:
        """How many environments there are, starting ones included."""
        return len(self._activity)

    @property
    def _impatient(self) -> int:
        """How many invocations wait for any environment."""
        return len(self._queue) - self._patient

    def _missing(self) -> int:
        """How many environments to start. Those who wait for a busy one need none, as long as there is one."""
        waiting = self._impatient if self._busy else len(self._queue)
        return max(0, waiting - self._starting)

    def _take(self) -> Waiting:
        invocation, until = self._queue.popleft()
        self._patient -= until != _NEVER
        return invocation

    def _hand(self, invocation: Waiting, now: float) -> Hand[Waiting]:
        environment_id = self._idle.pop()
        self._activity[environment_id] = Activity.BUSY
        self._busy[environment_id] = now
        return Hand(invocation, environment_id)

    def _leave(self, environment_id: EnvironmentId) -> None:
        self._busy.pop(environment_id, None)
        match self._activity.pop(environment_id, None):
            case Activity.STARTING:
                self._starting -= 1
            case Activity.IDLE:
                self._idle.remove(environment_id)
            case _:
                pass
