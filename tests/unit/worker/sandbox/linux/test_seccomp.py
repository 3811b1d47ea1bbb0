"""The filter, run by an interpreter for classic BPF that knows the few instructions it is made of."""

from __future__ import annotations

import errno
import functools
import os
import struct
from collections.abc import Sequence

import pytest

from lambent.worker.sandbox.linux import syscall_numbers
from lambent.worker.sandbox.linux.seccomp import build_filter

ALLOWED = 0x7FFF0000
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NUMBERS = {"x86_64": syscall_numbers.X86_64, "aarch64": syscall_numbers.AARCH64}


@functools.cache
def instructions(machine: str) -> list[tuple[int, int, int, int]]:
    return list(struct.iter_unpack("<HBBI", build_filter(machine)))


def verdict(machine: str, number: int, arguments: Sequence[int] = (), architecture: int | None = None) -> int | str:
    """The error number that the filter answers with, or "allowed"."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", number, architecture or ARCHITECTURE[machine], 0, *padded)
    program = instructions(machine)
    accumulator, at = 0, 0
    for _ in range(len(program) + 1):
        code, if_true, if_false, operand = program[at]
        at += 1
        match code:
            case 0x20:
                accumulator = struct.unpack_from("<I", data, operand)[0]
            case 0x15:
                at += if_true if accumulator == operand else if_false
            case 0x35:
                at += if_true if accumulator >= operand else if_false
            case 0x45:
                at += if_true if accumulator & operand else if_false
            case 0x06:
                return "allowed" if operand == ALLOWED else operand & 0xFFFF
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")
    raise AssertionError("the filter does not return")


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


CONDITIONAL = (
    "clone", "clone3", "fcntl", "ioctl", "personality", "prlimit64", "setrlimit", "socket", "sync", "syncfs",
)  # fmt: skip


def test_every_number_gets_its_verdict(machine: str) -> None:
    names = {number: name for name, number in NUMBERS[machine].items()}
    for number in range(syscall_numbers.NEWEST + 20):
        if names.get(number) in CONDITIONAL:
            continue
        expected = "allowed" if number in names else errno.EPERM
        if number > syscall_numbers.NEWEST:
            expected = errno.ENOSYS
        assert verdict(machine, number) == expected, number


def test_other_architectures_are_refused(machine: str) -> None:
    assert verdict(machine, NUMBERS[machine]["read"], architecture=0x40000003) == errno.ENOSYS
    assert verdict(machine, 0x40000000) == errno.ENOSYS  # x32


@pytest.mark.parametrize("flag", [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000])
def test_clone_makes_no_namespaces(machine: str, flag: int) -> None:
    clone = NUMBERS[machine]["clone"]
    assert verdict(machine, clone, [flag | 17]) == errno.EPERM
    assert verdict(machine, clone, [0x003D0F00]) == "allowed"  # a thread of glibc's
    assert verdict(machine, clone, [0x01200011]) == "allowed"  # its fork
    assert verdict(machine, NUMBERS[machine]["clone3"]) == errno.ENOSYS


def test_arguments_count_by_their_low_half(machine: str) -> None:
    """The kernel looks at 32 bits of these, so the upper half must not help around the filter."""
    high = 1 << 40
    assert verdict(machine, NUMBERS[machine]["ioctl"], [0, 0x5412 | high]) == errno.EPERM
    assert verdict(machine, NUMBERS[machine]["socket"], [40 | high]) == errno.EAFNOSUPPORT
    assert verdict(machine, NUMBERS[machine]["clone"], [0x10000000 | high]) == errno.EPERM


def test_socket_families(machine: str) -> None:
    results = {family: verdict(machine, NUMBERS[machine]["socket"], [family, 1]) for family in range(50)}
    assert {family for family, result in results.items() if result == "allowed"} == {1, 2, 10, 16}


def test_ioctl_and_personality(machine: str) -> None:
    assert verdict(machine, NUMBERS[machine]["ioctl"], [0, 0x5401]) == "allowed"
    assert verdict(machine, NUMBERS[machine]["personality"], [0xFFFFFFFF]) == "allowed"
    assert verdict(machine, NUMBERS[machine]["personality"], [0x0040000]) == errno.EPERM


@pytest.mark.parametrize("pointer", [0x7FFF12345678, 0x1000, 1 << 40])
def test_the_limit_on_core_dumps_stays(machine: str, pointer: int) -> None:
    numbers = NUMBERS[machine]
    assert verdict(machine, numbers["prlimit64"], [0, 4, pointer, pointer]) == 0
    assert verdict(machine, numbers["prlimit64"], [0, 4, 0, pointer]) == "allowed"
    assert verdict(machine, numbers["prlimit64"], [0, 7, pointer, 0]) == "allowed"
    assert verdict(machine, numbers["setrlimit"], [4, pointer]) == 0
    assert verdict(machine, numbers["setrlimit"], [7, pointer]) == "allowed"


def test_pipes_stay_as_large_as_they_are(machine: str) -> None:
    assert verdict(machine, NUMBERS[machine]["fcntl"], [1, 1031, 1 << 20]) == errno.EPERM
    assert verdict(machine, NUMBERS[machine]["fcntl"], [1, 1032]) == "allowed"


@pytest.mark.parametrize("name", ["sync", "syncfs"])
def test_syncing_all_disks_does_nothing(machine: str, name: str) -> None:
    assert verdict(machine, NUMBERS[machine][name]) == 0


@pytest.mark.parametrize(
    "name",
    [
        "io_setup",
        "mount",
        "ptrace",
        "bpf",
        "keyctl",
        "unshare",
        "setns",
        "io_uring_setup",
        "userfaultfd",
        "perf_event_open",
    ],
)
def test_the_dangerous_ones_are_not_on_the_list(name: str) -> None:
    assert name not in syscall_numbers.X86_64
    assert name not in syscall_numbers.AARCH64


def test_numbers_are_this_machines() -> None:
    """`getppid` through the table of the machine that this runs on."""
    import ctypes

    numbers = NUMBERS.get(os.uname().machine)
    if numbers is None:
        pytest.skip("no table for this machine")
    assert ctypes.CDLL(None).syscall(ctypes.c_long(numbers["getppid"])) == os.getppid()


def test_unknown_machines_are_refused() -> None:
    with pytest.raises(ValueError, match="riscv64"):
        build_filter("riscv64")
    with pytest.raises(ValueError, match="big-endian"):
        build_filter("aarch64", "big")
