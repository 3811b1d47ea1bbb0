"""`lambent runtimes`: which runtimes this machine has, and installing what is missing. Needs no server.

What is installed is found by running servers at once, if they use the same runtimes directory.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from lambent.cli.errors import CommandError
from lambent.cli.printing import print_json, print_table
from lambent.cli.settings import host_settings
from lambent.worker.runtimes.install import ALL_FOUND, InstallError, RuntimeStatus, install, statuses


def run(options: Namespace) -> int:
    """List the runtimes, or install what is missing of some and list those."""
    directory = host_settings(options).runtimes_dir
    if options.action == "install":
        shown = _install(options.names, directory)
    else:
        shown = statuses(directory, os.environ)
        if options.names:
            shown = _selected(options.names, shown)
    if options.json:
        print_json([_document(status) for status in shown])
    elif options.action == "list":
        _print(shown)
    return 0


def _install(names: list[str], directory: Path) -> list[RuntimeStatus]:
    """Install one after the other; what fails does not keep the others from being installed."""
    done: list[RuntimeStatus] = []
    failures: list[str] = []
    for name in names or [ALL_FOUND]:
        try:
            done += install(name, directory, _report, os.environ)
        except InstallError as error:
            failures.append(str(error))
        except OSError as error:
            raise CommandError(f"cannot install into {directory}: {error.strerror or error}") from None
    if failures:
        raise CommandError("\n".join(failures))
    return done


def _report(line: str) -> None:
    """Progress goes to stderr: stdout is for the result."""
    print(line, file=sys.stderr, flush=True)


def _selected(names: list[str], found: list[RuntimeStatus]) -> list[RuntimeStatus]:
    by_name = {status.identifier: status for status in found}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise CommandError(f"there is no runtime {', '.join(unknown)} here; there are {', '.join(by_name)}")
    return [by_name[name] for name in names]


def _document(status: RuntimeStatus) -> dict[str, object]:
    document = asdict(status)
    return {"name": document.pop("identifier"), "advice": document.pop("missing"), **document}


def _print(shown: list[RuntimeStatus]) -> None:
    print_table(
        ("NAME", "VERSION", "SDK", "ADVICE"),
        [
            (status.identifier, status.interpreter_version or "-", status.sdk_version or "-", status.missing)
            for status in shown
        ],
    )
