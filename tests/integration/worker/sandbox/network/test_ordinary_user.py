"""An ordinary user's way out of the router: slirp4netns."""

from __future__ import annotations

import os
import signal
import time
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.inventory import Inventory
from lambent.worker.sandbox.linux.network import slirp
from lambent.worker.sandbox.linux.network.addresses import free_network

pytestmark = pytest.mark.root

# Runs on the test's host: a whole server, and a function.
SERVER = """
import json, sys
from pathlib import Path
from lambent.testing.server import RunningServer
SOURCE = sys.argv[1] + '''
def handler(event, context):
    return [reach(address) for address in event]
'''
with RunningServer(Path.home() / "data", ("--sandbox", "rootless", "--network", "internet")) as server:
    server.deploy("probe", {"app.py": SOURCE}, Timeout=30)
    print(json.dumps(server.invoke("probe", ["8.8.8.8", "10.1.2.3", "93.184.216.1"]).payload), flush=True)
"""


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"PATH": "/nowhere"}, "apt-get install slirp4netns"),
        ({"tun": "600"}, "this user may not open /dev/net/tun: chmod 666"),
    ],
    ids=["no program", "no device"],
)
def test_an_ordinary_user_is_told_what_is_missing(rootless: Any, trouble: dict[str, str], words: str) -> None:
    runner = rootless.begin((rootless.INTERNET, ""), **trouble)
    assert words in rootless.hear(runner)
    rootless.tell(runner)
    rootless.end(runner)


def test_an_ordinary_user_has_no_way_out_either(rootless: Any) -> None:
    rootless.ip("-n", rootless.host, "route", "del", "default")
    runner = rootless.begin((rootless.INTERNET, ""))
    assert "no default route" in rootless.hear(runner)
    rootless.tell(runner)
    rootless.end(runner)


def test_nothing_of_an_ordinary_user_is_left_after_a_crash(rootless: Any) -> None:
    runner = rootless.begin((rootless.INTERNET, "print(1)"))
    assert rootless.hear(runner) == ""
    rootless.tell(runner)
    assert rootless.hear(runner) == ["1\n"]
    family = rootless.family(runner)
    names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in family]
    assert {"lambent-base", "lambent-router", "lambent-spawner", "slirp4netns"} <= set(names)
    assert any("slirp4netns" in each for each in Inventory.marked(rootless.instance, rootless.state).processes)
    runner.kill()
    runner.wait()
    deadline = time.monotonic() + 10
    while (left := [pid for pid in family if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []
    assert Inventory.marked(rootless.instance, rootless.state).nothing
    assert rootless.run((rootless.INTERNET, rootless.TRY + "print(json.dumps(reach('8.8.8.8')))")) == ["93.184.216.1"]


def test_a_server_of_an_ordinary_user_gives_functions_the_internet(rootless: Any) -> None:
    server = rootless.start_as_user(SERVER, rootless.TRY)
    assert rootless.hear(server) == ["93.184.216.1", rootless.REFUSED, rootless.REFUSED]
    assert server.wait(20) == 0


def test_what_speaks_for_an_ordinary_users_functions_is_locked_up(rootless: Any) -> None:
    runner = rootless.begin((rootless.INTERNET, "print(1)"))
    assert rootless.hear(runner) == ""
    (pid,) = rootless.family(runner, "slirp4netns")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    assert int(status["CapEff"], 16) & ~(1 << 10) == 0  # CAP_NET_BIND_SERVICE, in a namespace without a network
    assert status["Uid"].split() == [str(rootless.user.id)] * 4
    assert "home" not in os.listdir(f"/proc/{pid}/root")
    assert rootless.go_on(runner) == [1]


@pytest.mark.parametrize(
    "victims",
    [["slirp4netns"], ["lambent-router"], ["lambent-base"], ["lambent-base", "lambent-router", "slirp4netns"]],
    ids=" and ".join,
)
def test_what_dies_is_replaced(rootless: Any, victims: list[str]) -> None:
    """Old and new sandboxes go on, with the rules that they had."""
    script = (
        rootless.TRY
        + """
import time
tries = 0
while (seen := reach("8.8.8.8")) != "93.184.216.1" and (tries := tries + 1) < 100: time.sleep(0.1)
print(json.dumps([seen, reach("public.test"), reach("10.1.2.3"), reach("93.184.216.1", 80)]))
"""
    )
    runner = rootless.begin((rootless.INTERNET, script), (rootless.INTERNET, script))
    assert rootless.hear(runner) == ""
    killed = [pid for name in victims for pid in rootless.family(runner, name)]
    assert len(killed) == len(victims)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert rootless.go_on(runner) == [["93.184.216.1", "93.184.216.1", rootless.REFUSED, rootless.REFUSED]] * 2


def test_addresses_that_the_host_gets_later_are_out_of_reach(rootless: Any) -> None:
    rootless.start(rootless.host, "import socket\nwith socket.create_server(('', 8080)) as s:\n while True: s.accept()")
    script = rootless.TRY + "import time; time.sleep(1)\nprint(json.dumps([reach(a, 8080) for a in ADDRESSES]))"
    addresses = ["93.184.216.77", "9.9.9.9"]
    runner = rootless.begin((rootless.INTERNET, script.replace("ADDRESSES", str(addresses))))
    assert rootless.hear(runner) == ""
    for address in addresses:
        rootless.ip("-n", rootless.host, "address", "add", f"{address}/32", "dev", "wan")
    assert rootless.go_on(runner) == [[rootless.REFUSED] * 2]


def test_a_program_that_does_not_start_is_told(rootless: Any) -> None:
    program = rootless.state / "slirp4netns"
    program.write_text("#!/bin/sh\necho it cannot >&2; exit 1\n")
    program.chmod(0o755)
    runner = rootless.begin((rootless.INTERNET, ""), PATH=f"{rootless.state}:/usr/bin:/bin")
    assert rootless.hear(runner) == "slirp4netns: it cannot"
    rootless.tell(runner)
    rootless.end(runner)


def test_the_hosts_loopback_is_out_of_reach_even_where_everything_is_open(rootless: Any) -> None:
    lines = (
        "import socket",
        "s = socket.create_server(('127.0.0.1', 8080))",
        "print(flush=True)",
        "while s.accept(): pass",
    )
    rootless.start(rootless.host, "\n".join(lines)).stdout.readline()
    own = free_network([IPv4Network("93.184.216.0/24")], slirp.PREFIX, rootless.instance)
    everything = {"internet": False, "networks": ["0.0.0.0/0"], "hosts": []}
    tried = [*(str(own[number]) for number in (1, 2, 3, 100)), "0.0.0.0", "10.0.2.2"]
    script = rootless.TRY + f"print(json.dumps([reach('8.8.8.8'), *(reach(to, 8080) for to in {tried})]))"
    runner = rootless.begin((everything, script))
    assert rootless.hear(runner) == ""
    (pid,) = rootless.family(runner, "slirp4netns")
    assert f"--cidr={own}" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    ((reached, *others),) = rootless.go_on(runner)
    assert reached == "93.184.216.1"
    assert "" not in others
    assert all("Error" in other for other in others), others
