"""Which trace header a function is given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambent.invoke.recursion import LoopSwitches
from lambent.invoke.tracing import Tracing
from lambent.model.arn import FunctionId
from lambent.model.errors import RecursiveInvocationException
from lambent.model.function import FunctionVersion, LoggingConfig
from lambent.model.ids import AccountId, Region, RevisionId
from lambent.model.tracing import mark_of, parse_trace_header
from lambent.store.api import RECURSION_CONFIGS, Put
from lambent.store.memory import MemoryStore
from lambent.testing.clock import ManualClock

FUNCTION = FunctionId(AccountId("000000000000"), Region("us-east-1"), "f")
ROOT = "1-5759e988-bd862e3fe1be46a994272793"
PARENT = "53995c3f42cd8ad8"
VERSION = FunctionVersion(
    *(FUNCTION, "$LATEST", "arn:aws:iam::000000000000:role/r", "digest", "sha256", 1, RevisionId("r"), "e"),
    last_modified="2026-11-23T10:00:00.000+0000",
    logging=LoggingConfig("Text", "/aws/lambda/f"),
)
ACTIVE = replace(VERSION, tracing_mode="Active")
MARK = mark_of(FUNCTION)


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.switches = LoopSwitches(self.store)
        self.draws = 0.5
        self.tracing = Tracing(self.switches, self.clock, lambda: self.draws)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("version", "given", "sampled"),
    [
        (VERSION, f"Root={ROOT};Parent={PARENT};Sampled=1", True),
        (VERSION, f"Root={ROOT};Parent={PARENT};Sampled=0", False),
        (VERSION, f"Root={ROOT};Parent={PARENT}", False),
        (ACTIVE, f"Root={ROOT};Parent={PARENT};Sampled=1", True),
        (ACTIVE, f"Root={ROOT};Parent={PARENT};Sampled=0", False),
        (ACTIVE, f"Root={ROOT};Parent={PARENT}", True),
    ],
)
async def test_a_trace_is_continued(world: World, version: FunctionVersion, given: str, sampled: bool) -> None:
    header = parse_trace_header(await world.tracing.header(version, given))
    assert (header.root, header.parent, header.sampled) == (ROOT, PARENT, sampled)


@pytest.mark.parametrize("given", [None, "", "nonsense"])
async def test_a_trace_is_begun(world: World, given: str | None) -> None:
    one, other = [await world.tracing.header(VERSION, given) for _ in range(2)]
    assert one.endswith(f";Sampled=0;Lineage=1:{MARK}:0")
    assert None not in (parse_trace_header(one).root, parse_trace_header(one).parent)
    assert one != other


async def test_active_tracing_samples_the_first_of_each_second_and_a_part_of_the_rest(world: World) -> None:
    def sampled() -> Any:
        return parse_trace_header(world.tracing.begun(ACTIVE)).sampled

    assert [sampled() for _ in range(3)] == [True, False, False]
    world.draws = 0.049
    assert sampled()
    world.draws = 0.05
    assert not sampled()
    world.clock.advance(1)
    assert sampled()


async def test_a_loop_ends_unless_the_function_may_loop(world: World) -> None:
    last = f"Root={ROOT};Lineage=15:{MARK}:14"
    assert (await world.tracing.header(VERSION, last)).endswith(f"Lineage=16:{MARK}:15")
    over = f"Root={ROOT};Lineage=16:{MARK}:15"
    with pytest.raises(RecursiveInvocationException, match="recursive loop"):
        await world.tracing.header(VERSION, over)
    key = f"{FUNCTION.key}/$LATEST"
    await world.store.commit([Put(RECURSION_CONFIGS, key, {"recursive_loop": "Allow"})])
    assert (await world.tracing.header(VERSION, over)).endswith(f"Lineage=16:{MARK}:15")
    await world.store.commit([Put(RECURSION_CONFIGS, key, {"recursive_loop": "Terminate"})])
    with pytest.raises(RecursiveInvocationException):
        await world.tracing.header(VERSION, over)
