"""What the Python guest tells when a handler or its initialisation fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

RAISING = """
import json

class Custom(Exception):
    pass

def inner(value):
    raise Custom("bad " + value)

def handler(event, context):
    if event == "stdlib":
        return json.loads("{")
    if event == "empty":
        raise ValueError
    inner(event)
"""


async def test_an_exception_becomes_payload_and_record(start_guest: Any, python_argv: list[str]) -> None:
    guest = await start_guest(python_argv, {"index.py": RAISING})
    answer = await guest.api.invoke("é")
    path = f"{guest.task}/index.py"
    frames = [
        f'  File "{path}", line 15, in handler\n    inner(event)\n',
        f'  File "{path}", line 8, in inner\n    raise Custom("bad " + value)\n',
    ]
    request_id = "00000000-0000-4000-8000-000000000001"
    expected = {"errorMessage": "bad é", "errorType": "Custom", "requestId": request_id, "stackTrace": frames}
    assert answer.json == expected
    assert list(answer.json) == list(expected)
    assert answer.headers["lambda-runtime-function-error-type"] == "Custom"
    cause = json.loads(answer.headers["lambda-runtime-function-xray-error-cause"])
    assert cause["exceptions"][0]["stack"][1] == {"label": "inner", "path": path, "line": 8}

    stdlib = await guest.api.invoke("stdlib")
    assert stdlib.json["errorType"] == "JSONDecodeError"
    assert stdlib.json["stackTrace"][0].startswith(f'  File "{path}", line 12, in handler')
    assert len(stdlib.json["stackTrace"]) == 4
    empty = await guest.api.invoke("empty")
    assert (empty.json["errorType"], empty.json["errorMessage"]) == ("ValueError", "")

    texts = guest.texts()
    nbsp = "\u00a0"
    assert texts[0] == (
        "[ERROR] Custom: bad é\nTraceback (most recent call last):\n"
        f'{nbsp * 2}File "{path}", line 15, in handler\n{nbsp * 4}inner(event)\n'
        f'{nbsp * 2}File "{path}", line 8, in inner\n{nbsp * 4}raise Custom("bad " + value)'
    )
    assert texts[2].startswith("[ERROR] ValueError\nTraceback")
    assert {frame.kind for frame in guest.frames()} == {0xA55A0017}


INIT_FAILURES = [
    (
        "nodot",
        {},
        "Runtime.MalformedHandlerName",
        "Bad handler 'nodot': not enough values to unpack (expected 2, got 1)",
    ),
    ("sys.exit", {}, "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"),
    ("gone.handler", {}, "Runtime.ImportModuleError", "Unable to import module 'gone': No module named 'gone'"),
    (
        "index.handler",
        {"index.py": "import absent_package"},
        "Runtime.ImportModuleError",
        "Unable to import module 'index': No module named 'absent_package'",
    ),
    ("index.nope", {"index.py": ""}, "Runtime.HandlerNotFound", "Handler 'nope' missing on module 'index'"),
]


@pytest.mark.parametrize(("handler", "files", "kind", "message"), INIT_FAILURES, ids=[row[2] for row in INIT_FAILURES])
async def test_failures_to_find_the_handler(
    start_guest: Any, python_argv: list[str], handler: str, files: dict[str, str], kind: str, message: str
) -> None:
    guest = await start_guest(python_argv, files, handler)
    answer = await guest.api.answers.get()
    assert await guest.exited() == 1
    assert answer.path == "/2018-06-01/runtime/init/error"
    assert answer.headers["lambda-runtime-function-error-type"] == kind
    assert answer.json == {"errorMessage": message, "errorType": kind, "requestId": "", "stackTrace": []}
    warning, error = guest.texts()
    assert "\t\tLAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the function code." in warning
    assert error == f"[ERROR] {kind}: {message}\nTraceback (most recent call last):"
    assert guest.raw_output() == ""


async def test_errors_of_the_users_module(start_guest: Any, python_argv: list[str]) -> None:
    guest = await start_guest(python_argv, {"index.py": "print('loading')\n1 / 0\n"})
    answer = await guest.api.answers.get()
    assert await guest.exited() == 1
    assert answer.json["errorType"] == "ZeroDivisionError"
    assert answer.json["errorMessage"] == "division by zero"
    trace = answer.json["stackTrace"]
    assert "importlib/__init__.py" in trace[0]
    assert trace[-1] == f'  File "{guest.task}/index.py", line 2, in <module>\n    1 / 0\n'
    assert guest.texts()[0] == "loading\n"

    syntax = await start_guest(python_argv, {"index.py": "def handler(:\n  pass\n"})
    answer = await syntax.api.answers.get()
    assert answer.json["errorType"] == "Runtime.UserCodeSyntaxError"
    assert answer.json["errorMessage"].startswith("Syntax error in module 'index': ")
    assert answer.json["errorMessage"].endswith("(index.py, line 1)")
    assert answer.json["stackTrace"] == [f'  File "{syntax.task}/index.py" Line 1\n    def handler(:\n']
    assert await syntax.exited() == 1

    exiting = await start_guest(python_argv, {"index.py": "import sys\nsys.exit(9)\n"})
    assert await exiting.exited() == 9
    assert exiting.api.answers.empty()
