"""`lambent logs`: a function's log lines, oldest first; with --follow also those to come."""

from __future__ import annotations

import json
import re
import sys
import time
from argparse import Namespace
from collections import deque
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from lambent.cli.client import client, error_code, one_line_errors
from lambent.cli.errors import CommandError

POLL_S = 0.1
OVERLAP_MS = 2_000  # lines of several environments arrive a little out of order
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def run(options: Namespace) -> int:
    """Print the log of a function."""
    name = options.name.rsplit(":function:", 1)[-1].split(":")[0]
    group = name if name.startswith("/") else f"/aws/lambda/{name}"
    start_ms = int((time.time() - _age_s(options.since)) * 1000)
    with one_line_errors(options):
        logs = client(options, "logs")
        seen: deque[str] = deque(maxlen=100_000)
        known: set[str] = set()
        while True:
            for event in _events(logs, group, start_ms, follow=options.follow):
                if event["eventId"] in known:
                    continue
                if len(seen) == seen.maxlen:
                    known.discard(seen[0])
                seen.append(event["eventId"])
                known.add(event["eventId"])
                start_ms = max(start_ms, event["timestamp"] - OVERLAP_MS)
                _print(event, as_json=options.json)
            sys.stdout.flush()
            if not options.follow:
                return 0
            time.sleep(POLL_S)


def _events(logs: Any, group: str, start_ms: int, *, follow: bool) -> Iterator[dict[str, Any]]:
    try:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=start_ms):
            yield from page["events"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        if not follow:
            raise CommandError(f"nothing was logged to {group} yet") from None


def _print(event: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(event, ensure_ascii=False))
    else:
        sys.stdout.write(event["message"] if event["message"].endswith("\n") else event["message"] + "\n")


def _age_s(text: str) -> int:
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise CommandError(f"--since {text}: give an age such as 30s, 10m, 2h or 7d")
    return int(match[1]) * _UNITS[match[2]]
