"""A thousand environments at once, through the whole server: all are invoked, all answer, and nothing stays."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import load
import processes
from lambent.testing.inventory import Inventory
from subject import Lambent, call
from table import Figure, Row
from topics import Options

COUNT = 1_000  # as many as an account may have; of 128 MB, of which one is expected to use 16, or what others did
_HORIZON_S = 45.0  # until then all have to have begun
_PATIENCE_S = 120.0
_WAIT_S = 20.0


def measure(subject: Lambent, options: Options) -> Iterator[Row]:
    what = f"{COUNT:,} environments at once, through the server"
    free = processes.available_mb()
    call(subject.port, subject.create_request("until"))
    call(subject.port, subject.invoke_request("until", 0))
    begun = time.time()
    request = subject.invoke_request("until", begun + _HORIZON_S)
    answers = load.together(subject.port, request, COUNT, _PATIENCE_S)
    starts = sorted(float(json.loads(body)) for answer in answers if (body := _result(answer)))
    alive = len({pid for pid in subject.function_processes() if processes.name(pid) == "lambent-init"})
    taken = free - processes.available_mb()
    server_mb = processes.rss_mb(subject.pid)
    begun_stop = time.perf_counter()
    subject.server.stop()
    stopped_s = time.perf_counter() - begun_stop
    left = _left(subject)
    refused = sorted({answer.partition(b"\r\n")[0].decode() for answer in answers if not _result(answer)})
    late = sum(start > begun + _HORIZON_S for start in starts)
    figures = (
        Figure("answered", len(starts), "", COUNT, is_count_to_reach=True),
        Figure("at once", alive - late, "", COUNT, is_count_to_reach=True),
        Figure("left after the stop", left, "", 0),
        Figure("all begun after", (starts[-1] - begun) if starts else float("nan"), "s"),
        Figure("of the host's memory for each", taken / max(1, alive), "MB"),
        Figure("RSS of the server", server_mb, "MB"),
        Figure("stopped in", stopped_s, "s"),
    )
    yield Row(what, figures, note="; ".join([*([f"{late} began late"] if late else []), *refused]))


def _result(answer: bytes) -> bytes:
    """The payload of a success."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return body if head.startswith(b"HTTP/1.1 200") and b"x-amz-function-error" not in head.lower() else b""


def _left(subject: Lambent) -> int:
    """Processes, cgroups, mounts and devices, once the kernel has done what it does later."""
    deadline = time.monotonic() + _WAIT_S
    while not (found := Inventory.of(subject.server.data_dir)).nothing and time.monotonic() < deadline:
        time.sleep(0.2)
    kinds = (found.processes, found.cgroups, found.mounts, found.loop_devices, found.interfaces)
    return sum(map(len, kinds))
