"""The network of sandboxes, against an outside made for the test: another network namespace, with a web server and a
name server, that the host of the test (a namespace too) has its default route to. As root and as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.inventory import Inventory

pytestmark = pytest.mark.root

OUTSIDE = """
import http.server, selectors, socket, socketserver, struct, threading
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
def hold():  # connections, until their clients close them
    waiting = selectors.DefaultSelector()
    server = socket.create_server(("0.0.0.0", 9), backlog=4096)
    waiting.register(server, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is server:
                waiting.register(server.accept()[0], selectors.EVENT_READ)
            else:
                waiting.unregister(key.fileobj)
                key.fileobj.close()
threading.Thread(target=hold, daemon=True).start()
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
    networks = [p for p in policies if p]
    backend = LinuxBackend(orders["instance"], state, networks=networks, rootless=os.geteuid() != 0)
    await backend.start()
    print(json.dumps(backend.report().why_no_network), flush=True)
    sys.stdin.readline()
    template = SandboxTemplate("t", (Bind(Path(sys.base_prefix), sys.base_prefix),))
    async def run(number, policy, script):
        spec = SandboxSpec(f"s{number}", (sys.base_prefix + "/bin/python3", "-I", "-S", "-c", script),
                           {"PATH": "/usr/bin:/bin"}, SandboxLimits(128 << 20, 2.0, 8 << 20), network=policy)
        while True:
            try:
                sandbox = await backend.launch(template, spec)
                break
            except SandboxError as error:  # what makes them has just died
                print(error, file=sys.stderr)
                await asyncio.sleep(0.05)
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
INTERNET: dict[str, Any] = {"internet": True, "networks": [], "hosts": []}
REFUSED = "OSError 113"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


class World:
    """Two namespaces: the host's and the outside. `user`: who runs the server on the host, if not root."""

    def __init__(self, name: str, state: Path, user: Any = None) -> None:
        self.host, self.outside, self.state, self.user = f"{name}h", f"{name}o", state, user
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
        return self._start("ip", "netns", "exec", namespace, sys.executable, "-c", script)

    def _start(self, *command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def start_as_user(self, *arguments: str, tun: str = "666", **environ: str) -> subprocess.Popen[str]:
        """A script on the host. `tun`: the mode of /dev/net/tun."""
        device = f"mount -t tmpfs none /dev/net && mknod -m {tun} /dev/net/tun c 10 200"
        become = ["setpriv", f"--reuid={self.user.id}", f"--regid={self.user.id}", "--clear-groups"]
        environ = {**self.user.environ(self.state), **environ}
        python = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in environ.items()), self.user.python]
        command = ["sh", "-c", f'{device} && exec "$@"', "sh", *become, *python, "-c", *arguments]
        return self._start("ip", "netns", "exec", self.host, *command)

    def begin(
        self, *runs: tuple[dict[str, Any] | None, str], tun: str = "666", **environ: str
    ) -> subprocess.Popen[str]:
        """A server that says first why there is no network, and does the runs when it is told to. `tun`: see
        `start_as_user`."""
        runner = self.start(self.host, RUNNER) if self.user is None else self.start_as_user(RUNNER, tun=tun, **environ)
        orders = {"state": str(self.state), "instance": self.instance, "runs": runs}
        self.tell(runner, json.dumps(orders))
        return runner

    def tell(self, runner: subprocess.Popen[str], line: str = "go on") -> None:
        assert runner.stdin is not None
        runner.stdin.write(f"{line}\n")
        runner.stdin.flush()

    def hear(self, runner: subprocess.Popen[str]) -> Any:
        assert runner.stdout is not None
        return json.loads(runner.stdout.readline())

    def run(self, *runs: tuple[dict[str, Any] | None, str]) -> list[Any]:
        """What each printed, as JSON."""
        runner = self.begin(*runs)
        assert self.hear(runner) == ""
        return self.go_on(runner)

    def go_on(self, runner: subprocess.Popen[str]) -> list[Any]:
        """Do the runs, and end."""
        self.tell(runner)
        outputs = self.hear(runner)
        self.end(runner)
        return [json.loads(output) for output in outputs]

    def end(self, runner: subprocess.Popen[str]) -> None:
        self.tell(runner)
        assert runner.stdin is not None
        runner.stdin.close()
        assert runner.wait(10) == 0

    def family(self, runner: subprocess.Popen[str], name: str = "") -> list[int]:
        """The processes that a server has started, and those that they have; or those of them that are called so."""
        found, new = [runner.pid], [runner.pid]
        while new:
            children = Path(f"/proc/{new.pop()}/task").glob("*/children")
            born = [int(pid) for path in children for pid in path.read_text().split()]
            found += born
            new += born
        return [pid for pid in found if name in Path(f"/proc/{pid}/comm").read_text()]

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
def root(tmp_path: Path) -> Iterator[World]:
    state = tmp_path / "state"
    state.mkdir()
    world = World(f"lt{os.getpid()}", state)
    try:
        yield world
    finally:
        world.close()


