"""Using things up: there is an end to each, and nobody else has less of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.alone]

_LIMITS = pytest.mark.not_rootless("limits on memory and processor time, without a cgroup that was delegated")
_COUNTED = pytest.mark.not_rootless("a user of its own for each sandbox, for whom the kernel counts")

# name: (fewest, most, what ends it)
BOMBS: dict[str, tuple[int, int, set[str]]] = {
    "descriptors": (900, 1024, {"EMFILE"}),
    "sockets": (900, 1024, {"EMFILE"}),
    "system_v_segments": (1, 4096, {"ENOSPC"}),
    "threads": (100, 1024, {"RuntimeError"}),
    "processes": (100, 1024, {"EAGAIN"}),
    "shared_memory": (1, 64, {"ENOSPC"}),
    "inodes": (4_000, 8_000, {"no end", "ENOSPC"}),
}


@pytest.fixture(scope="module")
def bombs(arena: Any) -> dict[str, Any]:
    invoked = arena.attack(arena.deploy("bomber", MemorySize=2048), "exhaustion", *BOMBS, "orphans", "disk")
    assert invoked.function_error is None, invoked
    arena.check_neighbour()
    found: dict[str, Any] = invoked.payload
    return found


@pytest.mark.parametrize("name", BOMBS)
def test_bomb(bombs: dict[str, Any], name: str) -> None:
    count, end = bombs[name]
    fewest, most, ends = BOMBS[name]
    assert fewest <= count <= most
    assert end in ends


def test_orphans_are_reaped(bombs: dict[str, Any]) -> None:
    assert bombs["orphans"] == 1500  # more than there may be processes


def test_tmp_ends_at_its_size(bombs: dict[str, Any]) -> None:
    count, end = bombs["disk"]
    assert end == "ENOSPC"
    assert 0 < count * 16 <= 512


@_LIMITS
@pytest.mark.parametrize("name", ["memory", "memory_without_a_process"])
def test_memory_bomb_ends_its_environment(arena: Any, name: str) -> None:
    invoked = arena.attack(arena.deploy("eater", MemorySize=256), "exhaustion", name)
    assert invoked.function_error == "Unhandled"
    assert invoked.payload["errorType"] == "Runtime.OutOfMemory"
    arena.check_neighbour()


@_LIMITS
def test_memory_bomb_of_a_child(arena: Any) -> None:
    """Whether the kernel takes the child alone or all together differs with the version of cgroups."""
    invoked = arena.attack(arena.deploy("eater", MemorySize=256), "exhaustion", "memory_of_a_child")
    assert invoked.payload == {"memory_of_a_child": -9} or invoked.payload["errorType"] == "Runtime.OutOfMemory"
    arena.check_neighbour()


@_LIMITS
def test_processor_time_is_a_share(arena: Any) -> None:
    """A quarter of a processor, however many processes want it."""
    invoked = arena.attack(arena.deploy("burner", MemorySize=442), "exhaustion", "processor")
    assert invoked.payload["processor"] < 1.2  # 0.25 s a second while they run; without a limit, up to 2 of this host
    arena.check_neighbour()


@_COUNTED
def test_kernel_objects_of_one_are_not_those_of_others(arena: Any) -> None:
    arena.deploy("hoarder", MemorySize=512)
    results: list[Any] = []
    attack = threading.Thread(
        target=lambda: results.append(arena.attack("hoarder", "exhaustion", "kernel_objects", hold_s=1.5))
    )
    attack.start()
    free = {"epoll", "timer descriptors", "memory descriptors", "pipes", "sockets", "timers", "inotify"}
    while attack.is_alive():
        found = arena.ask_neighbour(kernel_objects=True)["kernel_objects"]
        assert {name: found[name] for name in free} == {name: [50, "no end"] for name in free}
        assert found["message queues"] == [5, "no end"]
        assert found["threads"][0] == 20
        time.sleep(0.05)
    held = results[0].payload["kernel_objects"]
    assert held["inotify"][1] == "EMFILE"
    assert held["message queues"][1] in ("EMFILE", "ENOSPC")
    assert held["signals"][1] == "EAGAIN"
    assert held["asynchronous contexts"] == [0, "EPERM"]
    arena.check_neighbour()


@_COUNTED
def test_the_host_keeps_what_functions_use_up(arena: Any, host_inotify: Callable[[], int]) -> None:
    attack = threading.Thread(target=lambda: arena.attack("hoarder", "exhaustion", "kernel_objects", hold_s=1.0))
    arena.deploy("hoarder", MemorySize=512)
    attack.start()
    while attack.is_alive():
        assert host_inotify() > 0
        time.sleep(0.05)


@pytest.fixture
def host_inotify() -> Callable[[], int]:
    """Makes an inotify instance as this test's user, and lets go of it."""
    import ctypes
    import os

    def make() -> int:
        descriptor = int(ctypes.CDLL(None).inotify_init1(0))
        if descriptor >= 0:
            os.close(descriptor)
        return descriptor

    return make
