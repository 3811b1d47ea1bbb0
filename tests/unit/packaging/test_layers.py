"""Merging layers: what several archives extracted one after the other into one place make."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.packaging.code_store import CodeStore
from lambent.packaging.layers import Directory, File, Node, digests_needed, merge, merged_name, write_merged
from lambent.testing.packages import zip_of

FILES = st.builds(File, st.text("xyz", min_size=1, max_size=3))
NAMES = st.sampled_from("abc")
NODES: st.SearchStrategy[Node] = st.recursive(
    FILES,
    lambda children: st.builds(Directory, st.sampled_from([0o755, 0o700]), st.dictionaries(NAMES, children)),
    max_leaves=12,
)
TREES = st.builds(Directory, st.just(0o755), st.dictionaries(NAMES, NODES))


def extract(tree: Directory, into: dict[str, str | int], at: str = "") -> None:
    """The slow and obvious way: entry by entry, each removing what is in its way. Path → source, or mode."""
    for name, node in tree.children.items():
        path = f"{at}/{name}"
        if isinstance(node, File) or isinstance(into.get(path), str):
            for below in [known for known in into if known == path or known.startswith(f"{path}/")]:
                del into[below]
        if isinstance(node, File):
            into[path] = node.source
        else:
            into[path] = node.mode
            extract(node, into, path)


def flat(tree: Directory) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    extract(tree, found)
    return found


@given(st.lists(TREES, min_size=1, max_size=5))
def test_layers_are_extracted_in_order(trees: list[Directory]) -> None:
    expected: dict[str, str | int] = {}
    for tree in trees:
        extract(tree, expected)
    assert flat(merge(trees)) == expected


@given(st.lists(TREES, min_size=1, max_size=3))
def test_everything_of_the_last_layer_is_there(trees: list[Directory]) -> None:
    assert flat(trees[-1]).items() <= flat(merge(trees)).items()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CodeStore]:
    store = CodeStore(tmp_path / "code", pending_grace_s=0)
    await store.start()
    yield store
    await store.close()


async def add(store: CodeStore, files: Mapping[str, str]) -> str:
    return (await store.add_zip(zip_of(files))).digest


async def test_a_merged_tree_on_disk(store: CodeStore) -> None:
    one = await add(store, {"bin/tool!": "one", "python/a.py": "a", "python/both.py": "one", "odd": "a file"})
    two = await add(store, {"python/both.py": "two", "lib/b": "b", "odd/inside": "a directory now"})
    made = await store.merged([one, two])
    files = {str(path.relative_to(made)): path.read_text() for path in made.rglob("*") if path.is_file()}
    assert files == {
        "bin/tool": "one", "python/a.py": "a", "python/both.py": "two", "lib/b": "b", "odd/inside": "a directory now",
    }  # fmt: skip
    assert stat.S_IMODE((made / "bin/tool").stat().st_mode) == 0o755
    assert (made / "bin/tool").samefile(store.tree(one) / "bin/tool")  # no second copy
    other = await store.merged([two, one])
    assert (other / "odd").read_text() == "a file"
    assert (other / "python/both.py").read_text() == "one"


async def test_a_single_layer_is_used_as_it_is(store: CodeStore) -> None:
    one = await add(store, {"a": "a"})
    assert await store.merged([one]) == store.tree(one)
    with pytest.raises(ValueError, match="No layers"):
        await store.merged([])


async def test_merging_is_shared_and_done_once(store: CodeStore) -> None:
    digests = [await add(store, {"a": "a"}), await add(store, {"b": "b"})]
    first, second = await asyncio.gather(store.merged(digests), store.merged(digests))
    inode = first.stat().st_ino
    assert (first, (await store.merged(digests)).stat().st_ino) == (second, inode)


async def test_links_stay_links(store: CodeStore, tmp_path: Path) -> None:
    roots = [tmp_path / "one", tmp_path / "two"]
    for root in roots:
        root.mkdir()
    (roots[0] / "real").write_text("text")
    (roots[1] / "link").symlink_to("real")
    write_merged(roots, tmp_path / "merged")
    assert os.readlink(tmp_path / "merged" / "link") == "real"
    assert (tmp_path / "merged" / "link").read_text() == "text"


async def test_files_that_cannot_be_linked_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "one"
    root.mkdir()
    (root / "tool").write_text("text")
    (root / "tool").chmod(0o755)

    def refuse(_source: str, _target: str) -> None:
        raise OSError(31, "Too many links")

    monkeypatch.setattr("lambent.packaging.layers.os.link", refuse)
    write_merged([root, root], tmp_path / "merged")
    copied = tmp_path / "merged" / "tool"
    assert (copied.read_text(), stat.S_IMODE(copied.stat().st_mode)) == ("text", 0o755)
    assert not copied.samefile(root / "tool")


async def test_merged_trees_are_collected_with_their_last_function(store: CodeStore) -> None:
    digests = [await add(store, {"a": "a"}), await add(store, {"b": "b"})]
    made = await store.merged(digests)
    await store.collect(digests_needed("", digests))
    assert made.exists()
    assert await store.collect(set(digests)) == []
    assert not made.exists()
    assert store.tree(digests[0]).exists()


async def test_a_start_begins_without_merged_trees(store: CodeStore, tmp_path: Path) -> None:
    digests = [await add(store, {"a": "a"}), await add(store, {"b": "b"})]
    made = await store.merged(digests)
    await store.close()
    again = CodeStore(tmp_path / "code", pending_grace_s=0)
    await again.start()
    assert not made.exists()
    assert (await again.merged(digests) / "b").read_text() == "b"
    await again.collect(digests_needed("", digests))
    assert not list((tmp_path / "code" / "incoming").iterdir())
    await again.close()


def test_what_a_function_needs() -> None:
    assert digests_needed("code", []) == {"code"}
    assert digests_needed("", ["one"]) == {"one"}
    assert digests_needed("code", ["one", "two"]) == {"code", "one", "two", merged_name(["one", "two"])}
    assert merged_name(["one", "two"]) != merged_name(["two", "one"])
