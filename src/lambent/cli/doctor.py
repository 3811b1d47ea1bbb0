"""`lambent doctor`: what this machine can isolate and limit, which runtimes run, what is missing and what adds it.

Exit status 0 when functions can run with the isolation asked for by default, else 1.
"""

from __future__ import annotations

import os
import platform
import shutil
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lambent.cli.printing import print_json, print_table
from lambent.cli.settings import host_settings
from lambent.worker import host_memory
from lambent.worker.runtimes.catalog import RuntimeCatalog
from lambent.worker.sandbox.api import BackendReport, NetworkPolicy
from lambent.worker.sandbox.linux.backend import LinuxBackend


def run(options: Namespace) -> int:
    """Probe this machine and print what was found."""
    settings = host_settings(options)
    data_dir = settings.data_dir
    internet = [NetworkPolicy(internet=True)]
    report = LinuxBackend("doctor", data_dir, networks=internet).report()
    rootless = LinuxBackend("doctor", data_dir, networks=internet, rootless=True)
    reports = [report] if report.usable else [report, rootless.report()]
    catalog = RuntimeCatalog(settings.runtimes_dir, os.environ)
    runtimes = [_runtime(catalog, name) for name in catalog.known()]
    if options.json:
        others = {other.name: asdict(other) for other in reports[1:]}
        print_json({"host": _host(data_dir), "sandbox": asdict(report), **others, "runtimes": runtimes})
    else:
        _print(_host(data_dir), reports, runtimes)
    return 0 if report.usable else 1


def _host(data_dir: Path) -> dict[str, Any]:
    place = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    return {
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "memory_available_mb": host_memory.available_mb(host_memory.own_levels()),
        "data_dir": str(data_dir),
        "disk_free_mb": shutil.disk_usage(place).free // 2**20,
    }


def _runtime(catalog: RuntimeCatalog, name: str) -> dict[str, Any]:
    runtime = catalog.find(name)
    if runtime is None:
        return {"name": name, "found": False, "advice": catalog.missing_message(name)}
    needs_sdk = runtime.language != "provided"
    return {
        "name": name,
        "found": True,
        "version": runtime.interpreter_version,
        "prefix": str(runtime.prefix) if runtime.prefix else None,
        "sdk": runtime.sdk_dir is not None,
        "advice": f"no AWS SDK; add it with: lambent runtimes install {name}"
        if needs_sdk and runtime.sdk_dir is None
        else "",
    }


def _print(host: dict[str, Any], reports: list[BackendReport], runtimes: list[dict[str, Any]]) -> None:
    print(
        f"Host: Linux {host['kernel']} {host['architecture']}, {host['cpus']} CPUs, "
        f"{host['memory_available_mb']} MB memory available, {host['disk_free_mb']} MB free at {host['data_dir']}"
    )
    for report in reports:
        print(f"\nSandbox {report.name}: " + ("usable" if report.usable else f"NOT usable: {report.reason}"))
        if report.guarantees:
            rows = [("yes" if g.holds else "NO", g.name, g.how) for g in report.guarantees]
            print_table(("", "GUARANTEE", "HOW"), rows)
        if report.usable:
            what = f"no: {report.why_no_network}" if report.why_no_network else f"yes, {report.network}"
            print(f"\nThe internet for functions ({report.name}): {what}")
    print("\nRuntimes:")
    print_table(
        ("", "NAME", "VERSION", "ADVICE"),
        [("yes" if r["found"] else "no", r["name"], r.get("version") or "-", r["advice"]) for r in runtimes],
    )
    if not reports[0].usable and reports[-1].usable:
        print("\nFunctions can run with `lambent serve --sandbox rootless`, with what it says above.")
    elif not reports[0].usable:
        print("\nFunctions can still run with `lambent serve --sandbox process`, WITHOUT any isolation.")
