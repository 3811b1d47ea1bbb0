"""The child of `test_kill`: sends, receives and acknowledges for ever, printing what was acknowledged to it.

Lines: `s QUEUE BODY` was sent, `d QUEUE BODY RECEIVES` was received, `a QUEUE BODY` was acknowledged; each after the
engine said so.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from lambent.model.clock import SystemClock
from lambent.queues.api import NewMessage
from lambent.queues.sqlite import SqliteQueues

GROUPS = 3


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


async def main(path: Path, first: int, lease_s: float) -> None:
    queues = await SqliteQueues.open(path, SystemClock())
    say("ready")

    async def produce(queue: str, lane: int) -> None:
        number = first
        while True:
            group = f"g{lane}" if queue == "ordered" else None
            await queues.send([NewMessage(queue, f"{number}", f"{lane}:{number}".encode(), group=group)])
            say(f"s {queue} {lane}:{number}")
            number += 1

    async def consume(queue: str) -> None:
        while True:
            for message in await queues.receive(queue, limit=3, lease_s=lease_s, wait_s=None):
                body = message.body.decode()
                say(f"d {queue} {body} {message.receives}")
                if int(body.split(":")[1]) % 3:  # every third one is left to its lease
                    await queues.acknowledge([message.receipt])
                    say(f"a {queue} {body}")

    lanes = [produce(queue, lane) for queue in ("plain", "ordered") for lane in range(GROUPS)]
    await asyncio.gather(*lanes, *(consume(queue) for queue in ("plain", "ordered") for _ in range(2)))


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
