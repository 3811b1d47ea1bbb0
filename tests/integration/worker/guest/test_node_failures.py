"""What the Node.js guest tells when a handler or its initialisation fails."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest


def modern(node_argv: list[str]) -> bool:
    version = subprocess.run([node_argv[0], "--version"], capture_output=True, text=True, check=True).stdout
    return int(version[1:].split(".")[0]) >= 24


FAILING = """
class Custom extends Error {
  constructor(message) { super(message); this.name = "Custom"; this.code = 7; this.more = { a: 1 }; }
}
exports.handler = async (event) => {
  if (event === "custom") throw new Custom("bad é");
  if (event === "text") throw "text";
  if (event === "null") throw null;
  if (event === "delete") throw new Error("a\\x7fb");
  return "fine";
};
"""


async def test_errors_become_payload_and_record(start_guest: Any, node_argv: list[str]) -> None:
    guest = await start_guest(node_argv, {"index.js": FAILING})
    answer = await guest.api.invoke("custom")
    assert answer.path.endswith("/error")
    assert answer.headers["lambda-runtime-function-error-type"] == "Custom"
    assert list(answer.json) == ["errorType", "errorMessage", "trace"]
    assert (answer.json["errorType"], answer.json["errorMessage"]) == ("Custom", "bad é")
    trace = answer.json["trace"]
    assert trace[0] == "Error: bad é" or trace[0] == "Custom: bad é"
    assert f"({guest.task}/index.js:6:33)" in trace[1]
    cause = json.loads(answer.headers["lambda-runtime-function-xray-error-cause"])
    assert cause["exceptions"][0]["stack"][0]["line"] == 6

    record = guest.texts()[0]
    head, _, rest = record.partition("\t{")
    assert head.endswith("\t00000000-0000-4000-8000-000000000001\tERROR\tInvoke Error ")
    logged = json.loads("{" + rest)
    assert logged["stack"] == trace
    assert {**logged, "stack": None} == {
        "errorType": "Custom",
        "errorMessage": "bad é",
        "code": 7,
        "name": "Custom",
        "more": {"a": 1},
        "stack": None,
    }
    text = await guest.api.invoke("text")
    assert text.json == {"errorType": "string", "errorMessage": "text", "trace": []}
    delete = await guest.api.invoke("delete")
    assert delete.json["errorMessage"] == "a%7Fb"
    assert (await guest.api.invoke("null")).path.endswith("/error")
    assert (await guest.api.invoke("fine")).json == "fine"
    bad_event = await guest.api.invoke(b"{not json")
    assert bad_event.json["errorType"] == "SyntaxError"


@pytest.mark.parametrize(
    ("code", "title", "kind", "status"),
    [
        ("setTimeout(() => { throw new Error('loose') }, 1)", "Uncaught Exception", "Error", 129),
        (
            "Promise.reject(new Error('loose'))",
            "Unhandled Promise Rejection",
            "Runtime.UnhandledPromiseRejection",
            128,
        ),
    ],
    ids=["exception", "rejection"],
)
async def test_loose_errors_end_the_process(
    start_guest: Any, node_argv: list[str], code: str, title: str, kind: str, status: int
) -> None:
    source = f"exports.handler = async () => {{ {code}; await new Promise((r) => setTimeout(r, 10000)); }};"
    guest = await start_guest(node_argv, {"index.js": source})
    if modern(node_argv):
        guest.api.push({})
        assert await guest.exited() == 1
        assert "Error: loose" in guest.raw_output()
        assert guest.api.answers.empty()
        return
    answer = await guest.api.invoke({})
    assert await guest.exited() == status
    assert answer.path.endswith("/error")
    assert answer.json["errorType"] == kind
    assert answer.json["errorMessage"] == ("loose" if kind == "Error" else "Error: loose")
    record = guest.texts()[0]
    assert f'\tERROR\t{title} \t{{"errorType":"{kind}"' in record


async def test_a_promise_that_never_settles(start_guest: Any, node_argv: list[str]) -> None:
    guest = await start_guest(node_argv, {"index.js": "exports.handler = () => new Promise(() => {});"})
    if modern(node_argv):
        guest.api.push({})
        assert await guest.exited() == 0
        assert guest.api.answers.empty()
    else:
        assert (await guest.api.invoke({})).json is None
        assert (await guest.api.invoke({})).json is None


async def test_a_handler_that_exits(start_guest: Any, node_argv: list[str]) -> None:
    guest = await start_guest(node_argv, {"index.js": "exports.handler = async () => process.exit(7);"})
    guest.api.push({})
    assert await guest.exited() == 7
    assert guest.api.answers.empty()


INIT_FAILURES = [
    (
        "absent.handler",
        {},
        "Runtime.ImportModuleError",
        "Error: Cannot find module 'absent'\nRequire stack:\n- RUNTIME/index.mjs",
    ),
    (
        "index.handler",
        {"index.js": "require('absent-package')"},
        "Runtime.ImportModuleError",
        "Error: Cannot find module 'absent-package'\nRequire stack:\n- TASK/index.js",
    ),
    ("index.nope", {"index.js": ""}, "Runtime.HandlerNotFound", "index.nope is undefined or not exported"),
    ("index.x", {"index.js": "exports.x = 1"}, "Runtime.HandlerNotFound", "index.x is not a function"),
    ("nodot", {}, "Runtime.MalformedHandlerName", "Bad handler"),
    ("../x.handler", {}, "Runtime.MalformedHandlerName", "'../x.handler' is not a valid handler name. "),
    ("index.handler", {"index.js": "exports.handler = {"}, "Runtime.UserCodeSyntaxError", "SyntaxError: "),
    ("index.handler", {"index.mjs": "export const handler = {"}, "Runtime.UserCodeSyntaxError", "SyntaxError: "),
    ("index.handler", {"index.js": "throw new RangeError('at load')"}, "RangeError", "at load"),
    ("index.handler", {"index.mjs": "await Promise.reject(new RangeError('at load'))"}, "RangeError", "at load"),
    (
        "index.handler",
        {"index.js": "exports.handler = awslambda.streamifyResponse(async () => {})"},
        "Runtime.MalformedStreamingHandler",
        "Handlers wrapped in awslambda.streamifyResponse are not supported yet by this runtime.",
    ),
]


@pytest.mark.parametrize(("handler", "files", "kind", "message"), INIT_FAILURES)
async def test_failures_to_initialise(
    start_guest: Any, node_argv: list[str], handler: str, files: dict[str, str], kind: str, message: str
) -> None:
    guest = await start_guest(node_argv, files, handler)
    answer = await guest.api.answers.get()
    assert await guest.exited() == (1 if modern(node_argv) else 129)
    assert answer.path == "/2018-06-01/runtime/init/error"
    assert answer.headers["lambda-runtime-function-error-type"] == kind
    assert list(answer.json) == ["errorType", "errorMessage", "trace"]
    assert answer.json["errorType"] == kind
    runtime = node_argv[-1].removesuffix("/index.cjs")
    assert answer.json["errorMessage"].startswith(message.replace("RUNTIME", runtime).replace("TASK", str(guest.task)))
    title = "\t-\tERROR\tInit Error \t{" if modern(node_argv) else "\tundefined\tERROR\tUncaught Exception \t{"
    assert f'{title}"errorType":"{kind}"' in guest.texts()[0]
