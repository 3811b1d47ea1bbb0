"""Attempts at other processes, environments and networks."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from hostile.attempts import attempt, call, libc, outcome


def _connect(address: Any, family: int = socket.AF_INET) -> str:
    with socket.socket(family) as sock:
        sock.settimeout(3)
        sock.connect(address)
        return "connected"


@attempt
def kill_everybody(event: dict[str, Any]) -> Any:
    """All that may be signalled but init and oneself: there is nobody."""
    return os.kill(-1, 9)


@attempt
def kill_init(event: dict[str, Any]) -> Any:
    os.kill(1, 9)
    os.kill(1, 15)
    os.kill(1, 19)
    with open("/proc/1/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] in "SRD"


@attempt
def signal_processes_of_the_host(event: dict[str, Any]) -> Any:
    return [outcome(lambda pid=pid: os.kill(pid, 0)) for pid in event["host_pids"]]  # type: ignore[misc]


@attempt
def open_processes_of_the_host(event: dict[str, Any]) -> Any:
    return [call(434, 434, pid, 0) for pid in event["host_pids"]]


@attempt
def group_of_the_host(event: dict[str, Any]) -> Any:
    return [outcome(lambda pid=pid: os.killpg(pid, 9)) for pid in event["host_pids"]]  # type: ignore[misc]


@attempt
def resource_limits_of_the_host(event: dict[str, Any]) -> Any:
    return [call(302, 261, pid, 7, 0, bytes(16)) for pid in event["host_pids"]]


@attempt
def affinity_of_the_host(event: dict[str, Any]) -> Any:
    return [call(203, 122, pid, 8, (1).to_bytes(8, "little")) for pid in event["host_pids"]]


@attempt
def abstract_socket_of_a_neighbour(event: dict[str, Any]) -> Any:
    return _connect("\0neighbour", socket.AF_UNIX)


@attempt
def abstract_socket_of_the_host(event: dict[str, Any]) -> Any:
    return _connect("\0" + event["abstract"], socket.AF_UNIX)


@attempt
def port_of_a_neighbour(event: dict[str, Any]) -> Any:
    return _connect(("127.0.0.1", 7777))


@attempt
def port_of_the_host(event: dict[str, Any]) -> Any:
    return _connect(("127.0.0.1", event["host_port"]))


@attempt
def port_of_the_host_by_its_addresses(event: dict[str, Any]) -> Any:
    addresses = event["host_addresses"]
    return [outcome(lambda a=a: _connect((a, event["server_port"]))) for a in addresses]  # type: ignore[misc]


@attempt
def instance_metadata(event: dict[str, Any]) -> Any:
    return _connect(("169.254.169.254", 80))


@attempt
def container_metadata(event: dict[str, Any]) -> Any:
    return _connect(("169.254.170.2", 80))


@attempt
def internet(event: dict[str, Any]) -> Any:
    return _connect(("1.1.1.1", 53))


@attempt
def internet_6(event: dict[str, Any]) -> Any:
    return _connect(("2606:4700:4700::1111", 53), socket.AF_INET6)


@attempt
def datagram(event: dict[str, Any]) -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return sock.sendto(b"x", ("8.8.8.8", 53))


@attempt
def broadcast(event: dict[str, Any]) -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        return sock.sendto(b"x", ("255.255.255.255", 9))


@attempt
def interfaces(event: dict[str, Any]) -> Any:
    return [name for _, name in socket.if_nameindex()]


@attempt
def privileged_port(event: dict[str, Any]) -> Any:
    with socket.socket() as sock:
        return sock.bind(("127.0.0.1", 80))


@attempt
def shared_memory_of_a_neighbour(event: dict[str, Any]) -> Any:
    return call(29, 194, 0x6C616D62, 4096, 0)


@attempt
def message_queue_of_a_neighbour(event: dict[str, Any]) -> Any:
    return call(68, 186, 0x6C616D62, 0)


@attempt
def semaphores_of_a_neighbour(event: dict[str, Any]) -> Any:
    return call(64, 190, 0x6C616D62, 1, 0)


@attempt
def shared_memory_of_the_host(event: dict[str, Any]) -> Any:
    return call(29, 194, event["shm_key"], 4096, 0)


@attempt
def posix_queue_of_a_neighbour(event: dict[str, Any]) -> Any:
    return call(240, 180, b"neighbour", os.O_RDWR, 0, 0)


@attempt
def files_of_a_neighbour(event: dict[str, Any]) -> Any:
    return [os.path.exists(path) for path in ("/tmp/neighbour", "/dev/shm/neighbour")]


@attempt
def environments_of_others(event: dict[str, Any]) -> Any:
    """Secrets among the variables of every process that can be seen."""
    found = 0
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            text = outcome(lambda pid=pid: open(f"/proc/{pid}/environ", "rb").read())  # type: ignore[misc]
            found += sum(_holds(text, halves) for halves in _secrets(event)) if isinstance(text, bytes) else 0
    return found


@attempt
def secrets_of_others_in_own_memory(event: dict[str, Any]) -> Any:
    """Whatever this process was copied from may have held them."""
    found = set()
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in maps:
            area, permissions = line.split()[:2]
            if "r" not in permissions or "[v" in line:
                continue
            start, end = (int(part, 16) for part in area.split("-"))
            data = outcome(lambda start=start, end=end: os.pread(memory.fileno(), end - start, start))  # type: ignore[misc]
            if isinstance(data, bytes):
                found |= {index for index, halves in enumerate(_secrets(event)) if _holds(data, halves)}
    return sorted(found)


def _secrets(event: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """In halves: whole, they would be in our own memory. They come reversed for the same reason."""
    texts = event["secrets_reversed"]
    return [(text[len(text) // 2 :][::-1].encode(), text[: len(text) // 2][::-1].encode()) for text in texts]


def _holds(data: bytes, halves: tuple[bytes, bytes]) -> bool:
    at = data.find(halves[0])
    while at >= 0:
        if data.startswith(halves[1], at + len(halves[0])):
            return True
        at = data.find(halves[0], at + 1)
    return False


@attempt
def pid_of_init_outside(event: dict[str, Any]) -> Any:
    """The numbers that namespaces above use are not told."""
    with open("/proc/self/status") as file:
        return [len(line.split()) - 1 for line in file if line.startswith("NSpid")]


@attempt
def user_outside(event: dict[str, Any]) -> Any:
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    names = ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
    return {name: fields[name].split() for name in names}


@attempt
def credentials_by_unix_socket(event: dict[str, Any]) -> Any:
    """Claiming to be somebody else in SCM_CREDENTIALS."""
    left, right = socket.socketpair(socket.AF_UNIX)
    right.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    claim = struct.pack("3i", 1, 0, 0)
    return left.sendmsg([b"x"], [(socket.SOL_SOCKET, 2, claim)])


@attempt
def asynchronous_signals_to_others(event: dict[str, Any]) -> Any:
    """F_SETOWN to a process of the host: a signal with every byte."""
    read, _ = os.pipe()
    return [call(72, 25, read, 8, pid) for pid in event["host_pids"]]


@attempt
def priority_of_everybody(event: dict[str, Any]) -> Any:
    """Of all processes of our user, and of init's group: whether it worked the neighbour says."""
    return [call(141, 140, kind, 0, 1) for kind in (1, 2)]


@attempt
def disk_priority_of_everybody(event: dict[str, Any]) -> Any:
    return call(251, 30, 3, os.getuid(), 3 << 13)


@attempt
def every_process_number(event: dict[str, Any]) -> Any:
    """Those that can be signalled and are none of ours."""
    own = {int(name) for pid in os.listdir("/proc") if pid.isdigit() for name in os.listdir(f"/proc/{pid}/task")}
    return [pid for pid in range(1, 40_000) if pid not in own and outcome(lambda pid=pid: os.kill(pid, 0)) != "ESRCH"]  # type: ignore[misc]


@attempt
def further_groups(event: dict[str, Any]) -> Any:
    return os.getgroups()


@attempt
def parent_death_signal(event: dict[str, Any]) -> Any:
    return libc.prctl(1, 0, 0, 0, 0)
