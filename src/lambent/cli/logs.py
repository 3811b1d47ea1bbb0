"""`lambent logs`: a function's log lines, oldest first; with --follow also those to come."""

from __future__ import annotations

import json
import re
import sys
import time
from argparse import Namespace
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError
from botocore.exceptions import EventStreamError as SessionEndedError
from urllib3.exceptions import HTTPError as BrokenStreamError

from lambent.cli.client import client, error_code, one_line_errors
from lambent.cli.errors import CommandError

POLL_S = 0.1  # for a log group that does not exist yet
OVERLAP_MS = 5_000  # how far back one session looks for what was logged while the one before ended
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def run(options: Namespace) -> int:
    """Print the log of a function."""
    name = options.name.rsplit(":function:", 1)[-1].split(":")[0]
    group = name if name.startswith("/") else f"/aws/lambda/{name}"
    start_ms = int((time.time() - _age_s(options.since)) * 1000)
    with one_line_errors(options):
        logs = client(options, "logs")
        if options.follow:
            _follow(logs, group, start_ms, as_json=options.json)
        found = False
        for event in _history(logs, group, start_ms):
            found = True
            _print(event, as_json=options.json)
        if not found and not _arn(logs, group):
            raise CommandError(f"nothing was logged to {group} yet")
        sys.stdout.flush()
        return 0


def _follow(logs: Any, group: str, start_ms: int, *, as_json: bool) -> None:
    """Print what was logged and what comes, until interrupted. A session that ended is followed by the next."""
    recent = _Recent()
    while True:
        while (arn := _arn(logs, group)) is None:
            time.sleep(POLL_S)
        stream = logs.start_live_tail(logGroupIdentifiers=[arn])["responseStream"]
        try:
            # The session is there: what is logged from now on comes through it, and only what was before is asked for.
            shown = recent.copy()
            history: Counter[_Key] = Counter()
            for event in _history(logs, group, start_ms):
                history[_key(event)] += 1
                _print_new(event, shown, recent, as_json=as_json)
            sys.stdout.flush()
            for event in _live(stream):
                _print_new(event, history, recent, as_json=as_json)
        except (SessionEndedError, BrokenStreamError):
            pass  # after three hours, or the server stopped: if it is not back, the next request says so
        finally:
            stream.close()
        start_ms = max(start_ms, recent.latest_ms - OVERLAP_MS)


def _live(stream: Any) -> Iterator[dict[str, Any]]:
    for event in stream:
        update = event.get("sessionUpdate")
        if update is None:
            continue
        if update["sessionMetadata"]["sampled"]:
            print("some lines were left out: they came faster than they could be shown", file=sys.stderr)
        yield from update["sessionResults"]
        sys.stdout.flush()


_Key = tuple[str, int, int, str]


def _key(event: dict[str, Any]) -> _Key:
    return event["logStreamName"], event["timestamp"], event["ingestionTime"], event["message"]


class _Recent:
    """How often each of the events last printed was printed. (Functions do print the same line twice.)"""

    def __init__(self) -> None:
        self.latest_ms = 0
        self._keys: deque[_Key] = deque()
        self._counts: Counter[_Key] = Counter()

    def add(self, key: _Key) -> None:
        """Note an event, and forget those that no session looks back to."""
        self.latest_ms = max(self.latest_ms, key[1])
        self._keys.append(key)
        self._counts[key] += 1
        while self._keys[0][1] < self.latest_ms - 2 * OVERLAP_MS:
            old = self._keys.popleft()
            self._counts[old] -= 1
            if not self._counts[old]:
                del self._counts[old]

    def copy(self) -> Counter[_Key]:
        """The counts."""
        return self._counts.copy()


def _print_new(event: dict[str, Any], known: Counter[_Key], recent: _Recent, *, as_json: bool) -> None:
    """Print an event unless it is one of those `known`, which are counted down."""
    key = _key(event)
    if known[key]:
        known[key] -= 1
        return
    _print(event, as_json=as_json)
    recent.add(key)


def _history(logs: Any, group: str, start_ms: int) -> Iterator[dict[str, Any]]:
    try:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=start_ms):
            yield from page["events"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise


def _arn(logs: Any, group: str) -> str | None:
    """The ARN of a log group, if it exists."""
    found = logs.describe_log_groups(logGroupNamePrefix=group, limit=1)["logGroups"]
    return str(found[0]["logGroupArn"]) if found and found[0]["logGroupName"] == group else None


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
