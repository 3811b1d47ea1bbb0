"""Where objects lie in memory, in interpreters of their own."""

from __future__ import annotations

import json
import subprocess
import sys

_PAGES = """
import json, random, sys
from lambent.worker.sandbox.linux import memory

def made(count):
    chance = random.Random(count)
    sizes = [chance.randrange(16, 3000) for _ in range(count)]
    return [bytes(size) for size in sizes] + [[number] for number in range(count)] + [{"a": size} for size in sizes]

def pages(objects):
    return {id(each) >> 12 for each in objects}

before = made(3000)
del before[::2]  # gaps
with_gaps = pages(before)
if sys.argv[1] == "apart":
    with memory.Apart():
        within = made(20000)
        del within[::2]
else:
    within = made(20000)
    del within[::2]
after = made(1000)
print(json.dumps([len(pages(within) & with_gaps), len(pages(within) & pages(after)), len(pages(after) & with_gaps)]))
"""


def _shared(how: str) -> list[int]:
    """How many pages hold both (objects from within and before, from within and after, from before and after)."""
    done = subprocess.run([sys.executable, "-c", _PAGES, how], capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
    shared: list[int] = json.loads(done.stdout)
    return shared


def test_what_is_made_apart_shares_no_pages_with_what_comes_before_and_after() -> None:
    within_and_before, within_and_after, before_and_after = _shared("apart")
    assert within_and_before < 20  # of thousands
    assert within_and_after < 20
    assert before_and_after > 100  # the gaps of before are used


def test_otherwise_it_would() -> None:
    within_and_before, within_and_after, _ = _shared("mixed")
    assert within_and_before > 100
    assert within_and_after > 100


_HUGE = """
import mmap
from lambent.worker.sandbox.linux import memory, syscalls
kept = [bytes(1000) for _ in range(20000)]
memory.use_huge_pages()
print([len(kept), sum(map(len, kept)), any(any(each) for each in kept)])
"""


def test_huge_pages_change_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", _HUGE], capture_output=True, check=True, timeout=60)
    assert done.stdout.strip() == b"[20000, 20000000, False]"
