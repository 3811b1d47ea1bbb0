"""What memory environments are still expected to take."""

from __future__ import annotations

from lambent.model.ids import EnvironmentId
from lambent.worker.memory_promises import MemoryPromises

A, B, C = map(EnvironmentId, "abc")


def test_a_quarter_until_something_is_known() -> None:
    promises = MemoryPromises()
    promises.begin(A, "v1", 1024)
    promises.begin(B, "v2", 128)
    assert promises.total_mb == 256 + 32
    assert promises.with_another(512) == 256 + 32 + 128


def test_what_a_ready_runtime_has_needs_no_promise() -> None:
    promises = MemoryPromises()
    promises.begin(A, "v", 128)
    promises.ready(A, 20)
    assert promises.total_mb == 12
    promises.begin(B, "v", 128)
    promises.ready(B, 50)  # more than was expected
    assert promises.total_mb == 12


def test_others_are_expected_to_use_what_was_used() -> None:
    promises = MemoryPromises()
    promises.begin(A, "v", 1024)
    promises.finished(A, "v", 600)
    assert promises.total_mb == 0
    promises.begin(B, "v", 1024)
    assert promises.total_mb == 600
    promises.finished(B, "v", 300)  # the most of all counts
    promises.begin(C, "v", 1024)
    assert promises.total_mb == 600


def test_an_eighth_is_expected_however_little_was_used() -> None:
    promises = MemoryPromises()
    promises.begin(A, "v", 128)
    promises.finished(A, "v", 10)
    promises.begin(B, "v", 128)
    assert promises.total_mb == 16


def test_what_has_ended_or_is_forgotten_counts_no_more() -> None:
    promises = MemoryPromises()
    promises.begin(A, "v", 1024)
    promises.ended(A)
    promises.ended(A)
    assert promises.total_mb == 0
    promises.finished(B, "v", 900)
    promises.forget("v")
    promises.begin(C, "v", 1024)
    assert promises.total_mb == 256
