"""`lambent runtimes`: what is there, and fetching what is missing with the package managers' own clients.

Node.js and the AWS SDK for JavaScript come from the npm registry, boto3 from PyPI, Pythons through uv; which registries
these are is the clients' configuration. An installation may be killed and repeated at any point; running servers find
its result without a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lambent.worker.runtimes import install_node, install_python, search
from lambent.worker.runtimes.catalog import RuntimeCatalog
from lambent.worker.runtimes.identifiers import KNOWN, RuntimeIdentifier
from lambent.worker.runtimes.layout import RuntimesLayout
from lambent.worker.runtimes.probe import Interpreter, ask_directly
from lambent.worker.runtimes.staging import InstallError, Report, exclusive

__all__ = ["ALL_FOUND", "InstallError", "RuntimeStatus", "install", "statuses"]

ALL_FOUND = "all-found"


@dataclass(frozen=True, slots=True)
class RuntimeStatus:
    """One line of `lambent runtimes list`. `interpreter_version` and `sdk_version` are empty when there is none;
    `missing` says what to do then."""

    identifier: str
    interpreter_version: str
    interpreter: Path | None
    sdk_version: str
    missing: str = ""


def statuses(runtimes_dir: Path, environ: Mapping[str, str]) -> list[RuntimeStatus]:
    """Every runtime that can be run here, installed or not. Provided runtimes bring all they need."""
    catalog = RuntimeCatalog(runtimes_dir, environ)
    return [_status(known, catalog, environ) for known in KNOWN.values()]


def install(
    name: str, runtimes_dir: Path, report: Report, environ: Mapping[str, str], *, refresh: bool = False
) -> list[RuntimeStatus]:
    """Make the runtime `name` complete: its interpreter, if this host has none, and its SDK. `all-found` completes
    every runtime whose interpreter is there. With `refresh`, an SDK that is there is replaced by the newest. `report`
    gets a line per step.

    Blocks, for minutes on a slow network. Raises `InstallError`; with `all-found`, after the others were completed.
    """
    catalog = RuntimeCatalog(runtimes_dir, environ)
    layout = catalog.layout
    if name != ALL_FOUND and name not in KNOWN:
        raise InstallError(catalog.missing_message(name))
    wanted = [KNOWN[name]] if name != ALL_FOUND else [known for known in KNOWN.values() if catalog.find(known.name)]
    failures = []
    with exclusive(layout):
        for known in wanted:
            try:
                _complete(known, layout, environ, report, refresh=refresh)
            except InstallError as error:
                if name != ALL_FOUND:
                    raise
                failures.append(f"{known.name}: {error}")
    if failures:
        raise InstallError("\n".join(failures))
    return [_status(known, catalog, environ) for known in wanted]


def _complete(
    known: RuntimeIdentifier, layout: RuntimesLayout, environ: Mapping[str, str], report: Report, *, refresh: bool
) -> None:
    if known.language == "provided":
        report(f"{known.name}: nothing to install")
        return
    interpreter = _interpreter(known, layout, environ)
    if interpreter is None:
        installer = install_python if known.language == "python" else install_node
        installer.install_interpreter(known, layout, environ, report)
        interpreter = _interpreter(known, layout, environ)
        if interpreter is None:
            raise InstallError(f"{known.name} was installed but its interpreter does not run on this host.")
    present = _sdk_version(known, layout)
    if present and not refresh:
        report(f"{known.name}: the SDK {present} is there")
    elif known.language == "python":
        present = install_python.install_sdk(known, interpreter.path, layout, environ, report)
    else:
        version = interpreter.version
        present = install_node.install_sdk(known, interpreter.path, version, layout, environ, report)
    report(f"{known.name}: complete (interpreter {interpreter.version}, SDK {present})")


def _interpreter(known: RuntimeIdentifier, layout: RuntimesLayout, environ: Mapping[str, str]) -> Interpreter | None:
    for path in search.candidates(known, layout, environ):
        interpreter = ask_directly(known.language, path)
        if interpreter is not None and interpreter.is_version(known.version):
            return interpreter
    return None


def _sdk_version(known: RuntimeIdentifier, layout: RuntimesLayout) -> str:
    if known.language == "python":
        return install_python.sdk_version(layout.site_packages(known.name))
    return install_node.sdk_version(layout.node_sdk(known.name))


def _status(known: RuntimeIdentifier, catalog: RuntimeCatalog, environ: Mapping[str, str]) -> RuntimeStatus:
    if known.language == "provided":
        return RuntimeStatus(known.name, "", None, "")
    interpreter = _interpreter(known, catalog.layout, environ)
    sdk = _sdk_version(known, catalog.layout)
    missing = ""
    if interpreter is None:
        missing = catalog.missing_message(known.name)
    elif not sdk:
        missing = f"The AWS SDK is missing. Add it with: lambent runtimes install {known.name}"
    version = interpreter.version if interpreter is not None else ""
    return RuntimeStatus(known.name, version, interpreter.path if interpreter is not None else None, sdk, missing)
