"""The Python guest beside AWS's own runtime interface client (`awslambdaric` from PyPI): same handlers, same answers
and records."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("awslambdaric") is None, reason="awslambdaric is not installed (requirements/dev.txt)"
)

HANDLERS = """
import collections, decimal, enum, json, logging
P = collections.namedtuple("P", "x y")
class Colour(enum.IntEnum):
    RED = 1
class Text(str):
    pass
class HasAsDict:
    def _asdict(self):
        return {"from": "_asdict"}
class Strange(Exception):
    def __str__(self):
        return "strange é"

VALUES = {
    "plain": {"a": [1, 2.5, -0.0, 1e100, True, None, "é\\u2028\\x7f\\"\\\\\\n"], "": {}},
    "keys": {1: 1, 2.5: 2, True: 3, None: 4},
    "decimals": [decimal.Decimal(x) for x in ("1.10", "1E+3", "-0", "NaN", "Infinity", "12345678901234567890.123")],
    "named": [P(1, (P(2, 3),)), {"k": P([], {})}],
    "asdict": HasAsDict(),
    "bytes": {"b": [b"abc", b"\\xc3\\xa9"], b"k": 1},
    "bad bytes": [b"\\xff"],
    "enum": [Colour.RED, Text("t")],
    "floats": [float("inf"), float("-inf"), float("nan")],
    "set": {1},
    "bad key": {(1, 2): 3},
    "complex": [1j],
    "whole bytes": b"bytes",
    "tuple": (1, (2, [3])),
    "marker": "decimal-0",
}

def handler(event, context):
    kind = event["kind"]
    if kind in VALUES:
        return VALUES[kind]
    if kind == "circle":
        value = []
        value.append({"v": value})
        return value
    if kind == "log":
        logging.getLogger().setLevel(logging.INFO)
        logging.info("info %s", "é")
        logging.getLogger("a.b").error("two\\nlines")
        context.log("direct")
        try:
            1 / 0
        except ZeroDivisionError:
            logging.exception("caught")
        return repr(context)
    if kind == "strange":
        raise Strange
    if kind == "chained":
        try:
            json.loads("[")
        except ValueError as error:
            raise RuntimeError("outer\\nline") from error
    if kind == "deep":
        def recurse(n):
            return recurse(n - 1) if n else 1 / 0
        return recurse(5)
    if kind == "client":
        c = context.client_context
        return [repr(c), repr(context.identity), context.tenant_id, context.w3c()]
"""
KINDS = [*re.findall(r'^    "([a-z ]+)":', HANDLERS, re.MULTILINE), "circle", "log", "strange", "chained", "deep"]
ORACLE = [sys.executable, "-m", "awslambdaric", "index.handler"]
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def _normal(text: str, task: Path) -> str:
    text = text.replace(str(task), "TASK").replace(str(task.parent), "TMP")
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", "STAMP", text)


def _oracle_env() -> dict[str, str]:
    found = importlib.util.find_spec("awslambdaric")
    assert found is not None
    assert found.origin is not None
    return {"PYTHONPATH": str(Path(found.origin).parents[1]), "AWS_EXECUTION_ENV": f"AWS_Lambda_python{VERSION}"}


async def _started(start_guest: Any, argvs: tuple[list[str], list[str]], files: dict[str, str], **more: Any) -> Any:
    ours, theirs = argvs
    env = more.pop("env", {})
    return (
        await start_guest(ours, files, env=env, **more),
        await start_guest(theirs, files, env={**_oracle_env(), **env}, **more),
    )


def _argvs(handler: str = "index.handler") -> tuple[list[str], list[str]]:
    bootstrap = Path(__file__).parents[4] / "src/lambent/worker/guest/python/bootstrap.py"
    real = os.path.realpath(sys.executable)
    return [real, "-S", str(bootstrap)], [*ORACLE[:-1], handler]


@pytest.mark.parametrize("log_format", ["Text", "JSON"])
async def test_answers_and_records_are_the_same(start_guest: Any, log_format: str) -> None:
    env = {"AWS_LAMBDA_LOG_FORMAT": log_format}
    ours, theirs = await _started(start_guest, _argvs(), {"index.py": HANDLERS}, env=env)
    for kind in KINDS:
        mine = await ours.api.invoke({"kind": kind})
        other = await theirs.api.invoke({"kind": kind})
        assert mine.path == other.path, kind
        assert _normal(mine.body.decode(), ours.task) == _normal(other.body.decode(), theirs.task), kind
        assert mine.headers["content-type"] == other.headers["content-type"]
        cause = "lambda-runtime-function-xray-error-cause"
        assert (cause in mine.headers) == (cause in other.headers), kind
    client = '{"custom": {"a": 1}, "env": {}, "client": {"app_title": "t"}, "w3c": {"baggage": "b"}}'
    headers = {"Client_Context": client, "Cognito_Identity": '{"cognitoIdentityId": "i"}', "Aws_Tenant_Id": "t"}
    mine, other = [await guest.api.invoke({"kind": "client"}, **headers) for guest in (ours, theirs)]
    assert mine.json == other.json
    ours_frames = [(frame.kind, _normal(frame.text, ours.task)) for frame in ours.frames()]
    theirs_frames = [(frame.kind, _normal(frame.text, theirs.task)) for frame in theirs.frames()]
    assert len(ours_frames) > 8
    assert ours_frames == theirs_frames


@pytest.mark.parametrize(
    ("handler", "source"),
    [
        ("nodot", ""),
        ("sys.x", ""),
        ("absent.handler", ""),
        ("index.nope", "x = 1"),
        ("index.handler", "import json, absent"),
        ("index.handler", "def handler(:"),
        ("index.handler", "raise KeyError('at import')"),
        ("a/b.c.handler", ""),
    ],
)
async def test_failures_to_initialise_are_the_same(start_guest: Any, handler: str, source: str) -> None:
    argvs = _argvs(handler)
    ours, theirs = await _started(start_guest, argvs, {"index.py": source}, handler=handler)
    mine, other = await ours.api.answers.get(), await theirs.api.answers.get()
    assert (await ours.exited(), mine.path) == (await theirs.exited(), other.path)
    assert _normal(mine.body.decode(), ours.task) == _normal(other.body.decode(), theirs.task)
    error_type = "lambda-runtime-function-error-type"
    assert mine.headers[error_type] == other.headers[error_type]
    assert [_normal(text, ours.task) for text in ours.texts()] == [
        _normal(text, theirs.task) for text in theirs.texts()
    ]
