"""`kill -9` at any moment: what was answered is there, whole, and completes; the rest leaves no trace."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lambent.control_plane.functions import FunctionsControlPlane, Settings
from lambent.control_plane.states import is_settled
from lambent.model.arn import FunctionId
from lambent.model.clock import SystemClock
from lambent.model.function import State
from lambent.model.ids import AccountId, Region
from lambent.packaging.code_store import CodeStore
from lambent.store.sqlite import SqliteStore

# Creates functions for ever, in pairs, updating and publishing; says what was answered.
WRITER = """
import asyncio, io, sys, zipfile
from pathlib import Path
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.requests import *
from lambent.model.arn import FunctionId
from lambent.model.clock import SystemClock
from lambent.packaging.code_store import CodeStore
from lambent.store.sqlite import SqliteStore

def zip_of(text):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", text)
    return buffer.getvalue()

async def life(plane, name):
    function = FunctionId("000000000000", "us-east-1", name)
    settings = ConfigurationSettings(role="arn:aws:iam::000000000000:role/r", runtime="python3.12", handler="i.h")
    await plane.create(CreateRequest(function, settings, zip_of(name), publish=True))
    print(name, 1, flush=True)
    await plane.update_code(UpdateCodeRequest(function, zip_of(name + " again"), publish=True))
    print(name, 2, flush=True)

async def main(root):
    code = CodeStore(root / "code")
    await code.start()
    plane = FunctionsControlPlane(await SqliteStore.open(root / "lambent.db"), code, SystemClock())
    await plane.start()
    for number in range(10_000):
        await asyncio.gather(life(plane, f"a{number}"), life(plane, f"b{number}"))

asyncio.run(main(Path(sys.argv[1])))
"""


@asynccontextmanager
async def reopened(root: Path) -> AsyncIterator[tuple[FunctionsControlPlane, CodeStore]]:
    store = await SqliteStore.open(root / "lambent.db")
    code = CodeStore(root / "code")
    await code.start()
    plane = FunctionsControlPlane(store, code, SystemClock(), settings=Settings(settle_delay_s=0.0))
    await plane.start()
    yield plane, code
    await plane.close()
    await code.close()
    await store.close()


def answered_until_killed(root: Path, lines: int) -> dict[str, int]:
    """Function name → the highest version that was answered."""
    command = [sys.executable, "-c", WRITER, str(root)]
    answered: dict[str, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            name, version = line.split()
            answered[name] = int(version)
            lines -= 1
            if lines == 0:
                writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
    return answered


@pytest.mark.parametrize("lines", [1, 6, 15])
async def test_what_was_answered_survives(tmp_path: Path, lines: int) -> None:
    answered = await asyncio.to_thread(answered_until_killed, tmp_path, lines)
    assert len(answered) >= 1
    async with reopened(tmp_path) as (plane, code):
        for name, version in answered.items():
            function = FunctionId(AccountId("000000000000"), Region("us-east-1"), name)
            async with asyncio.timeout(5):
                while not is_settled((found := await plane.queries.function(function)).record.latest):
                    await asyncio.sleep(0.001)
            versions = (await plane.queries.list_versions(function, None, 50)).versions
            numbers = [one.version for one in versions[1:]]
            assert numbers == [str(number + 1) for number in range(len(numbers))]
            assert len(numbers) >= version
            assert found.record.next_version == len(numbers) + 1
            for one in versions:
                assert one.state is State.ACTIVE
                text = (code.tree(one.code_digest) / "index.py").read_text()
                assert text.partition(" ")[0] == name
