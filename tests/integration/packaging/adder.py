"""The child of `test_kill`: adds packages for ever and prints the digest of each once it is stored.

Package n is a function of n alone: the test adds some of them again.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import sys
import zipfile
from pathlib import Path

from lambent.packaging.code_store import CodeStore


def package(number: int) -> bytes:
    dice = random.Random(number)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for i in range(20):
            archive.writestr(zipfile.ZipInfo(f"d{i % 3}/{i}"), dice.randbytes(dice.randrange(60_000)))
    return made.getvalue()


async def main(root: Path) -> None:
    store = CodeStore(root)
    await store.start()
    os.write(1, b"ready\n")

    async def add_for_ever(number: int) -> None:
        while True:
            stored = await store.add_zip(package(number))
            os.write(1, f"{number} {stored.digest}\n".encode())
            number += 3

    await asyncio.gather(*(add_for_ever(lane) for lane in range(3)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
