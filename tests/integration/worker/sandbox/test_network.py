"""The network of `linux` sandboxes, against an outside made for the test: another network namespace, with a web server
and a name server, that the host of the test (a namespace too) has its default route to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.root

OUTSIDE = """
import http.server, socket, socketserver, struct, threading
ADDRESSES = {"public.test": "93.184.216.34", "private.test": "10.1.2.3", "big.test": "93.184.216.34"}
def answer(question):
    end = 12
    labels = []
    while question[end]:
        labels.append(question[end + 1:end + 1 + question[end]].decode()); end += 1 + question[end]
    kind = struct.unpack(">H", question[end + 1:end + 3])[0]
    name = ".".join(labels)
    address = ADDRESSES.get(name) if kind == 1 else None
    flags = 0x8180 | (0 if name in ADDRESSES else 3)
    record = b"\\xc0\\x0c" + struct.pack(">HHIH", 1, 1, 30, 4) + socket.inet_aton(address) if address else b""
    return question[:2] + struct.pack(">5H", flags, 1, bool(address), 0, 0) + question[12:end + 5] + record, name
class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        data, name = answer(self.request[0])
        if name == "big.test":
            data = data[:2] + struct.pack(">H", 0x8380) + data[4:]  # does not fit: ask again by TCP
        self.request[1].sendto(data, self.client_address)
class Stream(socketserver.StreamRequestHandler):
    def handle(self):
        size = struct.unpack(">H", self.rfile.read(2))[0]
        data, _ = answer(self.rfile.read(size))
        self.wfile.write(struct.pack(">H", len(data)) + data)
class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.client_address[0].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
class Echo(socketserver.BaseRequestHandler):
    def handle(self): self.request[1].sendto(b"echo " + self.request[0], self.client_address)
socketserver.TCPServer.allow_reuse_address = True
servers = [
    http.server.ThreadingHTTPServer(("0.0.0.0", 80), Web), socketserver.ThreadingUDPServer(("0.0.0.0", 7), Echo),
    socketserver.ThreadingUDPServer(("0.0.0.0", 53), Datagram),
    socketserver.ThreadingTCPServer(("0.0.0.0", 53), Stream),
]
for server in servers: threading.Thread(target=server.serve_forever, daemon=True).start()
print("up", flush=True)
threading.Event().wait()
"""

# Runs on the test's host: a backend, and one sandbox for each (policy, script) on standard input.
RUNNER = """
import asyncio, json, os, sys
from pathlib import Path
from lambent.worker.sandbox.api import *
from lambent.worker.sandbox.linux.backend import LinuxBackend
from lambent.worker.sandbox.linux.network import dns

async def read(descriptor):
    os.set_blocking(descriptor, True)
    data = b""
    while part := await asyncio.to_thread(os.read, descriptor, 65536):
        data += part
    os.close(descriptor)
    return data.decode()

async def main():
    orders = json.loads(sys.stdin.readline())
    state = Path(orders["state"])
    resolv_conf = state / "resolv.conf"
    resolv_conf.write_text("nameserver 93.184.216.34\\n")
    dns.servers.__defaults__ = (resolv_conf,)
    policies = [None if p is None else NetworkPolicy(p["internet"], tuple(p["networks"]), tuple(p["hosts"]))
                for p, _ in orders["runs"]]
    backend = LinuxBackend(orders["instance"], state, networks=[p for p in policies if p])
    await backend.start()
    print(json.dumps(backend.report().why_no_network), flush=True)
    template = SandboxTemplate("t", (Bind(Path(sys.base_prefix), sys.base_prefix),))
    async def run(number, policy, script):
        spec = SandboxSpec(f"s{number}", (sys.base_prefix + "/bin/python3", "-I", "-S", "-c", script),
                           {"PATH": "/usr/bin:/bin"}, SandboxLimits(128 << 20, 2.0, 8 << 20), network=policy)
        sandbox = await backend.launch(template, spec)
        output = await read(sandbox.output_fd)
        await sandbox.wait()
        return output
    if not backend.report().why_no_network:
        runs = zip(policies, (script for _, script in orders["runs"]))
        print(json.dumps(await asyncio.gather(*(run(n, p, s) for n, (p, s) in enumerate(runs)))), flush=True)
    sys.stdin.readline()
    await backend.close()

asyncio.run(main())
"""

TRY = """
import json, socket
def reach(host, port=80):
    try:
        with socket.create_connection((host, port), timeout=4) as client:
            client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            data = b""
            while part := client.recv(4096): data += part
            return data.decode().rpartition("\\n")[2]
    except OSError as error:
        return type(error).__name__ + " " + str(error.errno)
