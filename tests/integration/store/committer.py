"""The child of `test_kill`: commits for ever and prints the number of each commit once it is acknowledged.

Commit n puts function n and role n and deletes function n-4, its predecessor in one of four lanes that run at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from lambent.store.api import FUNCTIONS, ROLES, Delete, Put
from lambent.store.sqlite import SqliteStore


async def main(path: Path, first: int) -> None:
    store = await SqliteStore.open(path)
    os.write(1, b"ready\n")

    async def commit_for_ever(number: int) -> None:
        while True:
            await store.commit(
                [
                    Put(FUNCTIONS, f"{number:08}", {"number": number, "filling": "x" * (number % 5000)}),
                    Put(ROLES, f"{number:08}", {"number": number}),
                    Delete(FUNCTIONS, f"{number - 4:08}"),
                    Put(ROLES, f"last{number % 4}", {"number": number}),
                ]
            )
            os.write(1, b"%d\n" % number)
            number += 4

    await asyncio.gather(*(commit_for_ever(first + lane) for lane in range(4)))


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
