# pathlib costs too much to import:
# ruff: noqa: PTH102, PTH103, PTH106, PTH110, PTH112, PTH114, PTH115, PTH120, PTH208, PTH211
"""The file system that the sandboxes of one template see, built once by the spawner in its own mount namespace.

Runs as real root before any user namespace: standard library only, and little of it. What there is:

- `/usr` of the host, read-only, and what belongs to it: /bin /lib /lib32 /lib64 /libx32 /sbin as the host has them
  (links into /usr, or directories of their own on hosts without merged /usr). Of it only what packages install: what
  else is there, and of `/usr/local` everything but libraries and certificates, is this host's own, and covered
- `/etc`: made up, small, the same on every host, but for certificates, the loader's cache and the links that packages
  put there (alternatives, java), which are the host's
- a host name and a domain name that are not the host's
- `/dev`: null, zero, full, random, urandom, and links; `/dev/shm` and `/tmp` are mounted for each sandbox
- `/proc` of the spawner: only so that the kernel lets the sandboxes mount their own, over it
- the template's directories and binds
"""

from __future__ import annotations

import os

from lambent.worker.sandbox.linux import init, syscalls, wire

_DEVICES = ("null", "zero", "full", "random", "urandom")
_DEVICE_LINKS = (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2"))  # to below /proc/self/fd
_SYSTEM_DIRECTORIES = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
_ETC_FROM_HOST = (
    "alternatives", "ca-certificates", "crypto-policies", "ld.so.cache", "mime.types",
    "pki/ca-trust/extracted", "pki/java", "pki/tls/cert.pem", "pki/tls/certs", "pki/tls/openssl.cnf",
    "protocols", "services", "ssl/certs", "ssl/cert.pem", "ssl/openssl.cnf",
)  # fmt: skip
_USR_FROM_HOST = ("bin", "etc", "games", "include", "lib", "lib32", "lib64", "libexec", "libx32", "sbin", "share")
# Administrators keep programs and settings of their own in /usr/local, often readable by everybody, with keys in them.
# Interpreters of containers are there, too, and need their libraries; links in /etc/ssl/certs lead to the last.
_LOCAL = "/usr/local"
_LOCAL_FROM_HOST = ("lib", "lib64", "share/ca-certificates")
_VAR_FROM_HOST = "var/lib/ca-certificates"  # where openSUSE keeps what /etc/ssl/certs points to
_EMPTY_DIRECTORIES = ("dev/shm", "etc", "mnt", "opt", "proc", "run", "sys", "tmp", "var/tmp")
_EMPTY_DIRECTORY = "/mnt"
_PRIVATE = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_RDONLY
_SCRATCH = "/tmp"  # noqa: S108 - only a mount point that surely exists; what is there is covered, not touched


class Step:
    """What is being done, for the message when it fails."""

    now = ""


def build(template: wire.Template) -> int:
    """Move this process, in a mount namespace of its own, into the template's root. Returns a descriptor of the program
    that is init there. Raises `OSError`; `Step.now` says at what."""
    Step.now = "unshare mount namespace"
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS)
    syscalls.set_domain_name(b"")
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    # While the host's paths still mean what they say:
    system, local, binds = _open_system(), _open_local(), [_open_source(*bind) for bind in template.binds]
    host_proc = _open_proc() if template.rootless else None
    links = _system_links()
    Step.now = "make the root file system"
    syscalls.mount("lambent", _SCRATCH, "tmpfs", syscalls.MS_NOSUID, "mode=755,size=4m")
    os.chdir(_SCRATCH)
    os.mkdir(".old")
    syscalls.pivot_root(".", ".old")
    os.chdir("/")
    syscalls.unmount_detach("/.old")
    os.rmdir("/.old")
    _populate(template, links)
    _attach(system)
    _cover_usr(local)
    _attach(binds)
    for name in template.directories:
        Step.now = f"make directory {name}"
        os.makedirs(name, exist_ok=True)
    Step.now = "mount /proc"
    if host_proc is not None:  # in its own pid namespace only could it mount one
        syscalls.attach_tree(host_proc, "/proc")
        os.close(host_proc)
    else:
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    Step.now = "make init"
    descriptor = init.make("/.init")
    Step.now = "make the root read-only"
    syscalls.set_mount_flags("/", _PRIVATE, recursive=False)
    return descriptor


def _open_system() -> list[tuple[int, str, bool]]:
    """(detached read-only mount tree, target, whether it is a directory), in the order to mount them in."""
    trees = [_open_source(*bind) for bind in (("/usr", "/usr"), *_host_files())]
    for name in _DEVICES:
        Step.now = f"bind /dev/{name}"
        tree = syscalls.clone_tree(f"/dev/{name}")
        # Read-only is the file, its times for example, which is the host's; not the device.
        syscalls.set_mount_flags(tree, _PRIVATE | syscalls.MOUNT_ATTR_NOEXEC)
        trees.append((tree, f"/dev/{name}", False))
    return trees


