"""AWS's own runtime interface client (`awslambdaric` from PyPI) as a custom runtime in a real sandbox, beside our
Python runtime: the same handlers, answers, errors and logs.

Custom runtimes bring their interpreter. This one uses the system's, which environments see with /usr.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.packages import zip_of
from lambent.testing.server import Invoked, RunningServer

SYSTEM_PYTHON = Path("/usr/bin/python3")
BOOTSTRAP = f'#!/bin/sh\nexec {SYSTEM_PYTHON} -m awslambdaric "$_HANDLER"\n'


def _system_version() -> tuple[int, int] | None:
    if not SYSTEM_PYTHON.exists():
        return None
    ask = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([SYSTEM_PYTHON, "-c", ask], capture_output=True, text=True, check=True)
    major, minor = map(int, done.stdout.split())
    return major, minor


VERSION = _system_version()
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        VERSION is None or VERSION < (3, 11), reason="awslambdaric needs a Python of 3.11 or newer in /usr/bin"
    ),
]

HANDLERS = """
import collections, decimal, logging, os, sys
print("imported")
Point = collections.namedtuple("Point", "x y")
count = 0

class Strange(Exception):
    def __str__(self):
        return "strange é"

def handler(event, context):
    global count
    count += 1
    kind = event["kind"]
    if kind == "values":
        return {"é": [1, 2.5, None, True, decimal.Decimal("1.10"), Point(1, 2), float("nan")], 3: "\\u2028\\"\\\\"}
    if kind == "context":
        c = context.client_context
        return [context.function_name, context.function_version, context.invoked_function_arn,
                context.memory_limit_in_mb, context.aws_request_id, context.log_group_name,
                0 < context.get_remaining_time_in_millis() <= 7000, c.custom, c.client.app_title, c.env,
                os.environ["_X_AMZN_TRACE_ID"].startswith("Root=1-")]
    if kind == "raise":
        return inner(event)
    if kind == "strange":
        try:
            {}["key"]
        except KeyError:
            raise Strange()
    if kind == "set":
        return {1, 2}
    if kind == "log":
        logging.getLogger().setLevel(logging.INFO)
        logging.info("two\\nlines")
        logging.getLogger("a.b").error("é %s", 1)
        print("printed")
        print("to stderr", file=sys.stderr)
        context.log("direct\\n")
        try:
            inner(event)
        except ValueError:
            logging.exception("caught")
    if kind == "large":
        return "x" * event["size"]
    if kind == "exit":
        sys.exit(3)
    return count

def inner(event):
    raise ValueError("no: " + event["kind"])
"""


@dataclass
class Pair:
    """Two functions made of one source: `ours` with our runtime, `theirs` with AWS's client."""

    server: RunningServer
    ours: str
    theirs: str

    def invoke(self, event: object, **parameters: Any) -> tuple[Invoked, Invoked]:
        ours, theirs = (self.server.invoke(name, event, **parameters) for name in (self.ours, self.theirs))
        return ours, theirs

    def normal(self, text: str) -> str:
        """Without what differs between any two invocations, and without the functions' names."""
        text = text.replace(self.theirs, self.ours)
        text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)
        text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "STAMP", text)
        text = re.sub(r"\d+(\.\d\d)? (ms|MB)", r"N \2", text)
        text = text.replace("/var/lang/lib/", "/usr/lib/")  # where the two standard libraries are
        text = re.sub(r"(importlib[^,]*, line )\d+", r"\1N", text)  # of two patch releases
        return re.sub(r"(python:3\.\d+|provided:al2023)(\.v\d+\t).*:[0-9a-f]{64}", r"RUNTIME\2HASH", text)

    def events(self) -> list[list[str]]:
        """The log events of each, made alike, of environments that handled something: when a runtime is slow to ask
        for its next event, an invocation that comes first has another environment started, and may not need it."""
        return [self._events_of(name) for name in (self.ours, self.theirs)]

    def _events_of(self, name: str) -> list[str]:
        pages = (
            self.server.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
        )
        events = [event for page in pages for event in page["events"]]
        used = {event["logStreamName"] for event in events if event["message"].startswith("END ")}
        return [self.normal(event["message"]) for event in events if event["logStreamName"] in used]


@pytest.fixture(scope="module")
def client_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What `pip install --target` puts into a package for the system's Python."""
    assert VERSION is not None
    target = tmp_path_factory.mktemp("awslambdaric")
    release = importlib.metadata.version("awslambdaric")  # as pinned in requirements/dev.txt
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--target", str(target), "--python-version", "{}.{}".format(*VERSION), "--only-binary=:all:"]
    subprocess.run([*command, f"awslambdaric=={release}"], check=True)
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


