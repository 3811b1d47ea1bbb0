"""Run the benchmarks and print one table, with goals and, with `--peers`, others that run functions beside it.

    scripts/bench [TOPIC ...] [--seconds 5] [--repeat 20] [--peers [NAME,...]] [--json FILE] [--into PAGE]

Topics are the modules in `topics`. Absolute figures are this machine's: the floor of the same run is there to compare
with, and the load generator runs on the same cores. Peers are installed by `scripts/bench-peers`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers
from lambent.testing.server import RunningServer
from subject import Lambent
from table import Row, document, page_table, render, renew
from topics import Options
from topics.registry import TOPICS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"of {', '.join(TOPICS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load for each row (default 5)")
    parser.add_argument("--repeat", type=int, default=20, help="of what happens once (default 20)")
    parser.add_argument("--peers", nargs="?", const=",".join(peers.PEERS), default="", metavar="NAME,...",
                        help=f"of {', '.join(peers.PEERS)} (default without names: all)")  # fmt: skip
    parser.add_argument("--sandbox", default="linux", help="of Lambent (default linux)")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="put each topic's table into its place in this page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    chosen = arguments.topics or list(TOPICS)
    beside = [name for name in arguments.peers.split(",") if name]
    if unknown := (set(chosen) - set(TOPICS)) | (set(beside) - set(peers.PEERS)):
        parser.error(f"no such topic or peer: {', '.join(sorted(unknown))}")
    options = Options(arguments.seconds, arguments.repeat)
    measured: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as cache:
        _compile_ahead(cache)
        for topic in chosen:
            measured[topic] = _measure(topic, options, arguments.sandbox, beside)
            if arguments.into:
                page = arguments.into.read_text()
                arguments.into.write_text(renew(page, topic, _section(measured[topic], options)))
    rows = [row for topic in chosen for row in measured[topic]]
    print(render(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps(document(rows), indent=2) + "\n")


def _section(rows: list[Row], options: Options) -> str:
    """A topic's table for a page, and what it was measured with."""
    about = f"{time.strftime('%Y-%m-%d')}, `--seconds {options.seconds:g} --repeat {options.repeat}`."
    return f"{page_table(rows)}\n\n{about}\n"


def _compile_ahead(cache: str) -> None:
    """Have servers find compiled modules, as those do that were installed, whatever this environment says of that."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = cache
    subprocess.run([sys.executable, "-c", "import lambent.cli.serve"], check=True)


def _measure(topic: str, options: Options, sandbox: str, beside: list[str]) -> list[Row]:
    rows: list[Row] = []
    chosen = TOPICS[topic]
    arguments = ("--auth", "sigv4", "--sandbox", sandbox, *chosen.arguments)
    with tempfile.TemporaryDirectory() as directory:
        begun = time.monotonic()
        with RunningServer(Path(directory) / "data", arguments) as server:
            ready_s = time.monotonic() - begun
            server.health()  # the runtimes are known from here on
            rows += map(_told, chosen.measure(Lambent(server, ready_s), options))
    if chosen.beside is not None:
        for name in beside:
            with peers.running(name) as peer:
                rows += map(_told, chosen.beside(peer, options))
    return rows


def _told(row: Row) -> Row:
    print(f"{row.by}: {row.what}: {row.text()}", file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    main()
