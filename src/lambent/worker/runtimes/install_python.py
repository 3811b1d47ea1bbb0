"""Installs what Python runtimes need: interpreters through uv, boto3 through pip."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from lambent.worker.runtimes.identifiers import RuntimeIdentifier
from lambent.worker.runtimes.layout import RuntimesLayout
from lambent.worker.runtimes.staging import Report, fresh_directory, point, publish, run_tool


def install_interpreter(
    known: RuntimeIdentifier, layout: RuntimesLayout, environ: Mapping[str, str], report: Report
) -> None:
    version = ".".join(map(str, known.version))
    uv = _uv(layout, environ, report)
    report(f"{known.name}: installing Python {version} with uv")
    layout.pythons.mkdir(parents=True, exist_ok=True)
    # uv itself unpacks beside and renames, so an interrupted run leaves nothing that looks whole.
    argv = [uv, "python", "install", "--no-bin", "--install-dir", str(layout.pythons), version]
    run_tool(argv, f"install Python {version}", environ)


def _uv(layout: RuntimesLayout, environ: Mapping[str, str], report: Report) -> str:
    """uv from PATH, else in a virtual environment of our own."""
    for directory in environ.get("PATH", "").split(":"):
        if directory and (Path(directory) / "uv").is_file():
            return str(Path(directory) / "uv")
    private = layout.root / "tools" / "uv"
    program = private / "bin" / "uv"
    if not program.is_file():
        report("installing uv")
        run_tool([sys.executable, "-m", "venv", "--clear", str(private)], "make an environment for uv", environ)
        pip = [str(private / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv"]
        run_tool(pip, "install uv", environ)
    return str(program)


def install_sdk(
    known: RuntimeIdentifier, interpreter: Path, layout: RuntimesLayout, environ: Mapping[str, str], report: Report
) -> str:
    """Install the newest boto3 for this Python; its version."""
    version = ".".join(map(str, known.version))
    report(f"{known.name}: installing boto3")
    with fresh_directory(layout) as fresh:
        wheels, packages = fresh / "wheels", fresh / "packages"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        # In two steps, because older pips choose for their own Python's version when they install, whatever is asked.
        argv = [*pip, "download", "--quiet", "--dest", str(wheels), "--only-binary=:all:"]
        argv += ["--python-version", version, "--implementation", "cp", "boto3"]
        run_tool(argv, f"install boto3 for Python {version}", environ)
        argv = [*pip, "install", "--quiet", "--no-compile", "--no-deps", "--no-index", "--target", str(packages)]
        run_tool([*argv, *map(str, wheels.iterdir())], f"unpack boto3 for Python {version}", environ)
        compiler = [str(interpreter), "-I", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        run_tool([*compiler, str(packages)], "compile boto3", {"PATH": "/usr/bin:/bin"})
        found = sdk_version(packages)
        target = layout.root / known.name / f"packages-{found}"
        publish(packages, target)
    point(layout.site_packages(known.name), target)
    return found


def sdk_version(packages: Path) -> str:
    """The boto3 in a site-packages directory; empty when there is none."""
    for info in packages.glob("boto3-*.dist-info"):
        return info.name.removeprefix("boto3-").removesuffix(".dist-info")
    return ""
