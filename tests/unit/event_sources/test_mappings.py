"""The keeper of mappings: states follow what is stored, through restarts and races; pollers are as they are to be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.event_sources.conftest import mapping_of

from lambent.control_plane.event_source_mappings import (
    EventSourceMapping,
    MappingState,
    read_mapping,
    stored_mapping,
)
from lambent.control_plane.event_sources import SourceKind
from lambent.event_sources.mappings import EventSources
from lambent.event_sources.ports import Report
from lambent.store.api import EVENT_SOURCE_MAPPINGS, Put
from lambent.store.memory import MemoryStore
from lambent.testing.clock import ManualClock

KEY = "000000000000/us-east-1/11111111-2222-4333-8444-555555555555"


class Polling:
    """Implements `ports.Poller`: it ends when it was stopped and `settled` is set; `fails` makes it fail."""

    def __init__(self, mapping: EventSourceMapping, report: Report) -> None:
        self.mapping = mapping
        self.report = report
        self.stopped = asyncio.Event()
        self.settled = asyncio.Event()
        self.settled.set()
        self.fail = asyncio.Event()
        self.in_flight = 1

    async def run(self) -> None:
        failing = asyncio.create_task(self.fail.wait())
        stopping = asyncio.create_task(self.stopped.wait())
        try:
            await asyncio.wait({failing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (failing, stopping):
                task.cancel()
        if self.fail.is_set():
            raise ZeroDivisionError
        await self.settled.wait()
        self.in_flight = 0

    def stop(self) -> None:
        self.stopped.set()

    def is_idle(self) -> bool:
        return self.in_flight == 0

    def next_due(self) -> float | None:
        return 7.0


class World:
    """A store, and what keeps its mappings."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.store = MemoryStore()
        self.pollers: list[Polling] = []
        self.sources = self.new_sources()

    def new_sources(self) -> EventSources:
        def make(mapping: EventSourceMapping, report: Report) -> Polling:
            self.pollers.append(Polling(mapping, report))
            return self.pollers[-1]

        return EventSources(self.store, {SourceKind.SQS: make}, self.clock)

    async def put(self, mapping: EventSourceMapping) -> None:
        await self.store.commit([Put(EVENT_SOURCE_MAPPINGS, KEY, stored_mapping(mapping))])
        await self.turns()

    async def mapping(self) -> EventSourceMapping | None:
        found = await self.store.get(EVENT_SOURCE_MAPPINGS, KEY)
        return read_mapping(found.value) if found is not None else None

    async def state(self) -> str | None:
        found = await self.mapping()
        return found.state.value if found is not None else None

    async def turns(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)


@pytest.fixture
async def world(clock: ManualClock) -> AsyncIterator[World]:
    world = World(clock)
    await world.sources.start()
    yield world
    for poller in world.pollers:
        poller.settled.set()
    await world.sources.close(5)


@pytest.mark.parametrize(
    ("state", "enabled", "following", "polls"),
    [
        (MappingState.CREATING, True, "Enabled", True),
        (MappingState.CREATING, False, "Disabled", False),
        (MappingState.ENABLING, True, "Enabled", True),
        (MappingState.UPDATING, True, "Enabled", True),
        (MappingState.UPDATING, False, "Disabled", False),
        (MappingState.DISABLING, False, "Disabled", False),
        (MappingState.DELETING, False, None, False),
        (MappingState.DISABLED, True, "Enabled", True),  # stored before anything polled
        (MappingState.DISABLED, False, "Disabled", False),
    ],
)
async def test_states(world: World, state: MappingState, enabled: bool, following: str | None, polls: bool) -> None:
    await world.put(mapping_of(enabled, state))
    assert await world.state() == following
    assert len(world.pollers) == polls


async def test_a_change_waits_for_what_runs(world: World) -> None:
    await world.put(mapping_of(state=MappingState.CREATING))
    (poller,) = world.pollers
    poller.settled.clear()
    changed = mapping_of(state=MappingState.UPDATING, BatchSize=3)
    await world.put(changed)
    assert poller.stopped.is_set()
    assert await world.state() == "Updating"
    assert not world.sources.is_idle()
    poller.settled.set()
    await world.turns()
    assert await world.state() == "Enabled"
    assert world.pollers[-1].mapping.settings["BatchSize"] == 3
    assert len(world.pollers) == 2


async def test_a_deletion_waits_too(world: World) -> None:
    await world.put(mapping_of(state=MappingState.CREATING))
    world.pollers[0].settled.clear()
    await world.put(mapping_of(False, MappingState.DELETING))
    assert await world.state() == "Deleting"
    world.pollers[0].settled.set()
    await world.turns()
    assert await world.state() is None
    assert world.sources.in_flight == 0


async def test_a_result_is_told_while_it_lasts(world: World) -> None:
    await world.put(mapping_of(state=MappingState.CREATING))
    (poller,) = world.pollers
    for result in ("PROBLEM: no", None):
        poller.report(result)
        await world.turns()
        found = await world.mapping()
        assert found is not None
        assert (found.last_result, found.state) == (result, MappingState.ENABLED)
    assert len(world.pollers) == 1


async def test_tags_do_not_stop_a_poller(world: World) -> None:
    await world.put(mapping_of(state=MappingState.CREATING))
    found = await world.mapping()
    assert found is not None
    await world.put(replace(found, tags={"a": "b"}))
    assert len(world.pollers) == 1
    assert not world.pollers[0].stopped.is_set()


async def test_a_poller_that_fails_starts_anew(world: World, caplog: Any) -> None:
    await world.put(mapping_of(state=MappingState.CREATING))
    world.pollers[0].fail.set()
    await world.clock.run_for(10)
    await world.turns()
    assert len(world.pollers) == 2
    assert "a poller failed and starts anew" in caplog.text


async def test_what_a_crash_left_is_completed(world: World) -> None:
    await world.sources.close(0)
    await world.put(mapping_of(state=MappingState.UPDATING))
    assert world.pollers == []
    world.sources = world.new_sources()
    await world.sources.start()
    await world.turns()
    assert await world.state() == "Enabled"
    assert len(world.pollers) == 1


async def test_closing_leaves_the_state(world: World) -> None:
    await world.put(mapping_of(state=MappingState.CREATING))
    poller = world.pollers[0]
    await world.sources.close(5)
    assert poller.stopped.is_set()
    assert await world.state() == "Enabled"


async def test_closing_does_not_wait_for_ever(world: World) -> None:
    await world.put(mapping_of(state=MappingState.CREATING))
    world.pollers[0].settled.clear()
    await world.sources.close(0.01)
    assert world.pollers[0].in_flight == 1


async def test_it_tells_what_is_due(world: World) -> None:
    assert (world.sources.is_idle(), world.sources.next_due()) == (True, None)
    await world.put(mapping_of(state=MappingState.CREATING))
    assert (world.sources.is_idle(), world.sources.next_due()) == (False, 7.0)
    assert world.sources.in_flight == 1


async def test_other_sources_are_left_alone(world: World) -> None:
    await world.put(replace(mapping_of(), kind=SourceKind.KINESIS, state=MappingState.DISABLED))
    assert await world.state() == "Disabled"
    assert world.pollers == []