@pytest.fixture
def rootless(ordinary_user: Any) -> Iterator[World]:
    if shutil.which("slirp4netns", path="/usr/bin:/bin") is None:
        pytest.skip("there is no slirp4netns: apt-get install slirp4netns")
    with ordinary_user.home() as home:
        world = World(f"lt{os.getpid()}", home, ordinary_user)
        try:
            yield world
        finally:
            world.close()


@pytest.fixture(params=["root", "rootless"])
def world(request: pytest.FixtureRequest) -> World:
    found: World = request.getfixturevalue(request.param)
    return found


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


def test_connections_of_a_sandbox_end_at_a_number(world: World) -> None:
    """Those that are closed do not count, and others have their own."""
    script = (
        TRY
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
    other = TRY + "import time; time.sleep(2)\nprint(json.dumps([reach('8.8.8.8') for _ in range(5)]))"
    used_up, others = world.run((INTERNET, script), (INTERNET, other))
    assert used_up == [[700, 0], [324, 113], REFUSED, "93.184.216.1"]
    assert others == ["93.184.216.1"] * 5


def test_no_network_stays_none(world: World) -> None:
    script = TRY + "print(json.dumps([reach('8.8.8.8'), reach('public.test'), reach('169.254.78.1', 54)]))"
    (none, internet) = world.run((None, script), (INTERNET, script))
    assert none == ["OSError 101", "gaierror -3", "OSError 101"]
    assert internet == ["93.184.216.1", "93.184.216.1", REFUSED]


def test_nothing_is_left_after_a_crash(root: World) -> None:
    runner = root.begin((INTERNET, "print(1)"))
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
    assert root.run((INTERNET, TRY + "print(json.dumps(reach('8.8.8.8')))")) == ["93.184.216.1"]
    assert root.forwarding() == "0"  # set back by the next start, and then by its end


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
def test_a_host_that_cannot_give_a_network_says_why(root: World, break_it: Callable[[World], Any], words: str) -> None:
    break_it(root)
    runner = root.begin((INTERNET, ""))
    assert words in root.hear(runner)
    root.tell(runner)
    root.end(runner)
    assert root.left() == []


OUTLOOK = """
import dataclasses, json, os
from lambent.worker.sandbox.linux.network.outlook import outlook
print(json.dumps(dataclasses.astuple(outlook(rootless=os.geteuid() != 0))))
"""
DROPPING = """
import time
from lambent.worker.sandbox.linux.network import nftables as nft
table = nft.Table("filter")
table.chain("FORWARD", nft.FORWARD)
kind, flags, body, what = table._pending.pop()
table._pending.append((kind, flags, body + nft._be32(5, nft.DROP), what))  # its policy
table.chain("INPUT", nft.INPUT)
table.commit()
print("closed", flush=True)
time.sleep(100)
"""


def test_what_is_to_be_expected_is_told(root: World) -> None:
    assert root.hear(root.start(root.host, OUTLOOK)) == ["", "through the host's own forwarding"]
    root.start(root.host, DROPPING).stdout.readline()  # type: ignore[union-attr]
    why_not, how = root.hear(root.start(root.host, OUTLOOK))
    assert why_not == ""
    assert how.endswith("if its firewall lets it: filter FORWARD drops what nothing lets through")
    ip("-n", root.host, "route", "del", "default")
    assert root.hear(root.start(root.host, OUTLOOK))[0].startswith("this host has no default route: allow-lists work")


def test_what_an_ordinary_user_can_expect_is_told(rootless: World) -> None:
    assert rootless.hear(rootless.start_as_user(OUTLOOK)) == ["", "by slirp4netns"]
    why_not, _ = rootless.hear(rootless.start_as_user(OUTLOOK, tun="600"))
    assert "chmod 666 /dev/net/tun" in why_not
    ip("-n", rootless.host, "route", "del", "default")
    assert rootless.hear(rootless.start_as_user(OUTLOOK))[0].startswith("this host has no default route")


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"PATH": "/nowhere"}, "apt-get install slirp4netns"),
        ({"tun": "600"}, "this user may not open /dev/net/tun: chmod 666"),
    ],
    ids=["no program", "no device"],
)
def test_an_ordinary_user_is_told_what_is_missing(rootless: World, trouble: dict[str, str], words: str) -> None:
    runner = rootless.begin((INTERNET, ""), **trouble)
    assert words in rootless.hear(runner)
    rootless.tell(runner)
    rootless.end(runner)


