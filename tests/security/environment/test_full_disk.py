"""A full disk while functions are invoked, and more environments than there may be: errors that say so, and no more."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.inventory import Inventory
from lambent.testing.server import RunningServer

pytestmark = [pytest.mark.root, pytest.mark.alone]

CODE = {"app.py": "def handler(event, context):\n    print('line', event)\n    return event"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 MB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600m", "small", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(place: Path) -> Path:
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


def test_a_full_disk_stops_neither_server_nor_running_environments(small_disk: Path) -> None:
    with RunningServer(small_disk / "data") as server:
        server.deploy("warm", CODE, Timeout=10)
        server.deploy("cold", CODE, Timeout=10)
        assert server.invoke("warm", 1).payload == 1
        filler = fill(small_disk)
        for number in range(20):  # lines are lost, answers are not
            assert server.invoke("warm", number).payload == number
        with pytest.raises(ClientError) as refused:
            server.invoke("cold", 1)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (429, 500, 502)
        assert server.health()["ready"]
        filler.unlink()
        assert server.invoke("cold", 2).payload == 2
        assert server.invoke("warm", 3).payload == 3
        data_dir = server.data_dir
    assert Inventory.of(data_dir).cgroups == []


def test_more_invocations_than_environments_are_throttled(tmp_path: Path) -> None:
    """The quota of the account is how many environments there may be, whoever asks."""
    # Spares are processes, too, but nobody's.
    with RunningServer(tmp_path / "data", ("--account-concurrency", "4", "--spare-environments", "0")) as server:
        slow = {"app.py": "import time\ndef handler(event, context):\n    time.sleep(0.5)\n    return event"}
        server.deploy("slow", slow, Timeout=10, MemorySize=128)
        outcomes: list[Any] = []

        def call(number: int) -> None:
            try:
                outcomes.append(server.invoke("slow", number).payload)
            except ClientError as error:
                outcomes.append(error.response["Error"]["Code"])

        threads = [threading.Thread(target=call, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        found = 0
        while any(thread.is_alive() for thread in threads):
            names = Inventory.of(server.data_dir).processes
            found = max(found, sum(name.endswith("lambent-init") for name in names))
        for thread in threads:
            thread.join()
        assert outcomes.count("TooManyRequestsException") == 8
        assert found <= 4
        assert server.invoke("slow", "after").payload == "after"
    assert Inventory.of(server.data_dir).nothing
