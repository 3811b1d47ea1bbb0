"""A world for networks of sandboxes: a host (a network namespace) whose default route leads outside (another one), with
a web server and a name server. Nothing of it leaves this machine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

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

# What sandboxes try with.
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


class World:
    """Two namespaces: the host's and the outside. `user`: who runs the server on the host, if not root."""

    TRY = TRY
    INTERNET: ClassVar[dict[str, Any]] = {"internet": True, "networks": [], "hosts": []}
    REFUSED = "OSError 113"

    def __init__(self, name: str, state: Path, user: Any = None) -> None:
        self.host, self.outside, self.state, self.user = f"{name}h", f"{name}o", state, user
        self.instance = f"{os.getpid():08x}"
        self.processes: list[subprocess.Popen[str]] = []
        for namespace in (self.host, self.outside):
            self.ip("netns", "add", namespace)
            self.ip("-n", namespace, "link", "set", "lo", "up")
        self.ip("-n", self.host, "link", "add", "wan", "type", "veth", "peer", "name", "wan", "netns", self.outside)
        for namespace, address in ((self.host, "93.184.216.1/24"), (self.outside, "93.184.216.34/24")):
            self.ip("-n", namespace, "address", "add", address, "dev", "wan")
            self.ip("-n", namespace, "link", "set", "wan", "up")
        self.ip("-n", self.host, "route", "add", "default", "via", "93.184.216.34")
        for more in ("10.1.2.3/32", "169.254.169.254/32", "192.168.7.7/32", "100.64.0.9/32", "8.8.8.8/32"):
            self.ip("-n", self.outside, "address", "add", more, "dev", "lo")
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
                    with contextlib.suppress(BrokenPipeError):  # it did not read all that it was told
                        pipe.close()
        for namespace in (self.host, self.outside):
            self.ip("netns", "del", namespace)

    @staticmethod
    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True)


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
