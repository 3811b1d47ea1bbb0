"""Every hostile archive is refused with AWS's words, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from lambent.model.errors import InvalidParameterValueException, ServiceError
from lambent.packaging.code_store import CodeStore

REFUSED = "Could not unzip uploaded file. Please check your file, then try to upload again."


@pytest.fixture
async def store(tmp_path: Path) -> CodeStore:
    made = CodeStore(tmp_path / "data" / "code")
    await made.start()
    return made


def _left(root: Path) -> list[str]:
    """Everything below but the four directories of the layout."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.parent != root)


async def test_hostile_archives_are_refused_and_leave_nothing(
    store: CodeStore, tmp_path: Path, hostile: dict[str, bytes]
) -> None:
    assert len(hostile) > 70
    wrong = {}
    for name, archive in hostile.items():
        try:
            await store.add_zip(archive)
        except InvalidParameterValueException as error:
            if error.message != REFUSED:
                wrong[name] = error.message
        else:
            wrong[name] = "accepted"
    assert wrong == {}
    assert _left(tmp_path / "data" / "code") == []
    assert os.listdir(tmp_path) == ["data"]
    assert os.listdir(tmp_path / "data") == ["code"]


@pytest.mark.parametrize("archive", [b"", b"PK\5\6" + bytes(18)])
async def test_an_empty_archive_has_its_own_words(store: CodeStore, archive: bytes) -> None:
    with pytest.raises(InvalidParameterValueException) as caught:
        await store.add_zip(archive)
    assert caught.value.message == "Uploaded file must be a non-empty zip"


async def test_an_archive_too_large(store: CodeStore) -> None:
    with pytest.raises(ServiceError) as caught:
        await store.add_zip(bytes(52_428_801))
    assert caught.value.code == "RequestEntityTooLargeException"
    assert caught.value.status == 413
    assert caught.value.message == "Zipped size must be smaller than 52428800 bytes"


async def test_an_honest_bomb_is_refused_before_it_is_unpacked(
    store: CodeStore, tmp_path: Path, member: Any, assemble: Callable[..., bytes]
) -> None:
    half = zlib.compressobj(9, zlib.DEFLATED, -15)
    stored = half.compress(bytes(131_072_001)) + half.flush()
    common = {"data": b"", "stored": stored, "size": 131_072_001, "method": 8, "crc": 0}
    with pytest.raises(InvalidParameterValueException) as caught:
        await store.add_zip(assemble(member(b"a", **common), member(b"b", **common)))
    assert caught.value.message == "Unzipped size must be smaller than 262144000 bytes"
    assert _left(tmp_path / "data" / "code") == []


async def test_too_many_real_entries(store: CodeStore) -> None:
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for i in range(100_001):
            archive.writestr(zipfile.ZipInfo(f"{i}"), b"")
    with pytest.raises(InvalidParameterValueException, match="Could not unzip"):
        await store.add_zip(made.getvalue())


async def test_quadratic_links_take_bounded_time(store: CodeStore, member: Any, assemble: Callable[..., bytes]) -> None:
    detour = b"d/../" * 800
    links = [member(b"l%d" % i, detour + b"x", mode=0o120777) for i in range(2_000)]
    with pytest.raises(InvalidParameterValueException, match="Could not unzip"):
        await asyncio.wait_for(store.add_zip(assemble(*links)), 30)