def udp(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(4)
        try:
            client.connect((host, 7)); client.send(b"hi"); return client.recv(100).decode()
        except OSError as error:
            return str(error.errno)
"""
INTERNET: dict[str, Any] = {"internet": True, "networks": [], "hosts": []}
REFUSED = "OSError 113"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


class World:
    """Two namespaces: the host's and the outside."""

    def __init__(self, name: str, state: Path) -> None:
        self.host, self.outside, self.state = f"{name}h", f"{name}o", state
        self.instance = f"{os.getpid():08x}"
        self.processes: list[subprocess.Popen[str]] = []
        for namespace in (self.host, self.outside):
            ip("netns", "add", namespace)
            ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", self.host, "link", "add", "wan", "type", "veth", "peer", "name", "wan", "netns", self.outside)
        for namespace, address in ((self.host, "93.184.216.1/24"), (self.outside, "93.184.216.34/24")):
            ip("-n", namespace, "address", "add", address, "dev", "wan")
            ip("-n", namespace, "link", "set", "wan", "up")
        ip("-n", self.host, "route", "add", "default", "via", "93.184.216.34")
        for more in ("10.1.2.3/32", "169.254.169.254/32", "192.168.7.7/32", "100.64.0.9/32", "8.8.8.8/32"):
            ip("-n", self.outside, "address", "add", more, "dev", "lo")
        self.start(self.outside, OUTSIDE).stdout.readline()  # type: ignore[union-attr]

    def start(self, namespace: str, script: str) -> subprocess.Popen[str]:
        command = ["ip", "netns", "exec", namespace, sys.executable, "-c", script]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def begin(self, *runs: tuple[dict[str, Any] | None, str]) -> subprocess.Popen[str]:
        runner = self.start(self.host, RUNNER)
        orders = {"state": str(self.state), "instance": self.instance, "runs": runs}
        assert runner.stdin is not None
        runner.stdin.write(json.dumps(orders) + "\n")
        runner.stdin.flush()
        return runner

    def run(self, *runs: tuple[dict[str, Any] | None, str]) -> list[Any]:
        """What each printed, as JSON."""
        runner = self.begin(*runs)
        assert runner.stdout is not None
        assert json.loads(runner.stdout.readline()) == ""
        outputs = json.loads(runner.stdout.readline())
        self.end(runner)
        return [json.loads(output) for output in outputs]

    def end(self, runner: subprocess.Popen[str]) -> None:
        assert runner.stdin is not None
        runner.stdin.write("\n")
        runner.stdin.close()
        assert runner.wait(10) == 0

    def links(self) -> list[str]:
        command = ["ip", "-n", self.host, "-o", "link"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        return [line.split(": ")[1].split("@")[0] for line in lines]

    def forwarding(self) -> str:
        command = ["ip", "netns", "exec", self.host, "cat", "/proc/sys/net/ipv4/conf/wan/forwarding"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def left(self) -> list[str]:
        deadline = time.monotonic() + 10  # the kernel takes namespaces apart in its own time
        while (left := [name for name in self.links() if name.startswith("lmb")]) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None and not pipe.closed:
                    pipe.close()
        for namespace in (self.host, self.outside):
            ip("netns", "del", namespace)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state = tmp_path / "state"
    state.mkdir()
    world = World(f"lt{os.getpid()}", state)
    try:
        yield world
    finally:
        world.close()


def test_the_internet_is_reached_and_nothing_else(world: World) -> None:
    world.start(
        world.host, "import http.server as s\ns.HTTPServer(('', 8080), s.SimpleHTTPRequestHandler).serve_forever()"
    )
    script = (
        TRY
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
    (seen,) = world.run((INTERNET, script))
    assert seen["public"] == seen["name"] == seen["by TCP"] == "93.184.216.1"  # masqueraded
    assert seen["udp"] == "echo hi"
    assert seen["private"] == [REFUSED] * 4
    assert seen["metadata"] == seen["private name"] == REFUSED
    assert seen["udp private"] == "113"
    assert seen["no name"].startswith("gaierror")
    assert seen["host"] == [REFUSED] * 4
    assert seen["ipv6"] == "OSError 101"
    assert seen["loopback"] == "ConnectionRefusedError 111"
    assert world.left() == []
    assert world.forwarding() == "0"


def test_allow_lists_of_ranges_and_names(world: World) -> None:
    script = (
        TRY
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
    assert by_range == [outside, REFUSED, REFUSED, no_name, REFUSED, no_name, no_name]
    assert by_name == [REFUSED, REFUSED, REFUSED, outside, outside, no_name, no_name]
    assert besides == [REFUSED, REFUSED, outside, outside, outside, outside, outside]


def test_sandboxes_do_not_reach_each_other(world: World) -> None:
    """Each listens, and tries the addresses around its own."""
    script = (
        TRY
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
    seen = world.run((INTERNET, script), (INTERNET, script), (INTERNET, script))
    assert {answer for one in seen for answer in one.values()} == {REFUSED}


def test_no_network_stays_none(world: World) -> None:
    script = TRY + "print(json.dumps([reach('8.8.8.8'), reach('public.test'), reach('169.254.78.1', 54)]))"
    (none, internet) = world.run((None, script), (INTERNET, script))
    assert none == ["OSError 101", "gaierror -3", "OSError 101"]
    assert internet == ["93.184.216.1", "93.184.216.1", REFUSED]


def test_nothing_is_left_after_a_crash(world: World) -> None:
    runner = world.begin((INTERNET, "print(1)"))
    assert runner.stdout is not None
    assert json.loads(runner.stdout.readline()) == ""
    assert json.loads(runner.stdout.readline()) == ["1\n"]
    assert any(name.startswith("lmb") for name in world.links())
    assert world.forwarding() == "1"
    pids = subprocess.run(["ip", "netns", "pids", world.host], check=True, capture_output=True, text=True).stdout
    runner.kill()
    runner.wait()
    assert world.left() == []
    assert str(runner.pid) in pids.split()
    assert world.run((INTERNET, TRY + "print(json.dumps(reach('8.8.8.8')))")) == ["93.184.216.1"]
    assert world.forwarding() == "0"  # set back by the next start, and then by its end


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda world: ip("-n", world.host, "route", "del", "default"), "no default route"),
        (
            lambda world: world.start(world.host, DROP_FORWARDED).stdout.readline(),
            "firewall does not forward packets: iptables -I FORWARD -i lmb",
        ),
    ],
    ids=["no route", "firewall"],
)
def test_a_host_that_cannot_give_a_network_says_why(world: World, break_it: Callable[[World], Any], words: str) -> None:
    break_it(world)
    runner = world.begin((INTERNET, ""))
    assert runner.stdout is not None
    assert words in json.loads(runner.stdout.readline())
    world.end(runner)
    assert world.left() == []


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
