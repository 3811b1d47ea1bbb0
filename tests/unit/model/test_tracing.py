"""Trace headers, and loops seen by their lineage."""

from __future__ import annotations

import itertools

import pytest

from lambent.model.arn import FunctionId
from lambent.model.ids import AccountId, Region
from lambent.model.tracing import LOOP_MAX, Lineage, TraceHeader, mark_of, parse_trace_header

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
PARENT = "53995c3f42cd8ad8"


@pytest.mark.parametrize(
    ("text", "header"),
    [
        (None, TraceHeader()),
        ("", TraceHeader()),
        (f"Root={ROOT};Parent={PARENT};Sampled=1", TraceHeader(ROOT, PARENT, True)),
        (f"Root={ROOT}; Sampled=0", TraceHeader(ROOT, None, False)),
        (f"Self=1-67891234-12456789abcdef012345678;Root={ROOT}", TraceHeader(ROOT)),
        (f"Root={ROOT};Sampled=?", TraceHeader(ROOT)),
        ("Root=1-xyz;Parent=zz;Sampled=2;Lineage=a87bd80c:1|68fd508a:5", TraceHeader()),
        (f"Root={ROOT};Lineage=3:e65a2c4d:1", TraceHeader(ROOT, lineage=Lineage(3, "e65a2c4d", 1))),
        ("nonsense", TraceHeader()),
        (f"Root={ROOT}" + ";" * 2000, TraceHeader()),
    ],
)
def test_reading(text: str | None, header: TraceHeader) -> None:
    assert parse_trace_header(text) == header


def test_writing_is_the_inverse_of_reading() -> None:
    header = TraceHeader(ROOT, PARENT, False, Lineage(32_767, "00000000", 15))
    assert str(header) == f"Root={ROOT};Parent={PARENT};Sampled=0;Lineage=32767:00000000:15"
    assert parse_trace_header(str(header)) == header


def runs_before_the_stop(first: list[str], loop: list[str]) -> list[str]:
    """The functions that run when calls go through `first` once and then round and round in `loop`."""
    lineage = None
    ran: list[str] = []
    for name in itertools.chain(first, itertools.cycle(loop)):
        mark = mark_of(FunctionId(AccountId("000000000000"), Region("us-east-1"), name))
        lineage = Lineage(1, mark, 0) if lineage is None else lineage.then(mark)
        if lineage.is_loop:
            return ran
        ran.append(name)
    raise AssertionError("unreachable")


def test_a_function_that_calls_itself_runs_16_times() -> None:
    assert runs_before_the_stop([], ["a"]) == ["a"] * LOOP_MAX


@pytest.mark.parametrize("before", range(9))
@pytest.mark.parametrize("around", range(1, 9))
def test_every_loop_is_found_whatever_comes_before_it(before: int, around: int) -> None:
    loop = [f"loop-{number}" for number in range(around)]
    ran = runs_before_the_stop([f"before-{number}" for number in range(before)], loop)
    most = max(ran.count(name) for name in loop)
    assert LOOP_MAX <= most <= LOOP_MAX + 1 + (2 * max(before, around) + 1) // around


def test_a_long_chain_without_a_loop_is_never_stopped() -> None:
    lineage = Lineage(1, mark_of(FunctionId(AccountId("0"), Region("r"), "first")), 0)
    for number in range(40_000):
        lineage = lineage.then(f"{number:08x}")
        assert not lineage.is_loop
    assert lineage.hops == 32_767
