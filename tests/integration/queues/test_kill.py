"""`kill -9` while messages are sent, leased and acknowledged: what was promised holds."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from lambent.queues.api import Message
from lambent.queues.sqlite import SqliteQueues
from lambent.testing.clock import ManualClock

WORKER = Path(__file__).with_name("worker.py")
LEASE_S = 3600.0
QUEUES = ("plain", "ordered")

Facts = dict[str, dict[str, set[str]]]  # queue → s, a → bodies


def run_and_kill(path: Path, first: int, seconds: float) -> tuple[Facts, dict[tuple[str, str], int]]:
    """What a child that was killed after so long had been promised; how often each message had been received."""
    command = [sys.executable, str(WORKER), str(path), str(first), str(LEASE_S)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    facts: Facts = {queue: defaultdict(set) for queue in QUEUES}
    receives: dict[tuple[str, str], int] = {}
    with child.stdout as output:
        assert output.readline() == "ready\n"
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        for line in output:
            if line.endswith("\n"):
                kind, queue, body, *more = line.split()
                facts[queue][kind].add(body)
                if more:
                    receives[queue, body] = int(more[0])
    assert child.wait() == -signal.SIGKILL
    return facts, receives


async def drain(queues: SqliteQueues, queue: str) -> list[Message]:
    messages: list[Message] = []
    while found := await queues.receive(queue, limit=10, lease_s=LEASE_S):
        messages += found
        await queues.acknowledge([message.receipt for message in found])
    return messages


async def test_what_was_promised_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "queues.db"
    sent: dict[str, set[str]] = {queue: set() for queue in QUEUES}
    acknowledged: dict[str, set[str]] = {queue: set() for queue in QUEUES}
    received: dict[tuple[str, str], int] = {}
    dice = random.Random(2012_11_05)
    for turn in range(5):
        facts, receives = run_and_kill(path, turn * 1_000_000 + 1, dice.uniform(0.05, 0.4))
        received.update(receives)
        for queue in QUEUES:
            sent[queue] |= facts[queue]["s"]
            acknowledged[queue] |= facts[queue]["a"]
    assert sum(map(len, sent.values())) > 100
    assert sum(map(len, acknowledged.values())) > 20

    clock = ManualClock(time.time())
    queues = await SqliteQueues.open(path, clock)
    first = {queue: await drain(queues, queue) for queue in QUEUES}
    clock.advance(LEASE_S)
    for queue, before in first.items():
        leased = {body for (of, body) in received if of == queue} - acknowledged[queue]
        assert not leased & {message.body.decode() for message in before}  # leases hold
        after = await drain(queues, queue)
        bodies = [message.body.decode() for message in before + after]
        assert len(bodies) == len(set(bodies))
        missing = sent[queue] - acknowledged[queue] - set(bodies)  # acknowledged, but killed before it could say so
        assert all((queue, body) in received and int(body.split(":")[1]) % 3 for body in missing)
        assert len(missing) <= 5 * 2 * 3  # turns, consumers, messages of a receive
        assert not acknowledged[queue] & set(bodies)
        for message in after:
            known = received.get((queue, message.body.decode()))
            assert known is None or message.receives == known + 1  # counts hold
        if queue == "ordered":
            for lane in range(3):
                numbers = [int(body.split(":")[1]) for body in bodies if body.startswith(f"{lane}:")]
                assert numbers == sorted(numbers)
        assert queues.depth(queue) == 0
    await queues.close()
