"""System calls that must be refused, each in its way."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import socket
import struct
from typing import Any

from hostile.attempts import X86_64, attempt, call, outcome

_NAMESPACES = {
    "mount": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000,
    "pid": 0x20000000, "network": 0x40000000, "time": 0x80,
}  # fmt: skip
# name: (number on x86_64, on aarch64 (-1: none), arguments)
_CALLS: dict[str, tuple[Any, ...]] = {
    "mount": (165, 40, b"", b"/tmp", b"tmpfs", 0, 0),
    "remount_root_writable": (165, 40, b"", b"/", b"", 0x20, 0),
    "umount_proc": (166, 39, b"/proc", 2),
    "umount_proc_sys": (166, 39, b"/proc/sys", 2),
    "pivot_root": (155, 41, b"/tmp", b"/tmp"),
    "chroot": (161, 51, b"/tmp"),
    "open_tree": (428, 428, -100, b"/", 1),
    "move_mount": (429, 429, -100, b"/usr", -100, b"/tmp", 0),
    "fsopen": (430, 430, b"tmpfs", 0),
    "fsconfig": (431, 431, 0, 0, 0, 0, 0),
    "fsmount": (432, 432, 0, 0, 0),
    "fspick": (433, 433, -100, b"/", 0),
    "mount_setattr": (442, 442, -100, b"/", 0, bytes(32), 32),
    "statmount": (457, 457, bytes(32), bytes(512), 512, 0),
    "listmount": (458, 458, bytes(32), bytes(512), 64, 0),
    "clone3": (435, 435, bytes(88), 88),
    "ptrace_traceme": (101, 117, 0, 0, 0, 0),
    "ptrace_attach_init": (101, 117, 16, 1, 0, 0),
    "ptrace_seize_init": (101, 117, 0x4206, 1, 0, 0),
    "process_vm_readv": (310, 270, 1, 0, 0, 0, 0, 0),
    "process_vm_writev": (311, 271, 1, 0, 0, 0, 0, 0),
    "process_madvise": (440, 440, 0, 0, 0, 0, 0),
    "pidfd_getfd": (438, 438, 0, 0, 0),
    "kcmp": (312, 272, 1, 1, 0, 0, 0),
    "keyctl_session_keyring": (250, 219, 0, -3, 0),
    "keyctl_read_user_keyring": (250, 219, 11, -4, 0, 0),
    "add_key": (248, 217, b"user", b"x", b"y", 1, -3),
    "request_key": (249, 218, b"user", b"x", 0, 0),
    "bpf": (321, 280, 0, bytes(128), 128),
    "perf_event_open": (298, 241, bytes(128), 0, -1, -1, 0),
    "userfaultfd": (323, 282, 0),
    "io_uring_setup": (425, 425, 8, bytes(120)),
    "io_uring_enter": (426, 426, 0, 0, 0, 0, 0, 0),
    "io_uring_register": (427, 427, 0, 0, 0, 0),
    "io_setup": (206, 0, 1000, bytes(8)),
    "kexec_load": (246, 104, 0, 0, 0, 0),
    "kexec_file_load": (320, 294, 0, 0, 0, 0, 0),
    "init_module": (175, 105, b"", 0, b""),
    "finit_module": (313, 273, 0, b"", 0),
    "delete_module": (176, 106, b"loop", 0),
    "reboot": (169, 142, 0xFEE1DEAD, 672274793, 0, 0),
    "swapon": (167, 224, b"/tmp/x", 0),
    "swapoff": (168, 225, b"/tmp/x"),
    "settimeofday": (164, 170, bytes(16), 0),
    "clock_settime": (227, 112, 0, bytes(16)),
    "clock_adjtime": (305, 266, 0, struct.pack("I", 0x100) + bytes(204)),
    "sethostname": (170, 161, b"x", 1),
    "setdomainname": (171, 162, b"x", 1),
    "kernel_log": (103, 116, 3, bytes(100), 100),
    "acct": (163, 89, 0),
    "open_by_handle_at": (304, 265, -100, bytes(16), 0),
    "name_to_handle_at": (303, 264, -100, b"/usr", bytes(136), bytes(4), 0),
    "fanotify_init": (300, 262, 0, 0),
    "quotactl": (179, 60, 0, 0, 0, 0),
    "quotactl_fd": (443, 443, 0, 0, 0, 0),
    "lookup_dcookie": (212, 18, 0, 0, 0),
    "modify_ldt": (154, -1, 0, bytes(64), 64),
    "iopl": (172, -1, 3),
    "ioperm": (173, -1, 0, 1, 1),
    "uselib": (134, -1, b"/tmp/x"),
    "sysfs": (139, -1, 3, 0, 0),
    "old_sysctl": (156, -1, 0),
    "create_module": (174, -1, b"x", 1),
    "nfsservctl": (180, 42, 0, 0, 0),
    "vhangup": (153, 58),
    "move_pages": (279, 239, 1, 0, 0, 0, 0, 0),
    "migrate_pages": (256, 238, 1, 0, 0, 0),
    "mbind": (237, 235, 0, 0, 0, 0, 0, 0),
    "set_mempolicy": (238, 237, 0, 0, 0),
    "personality_without_randomisation": (135, 92, 0x0040000),
    "personality_read_implies_exec": (135, 92, 0x0400000),
    "call_of_the_future": (500, 500),
    "x32_call": (0x40000000 | 39, -1),
    "terminal_injection": (16, 29, 0, 0x5412, b"x"),
    "console_injection": (16, 29, 0, 0x541C, b"x"),
    "become_root": (105, 146, 0),
    "take_capabilities": (126, 91, struct.pack("Ii", 0x20080522, 0), b"\xff" * 24),
    "raise_ambient_capability": (157, 167, 47, 2, 21, 0, 0),
    "set_groups": (116, 159, 1, struct.pack("I", 0)),
    "allow_new_privileges": (157, 167, 38, 0, 0, 0, 0),
    "change_memory_map": (157, 167, 35, 1, 4096, 0, 0),
    "schedule_in_real_time": (144, 119, 0, 1, struct.pack("i", 50)),
    "schedule_by_deadline": (314, 274, 0, struct.pack("IIQiIQQQ", 48, 6, 0, 0, 0, 10**6, 10**7, 10**7), 0),
    "io_priority_in_real_time": (251, 30, 1, 0, (1 << 13)),
    "raise_priority": (141, 140, 0, 0, -10),
    "raise_priority_of_others": (141, 140, 2, 0, -10),
    "device_node": (259, 33, -100, b"/tmp/disk", 0o60600, 0x700),
    "character_device_node": (259, 33, -100, b"/tmp/mem", 0o20600, 0x101),
    "raise_descriptor_limit": (302, 261, 0, 7, struct.pack("QQ", 65536, 65536), 0),
    "raise_locked_memory": (302, 261, 0, 8, struct.pack("QQ", 1 << 62, 1 << 62), 0),
}
_SOCKETS = {
    "raw": (2, 3, 1), "raw_6": (10, 3, 58), "packet": (17, 3, 0x300), "key": (15, 3, 2), "rds": (21, 5, 0),
    "can": (29, 3, 1), "tipc": (30, 1, 0), "bluetooth": (31, 3, 1), "alg": (38, 5, 0), "nfc": (39, 3, 0),
    "vsock": (40, 1, 0), "kcm": (41, 2, 0), "smc": (43, 1, 0), "xdp": (44, 3, 0), "ping": (2, 2, 1),
}  # fmt: skip


def _attempt_calls() -> None:
    for name, arguments in _CALLS.items():
        _named(name, lambda event, arguments=arguments: call(*arguments))
    for name, flag in _NAMESPACES.items():
        _named(f"unshare_{name}", lambda event, flag=flag: call(272, 97, flag))
        if name != "time":
            _named(f"clone_{name}", lambda event, flag=flag: call(56, 220, flag | 17, 0, 0, 0, 0))
    for name, arguments in _SOCKETS.items():
        _named(f"socket_{name}", lambda event, arguments=arguments: call(41, 198, *arguments))


def _named(name: str, function: Any) -> None:
    function.__name__ = name
    function.__module__ = __name__
    attempt(function)


_attempt_calls()


@attempt
def setns(event: dict[str, Any]) -> Any:
    return [call(308, 268, os.open(f"/proc/self/ns/{name}", 0), 0) for name in ("net", "mnt", "pid", "user", "ipc")]


@attempt
def call_of_32_bits(event: dict[str, Any]) -> Any:
    if not X86_64:
        return "no such call"
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    return function()


@attempt
def huge_pages(event: dict[str, Any]) -> Any:
    return outcome(lambda: len(mmap.mmap(-1, 2 << 20, flags=0x40000 | mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)))


@attempt
def lock_more_memory_than_allowed(event: dict[str, Any]) -> Any:
    size = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] + (1 << 20)
    area = mmap.mmap(-1, size)
    return call(149, 228, ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(area))), ctypes.c_size_t(size))


@attempt
def core_dumps(event: dict[str, Any]) -> Any:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return list(resource.getrlimit(resource.RLIMIT_CORE))


@attempt
def larger_pipe(event: dict[str, Any]) -> Any:
    read, _ = os.pipe()
    return call(72, 25, read, 1031, 1 << 20)


@attempt
def sync_all_disks(event: dict[str, Any]) -> Any:
    return [call(162, 81), call(306, 267, os.open("/usr", os.O_RDONLY))]


def _netlink(protocol: int, message: bytes) -> Any:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as sock:
        sock.settimeout(2)
        sock.send(message)
        error = struct.unpack_from("i", sock.recv(4096), 16)[0]
        raise OSError(-error, "") if error else AssertionError("allowed")


def _request(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("IHHII", 16 + len(body), kind, flags | 5, 1, 0) + body


@attempt
def netlink_new_interface(event: dict[str, Any]) -> Any:
    kind = struct.pack("HH", 8, 1) + b"veth"
    info = struct.pack("HH", 4 + len(kind), 18) + kind
    return _netlink(0, _request(16, 0x600, bytes(16) + info))


@attempt
def netlink_new_address(event: dict[str, Any]) -> Any:
    address = struct.pack("HH4s", 8, 2, bytes([10, 0, 0, 1]))
    return _netlink(0, _request(20, 0x600, struct.pack("BBBBI", 2, 8, 0, 0, 1) + address))


@attempt
def netlink_new_route(event: dict[str, Any]) -> Any:
    return _netlink(0, _request(24, 0x600, struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0)))


@attempt
def netlink_firewall(event: dict[str, Any]) -> Any:
    return _netlink(12, _request(0x0A00, 0, bytes(4)))  # NFNL_SUBSYS_NFTABLES, NEWTABLE


@attempt
def netlink_audit(event: dict[str, Any]) -> Any:
    return _netlink(9, _request(1000, 0, b""))


@attempt
def netlink_ipsec(event: dict[str, Any]) -> Any:
    return _netlink(6, _request(0x10, 0, bytes(224)))


@attempt
def netlink_events_of_processes(event: dict[str, Any]) -> Any:
    return _netlink(11, _request(3, 0, struct.pack("IIIIHHI", 1, 1, 0, 0, 4, 0, 1)))


@attempt
def interface_down(event: dict[str, Any]) -> Any:
    with socket.socket() as sock:
        return call(16, 29, sock.fileno(), 0x8914, struct.pack("16sh22x", b"lo", 0))
