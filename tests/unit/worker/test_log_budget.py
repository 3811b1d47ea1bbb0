"""How much a function may print."""

from __future__ import annotations

from lambent.model.limits import MIB
from lambent.observability.logs.events import LogEvent
from lambent.worker.log_budget import WINDOW_S, LogBudget, LogBudgets


class Time:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def lines(count: int, size: int = 1000) -> list[LogEvent]:
    return [LogEvent(number, "x" * size) for number in range(count)]


def test_what_has_room_is_kept_and_the_rest_is_told_of_once() -> None:
    budget = LogBudget(1, Time())
    assert budget.keep(lines(1000)) == lines(1000)
    kept = budget.keep(lines(100))
    assert kept[:-1] == lines(MIB // 1026 - 1000)
    assert "1 MB within an hour" in kept[-1].message
    assert "2023-11-14T23:13:20Z" in kept[-1].message
    assert budget.keep(lines(1, size=1)) == []


def test_the_next_hour_begins_anew() -> None:
    now = Time()
    budget = LogBudget(1, now)
    budget.keep(lines(2000))
    now.now += WINDOW_S - 1
    assert budget.keep(lines(1)) == []
    now.now += 1
    assert budget.keep(lines(1)) == lines(1)
    assert "--log-limit" in budget.keep(lines(2000))[-1].message


def test_empty_lines_count() -> None:
    budget = LogBudget(1, Time())
    assert len(budget.keep(lines(100_000, size=0))) == MIB // 26 + 1


def test_environments_of_a_function_share_one() -> None:
    budgets = LogBudgets(1, Time())
    assert budgets.of("f") is budgets.of("f")
    assert budgets.of("f") is not budgets.of("g")
    assert LogBudgets(0, Time()).of("f") is None
