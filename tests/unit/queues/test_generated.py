"""The same generated calls to the engine and to `MemoryQueues`, which were written apart: the same comes out."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from lambent.queues.api import Extension, Message, NewMessage, Queues, Receipt, Redrive, Rescheduling
from lambent.queues.memory import MemoryQueues
from lambent.queues.sqlite import SqliteQueues
from lambent.testing.clock import ManualClock

QUEUES = ("plain", "ordered")
STEPS = 120


class World:
    """One implementation, and the latest receipts a client of it has."""

    def __init__(self, queues: Queues) -> None:
        self.queues = queues
        self.receipts: dict[str, list[Receipt]] = {}  # message id → all there were

    async def send(self, messages: list[NewMessage]) -> Any:
        return [(one.id, one.is_duplicate) for one in await self.queues.send(messages)]

    async def receive(self, queue: str, **arguments: Any) -> Any:
        messages = await self.queues.receive(queue, **arguments)
        for message in messages:
            self.receipts.setdefault(message.id, []).append(message.receipt)
        return [_seen(message) for message in messages]

    async def settle(self, action: str, name: str, back: int, **more: Any) -> Any:
        """Use a receipt of a message: the latest, or one before."""
        receipts = self.receipts[name]
        receipt = receipts[max(0, len(receipts) - 1 - back)]
        if action == "acknowledge":
            return await self.queues.acknowledge([receipt], **more)
        if action == "extend":
            return await self.queues.extend([Extension(receipt, **more)])
        return await self.queues.reschedule([Rescheduling(receipt, **more)])

    async def everything(self) -> Any:
        seen: list[Any] = [self.queues.names()]
        for queue in (*QUEUES, "dead plain", "dead ordered"):
            seen += [self.queues.depth(queue), await self.queues.statistics(queue)]
        return seen


def _seen(message: Message) -> Any:
    return (
        message.id, message.body, message.attributes, message.sent_ms, message.first_received_ms, message.receives,
        message.group, message.moved_from,
    )  # fmt: skip


class Dice:
    """Makes the next step: a method of World and its arguments, or how far the clock is moved."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._count = 0

    def step(self, known: list[str]) -> tuple[str, dict[str, Any]] | float:
        dice, queue = self._dice, self._dice.choice(QUEUES)
        action = dice.choice(("send", "send", "receive", "receive", "settle", "settle", "clock", "upkeep"))
        if action == "send":
            return "send", {"messages": [self._message(queue) for _ in range(dice.randint(1, 3))]}
        if action == "receive":
            how = self._how_to_receive(queue)
            if dice.random() < 0.25:
                return "receive", {**how, "queue": f"dead {queue}", "redrive": None}
            return "receive", {**how, "queue": queue}
        if action == "settle" and known:
            return "settle", {"name": dice.choice(known), "back": dice.choice((0, 0, 0, 1)), **self._settlement()}
        if action == "upkeep":
            return "upkeep", {"queue": queue, "kind": dice.choice(("expire", "move", "release", "purge", "nothing"))}
        return float(dice.choice((1, 5, 20, 100, 300)))

    def _message(self, queue: str) -> NewMessage:
        self._count += 1
        name, is_ordered = f"m{self._count}", queue == "ordered"
        key = f"k{self._dice.randrange(30)}" if is_ordered and self._dice.random() < 0.5 else None
        group = self._dice.choice("abc") if is_ordered else None
        return NewMessage(queue, name, name.encode(), b"", self._dice.choice((0, 0, 0, 10)), group, key)

    def _how_to_receive(self, queue: str) -> dict[str, Any]:
        dice = self._dice
        return {
            "lease_s": dice.choice((0, 5, 30)),
            "limit": dice.randint(1, 5),
            "redrive": Redrive(f"dead {queue}", 2) if dice.random() < 0.5 else None,
            "retention_s": dice.choice((None, 200)),
            "attempt": dice.choice((None, "one", "two")) if queue == "ordered" else None,
        }

    def _settlement(self) -> dict[str, Any]:
        dice = self._dice
        action = dice.choice(("acknowledge", "acknowledge", "extend", "reschedule"))
        if action == "acknowledge":
            return {"action": action, "leased_only": dice.random() < 0.5}
        if action == "extend":
            return {"action": action, "lease_s": dice.choice((0, 10, 60))}
        return {"action": action, "delay_s": dice.choice((0, 10)), "attributes": dice.choice((None, b"changed"))}


async def upkeep(world: World, queue: str, kind: str, number: int) -> Any:
    queues = world.queues
    match kind:
        case "expire":
            return await queues.expire(queue, 250)
        case "move":
            return await queues.move(f"dead {queue}", [f"again{number}-{at}" for at in range(2)], None)
        case "release":
            return await queues.release(queue)
        case "purge" if number % 3 == 0:
            return await queues.purge(queue)
    return None


@pytest.mark.parametrize("seed", range(20))
async def test_the_same_comes_out(tmp_path: Path, seed: int) -> None:
    clock = ManualClock()
    engine = await SqliteQueues.open(tmp_path / "queues.db", clock)
    worlds = [World(engine), World(MemoryQueues(clock))]
    dice = Dice(seed)
    for number in range(STEPS):
        step = dice.step(sorted(worlds[0].receipts))
        if isinstance(step, float):
            clock.advance(step)
            continue
        name, arguments = step
        if name == "upkeep":
            seen = [await upkeep(world, number=number, **arguments) for world in worlds]
        else:
            seen = [await getattr(world, name)(**arguments) for world in worlds]
        assert seen[0] == seen[1], (number, step)
        everything = [await world.everything() for world in worlds]
        assert everything[0] == everything[1], (number, step)
    for world in worlds:
        await world.queues.close()