def _open_local() -> list[tuple[int, str, bool]]:
    """The same, for what is seen of /usr/local."""
    paths = [f"{_LOCAL}/{name}" for name in _LOCAL_FROM_HOST if not os.path.islink(f"{_LOCAL}/{name}")]
    return [_open_source(path, path) for path in paths if os.path.isdir(path)]


def _open_source(source: str, target: str) -> tuple[int, str, bool]:
    Step.now = f"bind {source}"
    is_directory = os.path.isdir(source)
    tree = syscalls.clone_tree(source)
    syscalls.set_mount_flags(tree, _PRIVATE | syscalls.MOUNT_ATTR_NODEV)
    return tree, target, is_directory


def _open_proc() -> int:
    """The host's, for a process that is in no pid namespace of its own."""
    tree = syscalls.clone_tree("/proc")
    syscalls.set_mount_flags(tree, syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOEXEC)
    return tree


def _attach(trees: list[tuple[int, str, bool]]) -> None:
    for tree, target, is_directory in trees:
        Step.now = f"mount {target}"
        _make_mount_point(target, is_directory)
        syscalls.attach_tree(tree, target)
        os.close(tree)


def _cover_usr(local: list[tuple[int, str, bool]]) -> None:
    """Leave nothing in /usr to be seen but what packages of distributions put there, and `local`."""
    for name in os.listdir("/usr"):
        path = f"/usr/{name}"
        if name in _USR_FROM_HOST or path == _LOCAL or os.path.islink(path):
            continue
        Step.now = f"cover {path}"
        syscalls.mount(_EMPTY_DIRECTORY if os.path.isdir(path) else "/dev/null", path, None, syscalls.MS_BIND)
        syscalls.set_mount_flags(path, _PRIVATE)
    if os.path.isdir(_LOCAL) and not os.path.islink(_LOCAL):  # a link leads to what is not there
        Step.now = f"cover {_LOCAL}"
        syscalls.mount("lambent", _LOCAL, "tmpfs", syscalls.MS_NOSUID, "mode=755,size=64k")
        _attach(local)
        syscalls.set_mount_flags(_LOCAL, _PRIVATE, recursive=False)


def _host_files() -> list[tuple[str, str]]:
    """Files and directories of the host, apart from /usr, that are seen in place."""
    paths = [f"/{name}" for name in _SYSTEM_DIRECTORIES if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}")]
    paths += [f"/etc/{name}" for name in _ETC_FROM_HOST if os.path.exists(f"/etc/{name}")]
    paths += [f"/etc/{name}" for name in sorted(os.listdir("/etc")) if name == "java" or name.startswith("java-")]
    if os.path.exists(f"/{_VAR_FROM_HOST}"):
        paths.append(f"/{_VAR_FROM_HOST}")
    return [(path, path) for path in paths]


def _system_links() -> list[tuple[str, str]]:
    return [(os.readlink(f"/{name}"), f"/{name}") for name in _SYSTEM_DIRECTORIES if os.path.islink(f"/{name}")]


def _populate(template: wire.Template, links: list[tuple[str, str]]) -> None:
    for name in _EMPTY_DIRECTORIES:
        os.makedirs(f"/{name}", exist_ok=True)
    for to, path in links:
        os.symlink(to, path)
    for name, to in _DEVICE_LINKS:
        os.symlink(f"/proc/self/fd{to}", f"/dev/{name}")
    for name, text in _etc(template).items():
        descriptor = os.open(f"/etc/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(descriptor, text.encode())
        os.close(descriptor)
    os.symlink("/usr/share/zoneinfo/UTC", "/etc/localtime")
    os.symlink("../usr/lib/os-release", "/etc/os-release")
    os.symlink("/proc/self/mounts", "/etc/mtab")


def _etc(template: wire.Template) -> dict[str, str]:
    user, group, name = template.user, template.group, template.user_name
    return {
        "passwd": f"root:x:0:0:root:/:/sbin/nologin\n{name}:x:{user}:{group}::/home/{name}:/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/:/sbin/nologin\n",
        "group": f"root:x:0:\n{name}:x:{group}:\nnogroup:x:65534:\n",
        "hosts": "127.0.0.1 localhost localhost.localdomain\n::1 localhost localhost.localdomain\n",
        "resolv.conf": "nameserver 169.254.78.1\n",  # network.addresses.GATEWAY, where there is a network
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    }


def _make_mount_point(target: str, is_directory: bool) -> None:
    """`target` is looked up in the new root: a link in a bound tree cannot lead out of it."""
    if is_directory:
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