def test_an_ordinary_user_has_no_way_out_either(rootless: World) -> None:
    ip("-n", rootless.host, "route", "del", "default")
    runner = rootless.begin((INTERNET, ""))
    assert "no default route" in rootless.hear(runner)
    rootless.tell(runner)
    rootless.end(runner)


def test_nothing_of_an_ordinary_user_is_left_after_a_crash(rootless: World) -> None:
    runner = rootless.begin((INTERNET, "print(1)"))
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
    assert rootless.run((INTERNET, TRY + "print(json.dumps(reach('8.8.8.8')))")) == ["93.184.216.1"]


def test_a_server_of_an_ordinary_user_gives_functions_the_internet(rootless: World) -> None:
    server = rootless.start_as_user(SERVER, TRY)
    assert rootless.hear(server) == ["93.184.216.1", REFUSED, REFUSED]
    assert server.wait(20) == 0


def test_what_speaks_for_an_ordinary_users_functions_is_locked_up(rootless: World) -> None:
    runner = rootless.begin((INTERNET, "print(1)"))
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
def test_what_dies_is_replaced(rootless: World, victims: list[str]) -> None:
    """Old and new sandboxes go on, with the rules that they had."""
    script = (
        TRY
        + """
import time
tries = 0
while (seen := reach("8.8.8.8")) != "93.184.216.1" and (tries := tries + 1) < 100: time.sleep(0.1)
print(json.dumps([seen, reach("public.test"), reach("10.1.2.3"), reach("93.184.216.1", 80)]))
"""
    )
    runner = rootless.begin((INTERNET, script), (INTERNET, script))
    assert rootless.hear(runner) == ""
    killed = [pid for name in victims for pid in rootless.family(runner, name)]
    assert len(killed) == len(victims)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert rootless.go_on(runner) == [["93.184.216.1", "93.184.216.1", REFUSED, REFUSED]] * 2


def test_addresses_that_the_host_gets_later_are_out_of_reach(rootless: World) -> None:
    rootless.start(rootless.host, "import socket\nwith socket.create_server(('', 8080)) as s:\n while True: s.accept()")
    script = TRY + "import time; time.sleep(1)\nprint(json.dumps([reach(a, 8080) for a in ADDRESSES]))"
    addresses = ["93.184.216.77", "9.9.9.9"]
    runner = rootless.begin((INTERNET, script.replace("ADDRESSES", str(addresses))))
    assert rootless.hear(runner) == ""
    for address in addresses:
        ip("-n", rootless.host, "address", "add", f"{address}/32", "dev", "wan")
    assert rootless.go_on(runner) == [[REFUSED] * 2]


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
