"""Waiting a moment for a busy environment: only where that is short, never for long, not with time to spare."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from lambent.invoke.assignment import Action, Assignment, Hand, Start
from lambent.invoke.patience import CHECK_S, SHORT_S, Patience
from lambent.model.ids import EnvironmentId

SHORT = 0.0003


def learnt(duration_s: float = SHORT, at_once: int = 2) -> Patience:
    patience = Patience(at_once)
    for _ in range(40):
        patience.learn(duration_s)
    return patience


def busy_pool(patience: Patience, running: int) -> Assignment[int]:
    """A pool with that many running invocations."""
    pool: Assignment[int] = Assignment()
    for number in range(running):
        pool.submit(-number, 0.0)
        pool.started(EnvironmentId(str(number)))
    for number in range(running):
        assert isinstance(pool.ready(EnvironmentId(str(number)), 0.0), Hand)
    pool.patience = patience
    return pool


def test_a_pool_that_has_not_learnt_starts_at_once() -> None:
    assert busy_pool(Patience(2), 2).submit(1, 0.0) == Start(1)


def test_a_short_invocation_waits_for_a_busy_environment_and_gets_the_first_that_is_done() -> None:
    pool = busy_pool(learnt(), 2)
    assert pool.submit(1, 1.0) == Start(0)
    assert pool.submit(2, 1.0) == Start(0)
    assert pool.patient == 2
    assert pool.ready(EnvironmentId("1"), 1.0003) == Hand(1, EnvironmentId("1"))
    assert pool.ready(EnvironmentId("0"), 1.0004) == Hand(2, EnvironmentId("0"))
    assert pool.patient == 0


def test_fewer_than_the_host_can_run_never_wait() -> None:
    assert busy_pool(learnt(at_once=3), 2).submit(1, 0.0) == Start(1)


def test_invocations_that_are_not_short_never_wait() -> None:
    assert busy_pool(learnt(SHORT_S * 2), 2).submit(1, 0.0) == Start(1)


def test_who_waited_too_long_runs_elsewhere_and_nobody_waits_any_more() -> None:
    pool = busy_pool(learnt(), 2)
    for number in (1, 2, 3):
        pool.submit(number, 1.0)
    assert pool.overdue(1.0 + CHECK_S / 2) == []
    assert pool.overdue(1.0 + 2 * CHECK_S) == [Start(3)]
    assert pool.patient == 0
    assert pool.submit(4, 1.0 + 2 * CHECK_S) == Start(4)


def test_who_waited_too_long_takes_an_idle_environment_first() -> None:
    pool = busy_pool(learnt(), 3)
    assert pool.ready(EnvironmentId("2"), 0.0003) is None
    pool.submit(1, 1.0)
    pool.submit(2, 1.0)
    assert pool.overdue(1.0 + 2 * CHECK_S) == [Hand(1, EnvironmentId("2")), Start(1)]


def test_who_does_not_wait_takes_an_idle_environment_while_others_wait_for_a_busy_one() -> None:
    pool = busy_pool(learnt(), 3)
    assert pool.ready(EnvironmentId("2"), 0.0003) is None
    assert pool.submit(1, 1.0) == Start(0)
    assert pool.patience is not None
    pool.patience.lost()
    assert pool.submit(2, 1.0) == Hand(2, EnvironmentId("2"))
    assert pool.submit(3, 1.0) == Start(1)


def test_one_long_invocation_ends_the_patience() -> None:
    pool = busy_pool(learnt(), 3)
    pool.ready(EnvironmentId("0"), 1.0)  # it had run for a second
    assert isinstance(pool.submit(1, 1.0), Hand)
    assert pool.submit(2, 1.0) == Start(1)


def test_with_time_to_spare_more_run_at_once_and_fewer_when_it_is_over() -> None:
    patience = learnt()
    assert patience.is_worth_it(2)
    patience.adapt(0.5)
    assert not patience.is_worth_it(3)
    assert patience.is_worth_it(4)
    for _ in range(10):
        patience.adapt(0.0)
    assert patience.is_worth_it(2)


def test_without_any_environment_left_those_who_wait_get_new_ones() -> None:
    pool = busy_pool(learnt(), 2)
    pool.submit(1, 0.0)
    pool.submit(2, 0.0)
    assert pool.ended(EnvironmentId("0")) is None
    assert pool.ended(EnvironmentId("1")) == Start(2)


class World:
    """Carries out what a pool decides, and holds it to its promises."""

    def __init__(self) -> None:
        self.pool: Assignment[int] = Assignment(learnt())
        self.running: set[EnvironmentId] = set()
        self.starting: set[EnvironmentId] = set()
        self.handed: list[int] = []
        self.submitted = 0
        self._names = 0

    def carry_out(self, actions: Sequence[Action[int] | None], *, no_more_than_needed: bool = False) -> None:
        for action in actions:
            if isinstance(action, Hand):
                assert action.environment_id not in self.running
                self.running.add(action.environment_id)
                self.handed.append(action.invocation)
            elif isinstance(action, Start):
                assert not (no_more_than_needed and action.count and list(self.pool.idle))
                for _ in range(action.count):
                    self._names += 1
                    self.starting.add(EnvironmentId(f"e{self._names}"))
                    self.pool.started(EnvironmentId(f"e{self._names}"))

    def step(self, what: str, number: int, now: float) -> None:
        if what == "submit":
            self.submitted += 1
            self.carry_out([self.pool.submit(self.submitted, now)], no_more_than_needed=True)
        elif what == "overdue":
            self.carry_out(self.pool.overdue(now + number / 1_000), no_more_than_needed=True)
        elif what in ("learn", "lose") and self.pool.patience is not None:
            if what == "lose":
                self.pool.patience.lost()
            for _ in range(16 if what == "learn" else 0):
                self.pool.patience.learn(SHORT)
        elif candidates := sorted(self.starting | self.running):
            chosen = candidates[number % len(candidates)]
            self.starting.discard(chosen)
            self.running.discard(chosen)
            self.carry_out([self.pool.ready(chosen, now) if what == "ready" else self.pool.ended(chosen)])


@given(
    st.lists(
        st.tuples(st.sampled_from(["submit", "ready", "overdue", "end", "learn", "lose"]), st.integers(0, 9)),
        max_size=80,
    )
)
def test_nobody_is_forgotten(steps: list[tuple[str, int]]) -> None:
    """Whatever happens: each invocation is handed out once, an environment has one, and who waits has hope."""
    world, now = World(), 0.0
    for what, number in steps:
        now += number / 10_000
        world.step(what, number, now)
        if world.pool.waiting:
            assert world.starting or (world.running and world.pool.patient)
    assert len(world.handed) == len(set(world.handed))
    assert len(world.handed) + world.pool.waiting == world.submitted
