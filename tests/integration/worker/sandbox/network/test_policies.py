"""What sandboxes reach by their policies: as root, and as an ordinary user."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.root


def test_the_internet_is_reached_and_nothing_else(world: Any) -> None:
    world.start(
        world.host, "import http.server as s\ns.HTTPServer(('', 8080), s.SimpleHTTPRequestHandler).serve_forever()"
    )
    script = (
        world.TRY
        + """
print(json.dumps({
    "public": reach("8.8.8.8"), "name": reach("public.test"), "udp": udp("93.184.216.34"), "by TCP": reach("big.test"),
    "private name": reach("private.test"), "no name": reach("nothing.test"),
    "private": [reach(a) for a in ("10.1.2.3", "192.168.7.7", "100.64.0.9", "172.16.0.1")],
    "metadata": reach("169.254.169.254"), "udp private": udp("10.1.2.3"),
    "host": [reach(a, p) for a in ("93.184.216.1", "169.254.78.1") for p in (8080, 22)],
    "ipv6": reach("2001:db8::1"), "loopback": reach("127.0.0.1", 8080),
}))
"""
    )
    (seen,) = world.run((world.INTERNET, script))
    assert seen["public"] == seen["name"] == seen["by TCP"] == "93.184.216.1"  # masqueraded
    assert seen["udp"] == "echo hi"
    assert seen["private"] == [world.REFUSED] * 4
    assert seen["metadata"] == seen["private name"] == world.REFUSED
    assert seen["udp private"] == "113"
    assert seen["no name"].startswith("gaierror")
    assert seen["host"] == [world.REFUSED] * 4
    assert seen["ipv6"] == "OSError 101"
    assert seen["loopback"] == "ConnectionRefusedError 111"
    assert world.left() == []
    assert world.forwarding() == "0"


def test_allow_lists_of_ranges_and_names(world: Any) -> None:
    script = (
        world.TRY
        + """
print(json.dumps([reach("10.1.2.3"), reach("192.168.7.7"), reach("8.8.8.8"), reach("public.test"),
                  reach("93.184.216.34"), reach("big.test"), reach("private.test")]))
"""
    )
    ranges = {"internet": False, "networks": ["10.1.0.0/16"], "hosts": []}
    names = {"internet": False, "networks": [], "hosts": ["public.test", "*.other.test"]}
    more = {"internet": True, "networks": [], "hosts": ["private.test"]}
    by_range, by_name, besides = world.run((ranges, script), (names, script), (more, script))
    no_name = "gaierror -3"
    outside = "93.184.216.1"
    assert by_range == [outside, world.REFUSED, world.REFUSED, no_name, world.REFUSED, no_name, no_name]
    assert by_name == [world.REFUSED, world.REFUSED, world.REFUSED, outside, outside, no_name, no_name]
    assert besides == [world.REFUSED, world.REFUSED, outside, outside, outside, outside, outside]


def test_sandboxes_do_not_reach_each_other(world: Any) -> None:
    """Each listens, and tries the addresses around its own."""
    script = (
        world.TRY
        + """
import time, threading, http.server
threading.Thread(target=http.server.HTTPServer(("0.0.0.0", 8080), http.server.BaseHTTPRequestHandler).serve_forever,
                 daemon=True).start()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect(("8.8.8.8", 1)); own = s.getsockname()[0]
time.sleep(0.5)
head, _, last = own.rpartition(".")
print(json.dumps({f"{head}.{n}": reach(f"{head}.{n}", 8080)[:20] for n in range(max(1, int(last) - 3), int(last) + 4)
                  if n != int(last)}))
time.sleep(1)
"""
    )
    seen = world.run((world.INTERNET, script), (world.INTERNET, script), (world.INTERNET, script))
    assert {answer for one in seen for answer in one.values()} == {world.REFUSED}


def test_connections_of_a_sandbox_end_at_a_number(world: Any) -> None:
    """Those that are closed do not count, and others have their own."""
    script = (
        world.TRY
        + """
import os, signal, time
def connect(number):
    made = []
    try:
        while len(made) < number: made.append(socket.create_connection(("8.8.8.8", 9), timeout=4))
    except OSError as error:
        return made, error.errno
    return made, 0
def in_child(number):
    read, write = os.pipe()
    if os.fork() == 0:
        made, error = connect(number)
        os.write(write, json.dumps([len(made), error]).encode()); signal.pause()
    return json.loads(os.read(read, 100))
first, second = in_child(700), in_child(700)
beyond = reach("8.8.8.8")
for pid in map(int, open(f"/proc/self/task/{os.getpid()}/children").read().split()): os.kill(pid, 9); os.wait()
for _ in range(100):
    if (again := reach("8.8.8.8")) == "93.184.216.1": break
    time.sleep(0.1)
print(json.dumps([first, second, beyond, again]))
"""
    )
    other = world.TRY + "import time; time.sleep(2)\nprint(json.dumps([reach('8.8.8.8') for _ in range(5)]))"
    used_up, others = world.run((world.INTERNET, script), (world.INTERNET, other))
    assert used_up == [[700, 0], [324, 113], world.REFUSED, "93.184.216.1"]
    assert others == ["93.184.216.1"] * 5


def test_no_network_stays_none(world: Any) -> None:
    script = world.TRY + "print(json.dumps([reach('8.8.8.8'), reach('public.test'), reach('169.254.78.1', 54)]))"
    (none, internet) = world.run((None, script), (world.INTERNET, script))
    assert none == ["OSError 101", "gaierror -3", "OSError 101"]
    assert internet == ["93.184.216.1", "93.184.216.1", world.REFUSED]
