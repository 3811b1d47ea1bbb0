"""A server that will be killed: launches sandboxes of each kind and waits."""

import asyncio
import sys
from pathlib import Path

from lambent.worker.sandbox.api import SandboxLimits, SandboxSpec, SandboxTemplate
from lambent.worker.sandbox.linux.backend import LinuxBackend


async def main(directory: str) -> None:
    backend = LinuxBackend(directory, Path(directory) / "state")
    await backend.start()
    for number in range(4):
        limits = SandboxLimits(64 << 20, 1.0, 1 << 20)
        spec = SandboxSpec(f"s{number}", ("/bin/sleep", "1000"), {}, limits, listen=(9001,), init=number % 2 == 0)
        sandbox = await backend.launch(SandboxTemplate(f"t{number % 2}"), spec)
        if number == 3:
            sandbox.freeze()
    print("running", flush=True)
    await asyncio.sleep(1000)


asyncio.run(main(sys.argv[1]))
