"""Root's way out of the router: through the host's forwarding."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.root

DROP_FORWARDED = """
import time
from lambent.worker.sandbox.linux.network import nftables as nft
table = nft.Table("others")
table.chain("forward", nft.FORWARD)
table.rule("forward", nft.verdict(nft.DROP))
table.commit()
print("closed", flush=True)
time.sleep(100)
"""


def test_nothing_is_left_after_a_crash(root: Any) -> None:
    runner = root.begin((root.INTERNET, "print(1)"))
    assert root.hear(runner) == ""
    root.tell(runner)
    assert root.hear(runner) == ["1\n"]
    assert any(name.startswith("lmb") for name in root.links())
    assert root.forwarding() == "1"
    pids = subprocess.run(["ip", "netns", "pids", root.host], check=True, capture_output=True, text=True).stdout
    runner.kill()
    runner.wait()
    assert root.left() == []
    assert str(runner.pid) in pids.split()
    assert root.run((root.INTERNET, root.TRY + "print(json.dumps(reach('8.8.8.8')))")) == ["93.184.216.1"]
    assert root.forwarding() == "0"  # set back by the next start, and then by its end


def test_it_can_be_had_again_at_once(root: Any) -> None:
    """While the kernel still has what a killed server had: its namespaces, which we hold here for the test."""
    reach = root.TRY + "print(json.dumps(reach('8.8.8.8')))"
    runner = root.begin((root.INTERNET, "print(1)"))
    assert root.hear(runner) == ""
    with contextlib.ExitStack() as held:
        for entry in Path(f"/proc/{runner.pid}/fd").iterdir():
            if str(entry.readlink()).startswith("net:["):
                held.callback(os.close, os.open(entry, os.O_RDONLY))
        runner.kill()
        runner.wait()
        assert any(name.startswith("lmb") for name in root.links())
        assert root.run((root.INTERNET, reach)) == ["93.184.216.1"]
        assert not [name for name in root.links() if name.startswith("lmb")]


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda world: world.ip("-n", world.host, "route", "del", "default"), "no default route"),
        (
            lambda world: world.start(world.host, DROP_FORWARDED).stdout.readline(),
            "firewall does not forward packets: iptables -I FORWARD -i lmb",
        ),
    ],
    ids=["no route", "firewall"],
)
def test_a_host_that_cannot_give_a_network_says_why(root: Any, break_it: Callable[[Any], Any], words: str) -> None:
    break_it(root)
    runner = root.begin((root.INTERNET, ""))
    assert words in root.hear(runner)
    root.tell(runner)
    root.end(runner)
    assert root.left() == []
