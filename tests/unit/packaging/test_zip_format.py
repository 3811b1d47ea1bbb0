"""What honest tools write is read; whatever else, an answer or `BadZipError`, never another error."""

from __future__ import annotations

import io
import random
import stat
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.packaging.tree_plan import plan_tree
from lambent.packaging.zip_format import BadZipError, contents, read_entries


def _read(archive: bytes) -> dict[str, bytes]:
    return {entry.name: b"".join(contents(archive, entry)) for entry in read_entries(archive)}


class _Unseekable(io.RawIOBase):
    """A pipe: `zipfile` then writes data descriptors after the data."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += data
        return len(data)


@given(
    files=st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), min_size=1, max_size=20), st.binary()
    ),
    deflated=st.booleans(),
    force_zip64=st.booleans(),
    piped=st.booleans(),
    comment=st.binary(max_size=40),
    prefix=st.binary(max_size=100),
)
def test_what_zipfile_writes_is_read(
    *, files: dict[str, bytes], deflated: bool, force_zip64: bool, piped: bool, comment: bytes, prefix: bytes
) -> None:
    sink = _Unseekable() if piped else io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(sink, "w", method) as archive:
        archive.comment = comment
        for name, data in files.items():
            with archive.open(name, "w", force_zip64=force_zip64) as member:
                member.write(data)
    written = bytes(sink.written) if isinstance(sink, _Unseekable) else sink.getvalue()
    if b"PK\5\6" in comment:
        return  # ambiguous by design of the format
    assert _read(prefix + written) == files


def test_zip64_records_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 20)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for i in range(5):
            archive.writestr(f"{i}", bytes(30))
    assert b"PK\6\6" in made.getvalue()
    for prefix in (b"", b"#!/usr/bin/env python\n"):
        assert _read(prefix + made.getvalue()) == {f"{i}": bytes(30) for i in range(5)}


@given(data=st.data())
@settings(max_examples=300)
def test_a_damaged_archive_never_surprises(data: st.DataObject) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.py", "print()" * 30)
        archive.writestr("link", "a/b.py")
        archive.infolist()[-1].external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr("c", bytes(100))
    damaged = bytearray(made.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    archive_bytes = bytes(damaged[: data.draw(st.integers(len(damaged) - 40, len(damaged)))])
    try:
        entries = read_entries(archive_bytes)
        plan_tree(entries, lambda entry: b"".join(contents(archive_bytes, entry)))
        for entry in entries:
            b"".join(contents(archive_bytes, entry))
    except BadZipError:
        pass


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(BadZipError):
        read_entries(b"PK\3\4" + noise)


def test_names_without_the_utf8_flag(member: Any, assemble: Callable[..., bytes]) -> None:
    archive = assemble(member("é.py".encode(), flags=0), member(b"\x82.py", flags=0))  # cp437 has é at 0x82
    assert [entry.name for entry in read_entries(archive)] == ["é.py", "é.py"]


def test_modes_only_from_systems_that_have_them(member: Any, assemble: Callable[..., bytes]) -> None:
    archive = assemble(*(member(b"%d" % system, mode=0o100755, system=system) for system in (0, 3, 10, 19)))
    assert [entry.mode for entry in read_entries(archive)] == [None, 0o100755, None, 0o100755]


def test_impossible_dates_become_the_first(member: Any, assemble: Callable[..., bytes]) -> None:
    archive = assemble(member(b"a", date=0), member(b"b", date=0xFFFF))
    assert [entry.modified_s for entry in read_entries(archive)] == [315_532_800] * 2


def test_an_empty_deflated_member_without_data(member: Any, assemble: Callable[..., bytes]) -> None:
    assert _read(assemble(member(b"a", method=8, stored=b""))) == {"a": b""}


def test_large_members_come_in_pieces(member: Any, assemble: Callable[..., bytes]) -> None:
    data = random.Random(1).randbytes(3_500_000) + bytes(3_500_000)
    for method in (0, 8):
        archive = assemble(member(b"a", data, method=method))
        pieces = list(contents(archive, read_entries(archive)[0]))
        assert b"".join(pieces) == data
        assert max(map(len, pieces)) <= 1024 * 1024


def test_what_info_zip_writes_is_read(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "pkg").mkdir(parents=True)
    (source / "pkg" / "mod.py").write_text("x = 1\n" * 100)
    (source / "bootstrap").write_text("#!/bin/sh\n")
    (source / "bootstrap").chmod(0o755)
    (source / "grüße.txt").write_text("hi")
    (source / "link").symlink_to("pkg/mod.py")
    try:
        subprocess.run(["zip", "-qry", tmp_path / "made.zip", "."], cwd=source, check=True)
    except FileNotFoundError:
        pytest.skip("zip is not installed")
    archive = (tmp_path / "made.zip").read_bytes()
    plan = plan_tree(read_entries(archive), lambda entry: b"".join(contents(archive, entry)))
    assert {"/".join(path): mode for path, (_, mode) in plan.files.items()} == {
        "pkg/mod.py": 0o644,
        "bootstrap": 0o755,
        "grüße.txt": 0o644,
    }
    assert plan.links == {("link",): "pkg/mod.py"}
