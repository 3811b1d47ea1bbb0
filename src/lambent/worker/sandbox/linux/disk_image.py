"""File systems of a given size in sparse files without a name, mounted through loop devices: what a sandbox's /tmp is.

Nothing of one can outlive its users, however they end: the file has no name (O_TMPFILE), the loop device lets go of it
at the last close (LO_FLAGS_AUTOCLEAR), and the mount is attached nowhere until a sandbox moves it into its own mount
namespace. The ext4 in it is made once for each size, by mkfs; all others of that size are copies of its few kilobytes.

Blocking; runs in a thread of the server's. See ext4(5), loop(4), fsopen(2).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path

from lambent.worker.sandbox.linux import syscalls

BLOCK_BYTES = 4096
# What a file of the full size, and the directory it is in, need besides: blocks of pointers, and the directory's own.
_SLACK_BLOCKS = 32
_BYTES_PER_INODE = 16384
# No journal: nobody looks at it after a crash. The rest is what makes mounting and copying cheap.
_FEATURES = (
    "none,dir_index,dir_nlink,ext_attr,extent,extra_isize,filetype,flex_bg,huge_file,large_file,sparse_super,uninit_bg"
)
_OPTIONS = "lazy_itable_init=1,nodiscard"
_MKFS_PLACES = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"
_ATTEMPTS = 8

_LOOP_CONTROL = "/dev/loop-control"
_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A
_LO_FLAGS_AUTOCLEAR = 4
_LO_FLAGS_DIRECT_IO = 16  # so that pages are not kept twice
_LOOP_MAJOR = 7
_EXT4_SHUTDOWN = 0x8004587D
_SHUTDOWN_NOW = struct.pack("I", 2)  # EXT4_GOING_FLAGS_NOLOGFLUSH: what was not written never will be


@dataclass(frozen=True, slots=True)
class Blank:
    """An empty file system: the parts of its image that are not zero."""

    image_bytes: int
    parts: tuple[tuple[int, bytes], ...]


def find_mkfs() -> str | None:
    """Where the program is that makes ext4 file systems (package e2fsprogs)."""
    return shutil.which("mkfs.ext4", path=_MKFS_PLACES)


def why_not() -> str:
    """What keeps this host from having such file systems; "" if nothing does."""
    if find_mkfs() is None:
        return "there is no mkfs.ext4: install e2fsprogs"
    if not os.access(_LOOP_CONTROL, os.R_OK | os.W_OK):
        return f"no loop devices, for want of {_LOOP_CONTROL}: modprobe loop, or a container with --privileged"
    if "ext4" not in Path("/proc/filesystems").read_text().split():
        return "this kernel has no ext4 loaded: modprobe ext4"
    return ""


def make_blank(directory: Path, size: int) -> Blank:
    """An empty file system in which a file of exactly `size` bytes has room, and one a little larger has not."""
    wanted = -(-size // BLOCK_BYTES) + _SLACK_BLOCKS
    blocks = wanted + wanted // 32 + 1024
    with _file(directory) as image:
        for _ in range(_ATTEMPTS):
            _format(image, blocks, -(-size // _BYTES_PER_INODE))
            missing = wanted - _available_blocks(image)
            if -_SLACK_BLOCKS <= missing <= 0:
                break
            blocks += missing
        else:
            raise OSError(errno.EINVAL, f"mkfs.ext4 cannot make a file system with {size} bytes to use")
        mount = _mount(image)
        try:
            os.rmdir("lost+found", dir_fd=mount)
            os.chmod(".", 0o700, dir_fd=mount)
        finally:
            os.close(mount)
        os.fsync(image)
        return Blank(blocks * BLOCK_BYTES, tuple(_parts(image)))


def mount_copy(directory: Path, blank: Blank) -> int:
    """A new empty file system, mounted nowhere: a descriptor of its root directory, for `syscalls.attach_tree`."""
    with _file(directory) as image:
        os.ftruncate(image, blank.image_bytes)
        for offset, data in blank.parts:
            os.pwrite(image, data, offset)
        return _mount(image)


def discard(mount: int) -> None:
    """Give the file system up: what it has not written yet will not be. Closes `mount`."""
    try:
        with _opened(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount)) as root:
            ioctl(root, _EXT4_SHUTDOWN, _SHUTDOWN_NOW)
    except OSError as error:
        if error.errno not in (errno.EIO, errno.ENOTTY):  # broken already, by a full disk; or a kernel without it
            raise
    finally:
        os.close(mount)


@contextlib.contextmanager
def _opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _file(directory: Path) -> Iterator[int]:
    """A file without a name, or the nearest thing to it where the directory's file system has no such files."""
    try:
        descriptor = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
            raise
        path = directory / f"tmp-{os.urandom(8).hex()}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        path.unlink()
    with _opened(descriptor):
        yield descriptor


