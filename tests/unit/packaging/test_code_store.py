"""`CodeStore`: trees as the archive says, stored once, collected when unused, recovered after a crash."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import logging
import os
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.packaging.code_store import CodeStore

LINK = stat.S_IFLNK | 0o777


def _zip(files: Mapping[str, bytes | str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "code"


@pytest.fixture
async def store(root: Path) -> CodeStore:
    made = CodeStore(root, pending_grace_s=0)
    await made.start()
    return made


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _below(root: Path, *folders: str) -> list[str]:
    return sorted(path.name for folder in folders for path in (root / folder).iterdir())


async def test_what_is_known_of_a_package(store: CodeStore) -> None:
    archive = _zip({"app.py": "def handler(event, context): return 1\n", "lib/x.py": b"y" * 1000})
    package = await store.add_zip(archive)
    digest = hashlib.sha256(archive).digest()
    assert package.code_sha256 == base64.b64encode(digest).decode()
    assert package.digest == digest.hex()
    assert package.code_size == len(archive)
    assert package.unzipped_size == 38 + 1000
    assert store.archive(package.digest).read_bytes() == archive
    tree = store.tree(package.digest)
    assert (tree / "lib" / "x.py").read_bytes() == b"y" * 1000
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*")) == ["app.py", "lib", "lib/x.py"]


async def test_modes(store: CodeStore, member: Any, assemble: Callable[..., bytes]) -> None:
    old = os.umask(0o077)  # ours must not matter
    try:
        package = await store.add_zip(
            assemble(
                member(b"script", mode=0o100755),
                member(b"private", mode=0o100600),
                member(b"setuid", mode=0o106777),
                member(b"sticky", mode=0o101666),
                member(b"none", mode=0o100000),
                member(b"no_type", mode=0o751),
                member(b"windows", mode=0o100700, system=0),
                member(b"open/", mode=0o042777),
                member(b"closed/", mode=0o040700),
                member(b"no_bits/", mode=0o040000),
                member(b"closed/file", mode=0o100444),
                member(b"implied/file", mode=0o100644),
                member(b"./", mode=0o040700),
            )
        )
    finally:
        os.umask(old)
    tree = store.tree(package.digest)
    assert {str(path.relative_to(tree)): oct(_mode(path)) for path in (tree, *tree.rglob("*"))} == {
        ".": "0o755",
        "script": "0o755",
        "private": "0o600",  # as on AWS: the function will not be able to read it
        "setuid": "0o755",
        "sticky": "0o644",
        "none": "0o400",
        "no_type": "0o751",
        "windows": "0o644",
        "open": "0o755",
        "closed": "0o700",
        "no_bits": "0o755",
        "closed/file": "0o444",
        "implied": "0o755",
        "implied/file": "0o644",
    }


async def test_times_are_the_archives(store: CodeStore) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a", (2020, 2, 29, 12, 30, 58)), b"x")
    package = await store.add_zip(made.getvalue())
    assert (store.tree(package.digest) / "a").stat().st_mtime == 1582979458


async def test_links_that_stay_inside_are_kept(store: CodeStore, member: Any, assemble: Callable[..., bytes]) -> None:
    links = {
        "a/b/up": "../../target",
        "first": "a/b",
        "through": "first/up",
        "dangling": "not/there",
        "itself": "./a/../a/.",
        "here": ".",
    }
    members = [member(name.encode(), target.encode(), mode=LINK) for name, target in links.items()]
    package = await store.add_zip(assemble(*members, member(b"target", b"found")))
    tree = store.tree(package.digest)
    assert {name: os.readlink(tree / name) for name in links} == links
    assert (tree / "through").read_bytes() == b"found"
    for name in links:
        assert (tree / name).resolve().is_relative_to(tree.resolve())


async def test_odd_names_are_plain_names(store: CodeStore, member: Any, assemble: Callable[..., bytes]) -> None:
    names = ["C:\\Windows\\x", "..\\up", "a b", "-rf", "new\nline", "é\U0001f389", "...", "CON", "a" * 255, "A", "aa"]
    archive = assemble(*(member(name.encode(), name.encode()) for name in names), member(b".//x/./y//z", b"z"))
    tree = store.tree((await store.add_zip(archive)).digest)
    assert sorted(os.listdir(tree)) == sorted([*names, "x"])
    for name in names:
        assert (tree / name).read_text() == name
    assert (tree / "x" / "y" / "z").read_bytes() == b"z"


async def test_of_duplicates_the_last_counts(store: CodeStore, member: Any, assemble: Callable[..., bytes]) -> None:
    package = await store.add_zip(
        assemble(
            member(b"a", b"first"),
            member(b"l", b"a", mode=LINK),
            member(b"d/", mode=0o40700),
            member(b"./a", b"second", mode=0o100755),
            member(b"l", b"a file now"),
            member(b"d/", mode=0o40755),
        )
    )
    tree = store.tree(package.digest)
    assert (tree / "a").read_bytes() == b"second"
    assert _mode(tree / "a") == 0o755
    assert not (tree / "l").is_symlink()
    assert (tree / "l").read_bytes() == b"a file now"
    assert _mode(tree / "d") == 0o755


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)
TREES = st.recursive(
    st.binary(max_size=300) | st.tuples(st.binary(max_size=9), st.sampled_from([0o644, 0o755, 0o600, 0o444])),
    lambda children: st.dictionaries(NAMES, children, max_size=4),
    max_leaves=12,
)


def _flat(tree: Any, prefix: str = "") -> dict[str, tuple[bytes | None, int]]:
    if isinstance(tree, dict):
        found: dict[str, tuple[bytes | None, int]] = {prefix: (None, 0o755)} if prefix else {}
        for name, child in tree.items():
            found |= _flat(child, f"{prefix}/{name}" if prefix else name)
        return found
    return {prefix: tree if isinstance(tree, tuple) else (tree, 0o640)}


@given(tree=st.dictionaries(NAMES, TREES, min_size=1, max_size=5), deflated=st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_tree_survives_the_round_trip(
    *, tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any], deflated: bool
) -> None:
    expected = _flat(tree)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as archive:
        for name, (content, mode) in expected.items():
            info = zipfile.ZipInfo(name if content is not None else f"{name}/")
            info.external_attr = (stat.S_IFMT(0) | mode) << 16
            archive.writestr(info, content or b"", compress_type=archive.compression)

    async def scenario() -> dict[str, tuple[bytes | None, int]]:
        store = CodeStore(tmp_path_factory.mktemp("trip") / "code")
        await store.start()
        root = store.tree((await store.add_zip(made.getvalue())).digest)
        return {
            str(path.relative_to(root)): (path.read_bytes() if path.is_file() else None, _mode(path))
            for path in root.rglob("*")
        }

    assert asyncio.run(scenario()) == expected


async def test_the_same_content_is_stored_once(store: CodeStore, root: Path) -> None:
    archive = _zip({"a": bytes(100_000), "b": os.urandom(200_000)})
    packages = await asyncio.gather(*(store.add_zip(archive) for _ in range(10)))
    assert len(set(packages)) == 1
    tree = store.tree(packages[0].digest)
    inode = (tree / "a").stat().st_ino
    assert await store.add_zip(archive) == packages[0]
    assert (tree / "a").stat().st_ino == inode
    assert _below(root, "archives", "trees", "incoming") == [packages[0].digest, f"{packages[0].digest}.zip"]


async def test_many_different_at_once(store: CodeStore) -> None:
    packages = await asyncio.gather(*(store.add_zip(_zip({"n": f"{i}"})) for i in range(40)))
    assert [(store.tree(package.digest) / "n").read_text() for package in packages] == [f"{i}" for i in range(40)]


async def test_a_cancelled_caller_harms_no_other(store: CodeStore, root: Path) -> None:
    archive = _zip({"a": os.urandom(500_000)})
    tasks = [asyncio.create_task(store.add_zip(archive)) for _ in range(3)]
    await asyncio.sleep(0.001)
    tasks[0].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1] == outcomes[2] == await store.add_zip(archive)
    assert _below(root, "incoming") == []


async def test_collect_removes_what_is_unused(store: CodeStore, root: Path) -> None:
    kept, unused = [await store.add_zip(_zip({"n": n})) for n in ("kept", "unused")]
    assert await store.collect([kept.digest]) == [unused.digest]
    assert not store.tree(unused.digest).exists()
    assert not store.archive(unused.digest).exists()
    assert (store.tree(kept.digest) / "n").read_text() == "kept"
    assert _below(root, "archives", "trees", "synced", "incoming") == [kept.digest, kept.digest, f"{kept.digest}.zip"]
    assert await store.collect([kept.digest]) == []
    assert await store.add_zip(_zip({"n": "unused"})) == unused
    assert (store.tree(unused.digest) / "n").read_text() == "unused"


async def test_collect_spares_what_is_being_added(store: CodeStore) -> None:
    archive = _zip({"a": os.urandom(2_000_000)})
    adding = asyncio.create_task(store.add_zip(archive))
    while not adding.done():
        assert await store.collect([]) == []
        await asyncio.sleep(0)
        if adding.done():
            break
    package = await adding
    assert store.tree(package.digest).exists()


async def test_collect_spares_what_was_just_added(root: Path) -> None:
    store = CodeStore(root)
    await store.start()
    package = await store.add_zip(_zip({"a": "x"}))
    assert await store.collect([]) == []
    assert store.tree(package.digest).exists()
    await store.close()
    store = CodeStore(root)  # after a restart nobody is about to write its record
    await store.start()
    assert await store.collect([]) == [package.digest]


async def test_a_restart_keeps_what_is_stored(store: CodeStore, root: Path) -> None:
    package = await store.add_zip(_zip({"a": "x"}))
    inode = (store.tree(package.digest) / "a").stat().st_ino
    await store.close()
    again = CodeStore(root)
    await again.start()
    assert (again.tree(package.digest) / "a").stat().st_ino == inode


async def test_start_cleans_up_after_a_crash(store: CodeStore, root: Path) -> None:
    package = await store.add_zip(_zip({"a": "x", "d/b": "y"}))
    (root / "incoming" / "adding-7" / "tree").mkdir(parents=True)
    (root / "incoming" / "adding-7" / "tree" / "half").write_text("x")
    (root / "trees" / ("0" * 64)).mkdir()  # its archive is gone: the crash came while it was removed
    (root / "synced" / ("1" * 64)).touch()
    # The tree was not yet marked as synced, and the host's crash took the content.
    (store.tree(package.digest) / "a").write_text("")
    again = CodeStore(root)
    await again.start()
    assert (again.tree(package.digest) / "a").read_text() == "x"
    assert _below(root, "incoming") == []
    assert _below(root, "trees") == _below(root, "synced") == [package.digest]


async def test_a_lost_tree_is_made_again(store: CodeStore, root: Path) -> None:
    package = await store.add_zip(_zip({"a": "x"}))
    await store.close()
    (store.tree(package.digest) / "a").unlink()
    store.tree(package.digest).rmdir()
    again = CodeStore(root)
    await again.start()
    assert (again.tree(package.digest) / "a").read_text() == "x"


async def test_a_damaged_archive_is_reported_and_repaired_by_adding_it_again(
    store: CodeStore, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    archive = _zip({"a": "x"})
    package, other = await store.add_zip(archive), await store.add_zip(_zip({"a": "other"}))
    store.archive(package.digest).write_bytes(archive[:-5])
    again = CodeStore(root)
    with caplog.at_level(logging.ERROR):
        await again.start()
    assert [record.__dict__["digest"] for record in caplog.records] == [package.digest]
    assert not again.tree(package.digest).exists()
    assert (again.tree(other.digest) / "a").read_text() == "other"
    assert await again.add_zip(archive) == package
    assert again.archive(package.digest).read_bytes() == archive
    assert (again.tree(package.digest) / "a").read_text() == "x"


async def test_only_digests_name_packages(store: CodeStore) -> None:
    for wrong in ("", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"):
        with pytest.raises(ValueError, match="digest"):
            store.tree(wrong)
        with pytest.raises(ValueError, match="digest"):
            store.archive(wrong)


async def test_nobody_else_reads_archives(store: CodeStore, root: Path) -> None:
    assert {name: oct(_mode(root / name)) for name in (".", *os.listdir(root))} == {
        ".": "0o711",
        "trees": "0o711",
        "archives": "0o700",
        "synced": "0o700",
        "merged": "0o711",
        "incoming": "0o700",
    }


async def test_the_archive_is_synced_before_add_returns_and_the_tree_before_its_mark(
    store: CodeStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `kill -9` cannot show: the power going."""
    synced: list[str] = []
    real_fsync = os.fsync

    def fsync(descriptor: int) -> None:
        real_fsync(descriptor)
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(root)))
        assert not list((root / "synced").iterdir())

    monkeypatch.setattr(os, "fsync", fsync)
    package = await store.add_zip(_zip({"a": "x", "d/b": "y"}))
    assert synced == [f"archives/{package.digest}.zip", "archives"]
    synced.clear()
    await store.close()
    tree = f"trees/{package.digest}"
    assert sorted(synced) == ["trees", tree, f"{tree}/a", f"{tree}/d", f"{tree}/d/b"]
    assert _below(root, "synced") == [package.digest]
