"""`lambent serve`: run the server until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
from argparse import Namespace
from pathlib import Path

import uvloop

from lambent.app import App, StartError
from lambent.cli.errors import CommandError
from lambent.config import OPTIONS, Config, load
from lambent.http.tls import TlsError
from lambent.observability.metrics.store import MetricStoreError
from lambent.store.data_directory import DataDirectoryError
from lambent.store.errors import StoreError
from lambent.worker.sandbox.api import SandboxError


def run(options: Namespace) -> int:
    """Start, say how it can be reached and what isolates functions, serve, stop cleanly on SIGINT or SIGTERM."""
    config = load(_flags(options), os.environ, _file(options))
    logging.basicConfig(
        level=logging.DEBUG if config.dev else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("botocore").setLevel(logging.INFO)
    _allow_many_descriptors()
    try:
        return uvloop.run(_serve(config))
    except (StartError, TlsError, DataDirectoryError, StoreError, MetricStoreError, SandboxError) as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"cannot listen on {config.host} port {config.port}: {error.strerror or error}") from None


async def _serve(config: Config) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    app = await App.start(config, os.environ)
    try:
        _announce(app)
        async with asyncio.TaskGroup() as tasks:
            settling = tasks.create_task(_settle(app), name="settle")
            await stop.wait()
            settling.cancel()  # perhaps runtimes are still being looked for
        print("stopping", flush=True)
    finally:
        await app.stop()
    return 0


async def _settle(app: App) -> None:
    names = await app.runtimes()
    print(f"runtimes   {', '.join(names) or 'none found: see `lambent runtimes`'}", flush=True)
    await app.preloaded()
    _settle_memory()


def _settle_memory() -> None:
    """What is there by now stays: the collector need not look at it again and again (a full look takes some 50 ms, in
    which nothing is answered), nor look for new garbage every 700 objects."""
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)


def _allow_many_descriptors() -> None:
    """An environment takes some ten of the server's descriptors; the usual soft limit of 1,024 is for select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _announce(app: App) -> None:
    report = app.sandbox_report
    missing = [guarantee.name for guarantee in report.guarantees if not guarantee.holds]
    isolation = report.name if report.name != "process" else "process: NONE. Functions run as this user, unconfined."
    print(f"endpoint   {app.endpoint_url}")
    print(f"isolation  {isolation}{' (without: ' + ', '.join(missing) + ')' if missing else ''}")
    print(f"network    {_network(app)}")
    print(f"data       {app.data.path}", flush=True)


def _network(app: App) -> str:
    """What functions reach beside their AWS endpoint."""
    config, report = app.config, app.sandbox_report
    allowed = ", ".join(config.network_allow)
    if report.name == "process":
        return "the host's"
    if config.network == "none":
        words = "none"
    elif report.why_no_network:
        words = f"none: {report.why_no_network}"
    elif config.network == "allow-list":
        words = allowed
    else:
        words = "the internet, without private addresses and this host" + (f"; and {allowed}" if allowed else "")
    others = [f"{name}: {what}" for name, what in config.network_functions.items()]
    return "; ".join([words, *others])


def _flags(options: Namespace) -> dict[str, str | None]:
    flags: dict[str, str | None] = {option.name: getattr(options, option.field) for option in OPTIONS}
    if isinstance(options.upstream, list):
        flags["upstream"] = ",".join(options.upstream)
    return flags


def _file(options: Namespace) -> Path | None:
    name = options.config or os.environ.get("LAMBENT_CONFIG")
    return Path(name) if name else None
