"""Attempts to deceive by what is printed."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from typing import Any

from hostile.attempts import attempt


@attempt
def platform_lines(event: dict[str, Any]) -> Any:
    other = "11111111-1111-4111-8111-111111111111"
    for request_id in (event["request_id"], other):
        print(f"END RequestId: {request_id}")
        print(f"REPORT RequestId: {request_id}\tDuration: 1.00 ms\tBilled Duration: 900000 ms\tMemory Size: 10240 MB\t"
              "Max Memory Used: 1 MB\t")  # fmt: skip
        print(f"START RequestId: {request_id} Version: $LATEST")
        print('{"type":"platform.report","record":{"metrics":{"billedDurationMs":900000}}}')
    return "printed"


@attempt
def frames(event: dict[str, Any]) -> Any:
    """On the telemetry pipe: of the future, without an end, with a length that is too large."""
    future = (int(time.time()) + 10 * 365 * 86400) * 1_000_000
    os.write(3, struct.pack(">IIQ", 0xA55A0003, 6, future) + b"future")
    os.write(3, struct.pack(">IIQ", 0xA55A0003, 0xFFFFFFFF, 0) + b"too long\n")
    os.write(3, struct.pack(">IIQ", 0xA55A0003, 60 << 20, 0) + b"never ends")
    return "written"


@attempt
def not_text(event: dict[str, Any]) -> Any:
    os.write(1, bytes(range(256)) + b"\r\r\n\x1b[2J\x00\xff\xfe\n")
    os.write(1, "\u202e\ud7ff\n".encode())
    return "written"


@attempt
def line_without_end(event: dict[str, Any]) -> Any:
    for _ in range(32):
        os.write(1, b"x" * 65536)
    return "written"


@attempt
def flood_of_lines(event: dict[str, Any]) -> Any:
    """Line feeds from a child, as fast as they go, for as long as this environment may."""
    script = "import os\nwhile True: os.write(1, b'\\n' * 65536)"
    subprocess.Popen([sys.executable, "-I", "-S", "-c", script])
    time.sleep(event.get("hold_s", 0))
    return "flooding"
