"""Which versions are taken from what a registry offers."""

from __future__ import annotations

from lambent.worker.runtimes.install_node import newest, newest_supporting


def test_newest_counts_numbers_and_skips_previews() -> None:
    versions = ["22.9.0", "22.10.0", "22.11.0-rc.1", "23.1.0", "2.2.0"]
    assert newest(versions, (22,)) == "22.10.0"
    assert newest(versions, ()) == "23.1.0"
    assert newest(versions, (24,)) is None


def test_newest_supporting_looks_at_what_a_release_needs() -> None:
    releases = [
        {"version": "3.967.0", "engines.node": ">=18.0.0"},
        {"version": "3.1000.0", "engines.node": ">=20.0.0"},
        {"version": "3.200.0"},
        {"version": "3.2000.0", "engines.node": "^99 || something else"},
    ]
    assert newest_supporting(releases, "18.20.8") == "3.967.0"
    assert newest_supporting(releases, "20.0.0") == "3.1000.0"
    assert newest_supporting(releases, "16.1.0") == "3.200.0"
    assert newest_supporting(releases[:2], "16.1.0") is None