@pytest.fixture
def pair(server: RunningServer, client_files: dict[str, bytes], request: pytest.FixtureRequest) -> Callable[..., Pair]:
    """Deploys a source twice; deletes both afterwards."""

    def deploy(source: str, handler: str = "app.handler") -> Pair:
        assert VERSION is not None
        base = re.sub(r"[^a-zA-Z0-9-_]", "-", request.node.name)[:50]
        made = Pair(server, f"{base}-ours", f"{base}-theirs")
        settings: dict[str, Any] = {"Handler": handler, "Timeout": 7}
        server.deploy(made.ours, {"app.py": source}, Runtime="python{}.{}".format(*VERSION), **settings)
        package = zip_of({**client_files, "app.py": source, "bootstrap!": BOOTSTRAP})
        server.deploy(made.theirs, package, Runtime="provided.al2023", **settings)
        for name in (made.ours, made.theirs):
            request.addfinalizer(functools.partial(server.client("lambda").delete_function, FunctionName=name))
        return made

    return deploy


def test_answers_errors_and_logs_are_the_same(pair: Callable[..., Pair]) -> None:
    functions = pair(HANDLERS)
    for kind in ("values", "raise", "strange", "set", "log", "count"):
        ours, theirs = functions.invoke({"kind": kind})
        assert ours.function_error == theirs.function_error, kind
        assert functions.normal(json.dumps(ours.payload)) == functions.normal(json.dumps(theirs.payload)), kind
    assert theirs.payload == 6  # the environment lived through all of it
    ours_events, their_events = functions.events()
    assert sorted(ours_events) == sorted(their_events), their_events
    printed = ("printed\n", "to stderr\n")  # through streams that are not ordered with the log
    assert set(printed) < set(their_events)
    ours_logged, their_logged = ([text for text in events if text not in printed] for events in functions.events())
    assert ours_logged == their_logged


def test_the_context_is_the_same(pair: Callable[..., Pair]) -> None:
    functions = pair(HANDLERS)
    context = "eyJjdXN0b20iOiB7ImsiOiAidiJ9LCAiY2xpZW50IjogeyJhcHBfdGl0bGUiOiAidCJ9LCAiZW52IjogeyJlIjogMX19"
    ours, theirs = functions.invoke({"kind": "context"}, ClientContext=context, Qualifier="$LATEST")
    assert theirs.payload[4] == theirs.request_id
    assert theirs.payload[6:] == [True, {"k": "v"}, "t", {"e": 1}, True]
    assert functions.normal(json.dumps(ours.payload)) == functions.normal(json.dumps(theirs.payload))


def test_the_largest_answer_and_one_larger(pair: Callable[..., Pair]) -> None:
    functions = pair(HANDLERS)
    for answer in functions.invoke({"kind": "large", "size": 6_291_554}):
        assert (answer.function_error, len(answer.payload)) == (None, 6_291_554)
    for answer in functions.invoke({"kind": "large", "size": 6_291_555}):
        assert answer.function_error == "Unhandled"
        assert answer.payload["errorType"] == "Function.ResponseSizeTooLarge"
    for answer in functions.invoke({"kind": "count"}):
        assert (answer.function_error, answer.payload > 0) == (None, True)


def test_an_exit_is_reported_the_same(pair: Callable[..., Pair]) -> None:
    functions = pair(HANDLERS)
    ours, theirs = functions.invoke({"kind": "exit"})
    assert (ours.function_error, theirs.function_error) == ("Unhandled", "Unhandled")
    assert functions.normal(json.dumps(ours.payload)) == functions.normal(json.dumps(theirs.payload))
    ours, theirs = functions.invoke({"kind": "count"})
    assert (ours.payload, theirs.payload) == (1, 1)  # in new environments


@pytest.mark.parametrize(
    ("handler", "source"),
    [
        ("app.handler", "import absent"),
        ("app.handler", "raise KeyError('at import')"),
        ("app.handler", "def handler(:"),
        ("app.nope", "x = 1"),
        ("absent.handler", ""),
        ("nodot", ""),
    ],
    ids=["import", "raise", "syntax", "attribute", "module", "name"],
)
def test_failures_to_initialise_are_the_same(pair: Callable[..., Pair], handler: str, source: str) -> None:
    functions = pair(source, handler)
    ours, theirs = functions.invoke({})
    assert (ours.function_error, theirs.function_error) == ("Unhandled", "Unhandled")
    assert functions.normal(json.dumps(ours.payload)) == functions.normal(json.dumps(theirs.payload))
    ours_events, their_events = functions.events()
    assert ours_events == their_events