def _format(image: int, blocks: int, inodes: int) -> None:
    mkfs = find_mkfs()
    if mkfs is None:
        raise OSError(errno.ENOENT, "there is no mkfs.ext4")
    os.ftruncate(image, 0)
    os.ftruncate(image, blocks * BLOCK_BYTES)
    done = subprocess.run(
        [mkfs, "-q", "-F", "-b", str(BLOCK_BYTES), "-I", "256", "-N", str(inodes), "-m", "0", "-O", _FEATURES,
         "-E", _OPTIONS, f"/proc/self/fd/{image}"],
        env={"MKE2FS_CONFIG": "/dev/null", "PATH": _MKFS_PLACES},
        pass_fds=[image],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise OSError(errno.EIO, f"mkfs.ext4: {done.stderr.decode(errors='replace').strip()}")


def _available_blocks(image: int) -> int:
    """What ordinary users may use. The kernel keeps a fiftieth back, 4,096 blocks at most (ext4/super.c)."""
    superblock = os.pread(image, 1024, 1024)
    total, _, free = struct.unpack_from("<3I", superblock, 4)
    return int(free - min(total // 50, 4096))


def _parts(image: int) -> Iterator[tuple[int, bytes]]:
    """(offset, data) of the blocks that are not zero."""
    zero = bytes(BLOCK_BYTES)
    for start, end in _data(image):
        for offset in range(start, end, BLOCK_BYTES):
            if (block := os.pread(image, BLOCK_BYTES, offset)) != zero:
                yield offset, block


def _data(image: int) -> Iterator[tuple[int, int]]:
    """(start, end) of what the host has on disk of the file."""
    end = 0
    while True:
        try:
            start = os.lseek(image, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # no more data
                raise
            return
        end = os.lseek(image, start, os.SEEK_HOLE)
        yield start, end


def _mount(image: int) -> int:
    number, device = _loop_device(image)
    with _opened(device):
        # Errors are those of a full host disk: then nothing more is written, and the function is told.
        options = {"source": _device_path(number), "errors": "remount-ro", "discard": None, "noinit_itable": None}
        return syscalls.new_mount("ext4", options, syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV)


def _loop_device(image: int) -> tuple[int, int]:
    with _opened(os.open(_LOOP_CONTROL, os.O_RDWR | os.O_CLOEXEC)) as control:
        for _ in range(_ATTEMPTS):
            number = ioctl(control, _LOOP_CTL_GET_FREE)
            device = _open_device(number)
            try:
                ioctl(device, _LOOP_CONFIGURE, _loop_config(image))
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # somebody else on this host was faster
                    raise
            else:
                return number, device
    raise OSError(errno.EBUSY, "no loop device to be had")


def _device_path(number: int) -> str:
    return f"/dev/loop{number}"


def _open_device(number: int) -> int:
    path = _device_path(number)
    with contextlib.suppress(FileExistsError):
        if not Path(path).exists():  # in containers, /dev shows those of when it was made
            os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(_LOOP_MAJOR, number))
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def _loop_config(image: int) -> bytes:
    """`struct loop_config`: descriptor, block size, `struct loop_info64`, reserved."""
    flags = _LO_FLAGS_AUTOCLEAR | _LO_FLAGS_DIRECT_IO
    info = struct.pack("5Q4I64s64s32s2Q", 0, 0, 0, 0, 0, 0, 0, 0, flags, b"lambent", b"", b"", 0, 0)
    return struct.pack("2I", image, BLOCK_BYTES) + info + bytes(64)
