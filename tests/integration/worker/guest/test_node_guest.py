"""The Node.js guest as a process before a real Runtime API: results, context, records."""

from __future__ import annotations

import json
import re
import subprocess
import time
from typing import Any

import pytest


def modern(node_argv: list[str]) -> bool:
    """From Node.js 24 on AWS's runtime has no callbacks."""
    version = subprocess.run([node_argv[0], "--version"], capture_output=True, text=True, check=True).stdout
    return int(version[1:].split(".")[0]) >= 24


ASYNC = """
exports.handler = async (event, context) => {
  switch (event.kind) {
    case "echo": return event.value;
    case "undefined": return undefined;
    case "function": return () => 1;
    case "big": return 10n;
    case "circle": { const a = {}; a.a = a; return a; }
    case "tick": await new Promise((resolve) => setTimeout(resolve, 5)); return "ticked";
    case "date": return { at: new Date(0), u: undefined };
  }
};
"""


async def test_results(start_guest: Any, node_argv: list[str]) -> None:
    guest = await start_guest(node_argv, {"index.js": ASYNC})

    async def result(kind: str, value: object = None) -> str:
        answer = await guest.api.invoke({"kind": kind, "value": value})
        assert answer.path.endswith("/response")
        return str(answer.body.decode())

    assert await result("echo", {"é": [1, None, "😀"]}) == '{"é":[1,null,"😀"]}'
    assert await result("undefined") == "null"
    assert await result("function") == "null"
    assert await result("tick") == '"ticked"'
    assert await result("date") == '{"at":"1970-01-01T00:00:00.000Z"}'
    large = "é" * 2_000_000
    assert await result("echo", large) == f'"{large}"'
    guest.api.chunked = True
    assert await result("echo", "x" * 200_000) == f'"{"x" * 200_000}"'
    guest.api.chunked = False
    for kind in ("big", "circle"):
        answer = await guest.api.invoke({"kind": kind})
        assert answer.path.endswith("/error")
        assert answer.json["errorType"] == ("Runtime.JSONStringifyError" if modern(node_argv) else "Error")
        assert answer.json["errorMessage"] == "Unable to stringify response body"
    guest.api.closing = True
    assert await result("echo", "closed after this") == '"closed after this"'
    guest.api.closing = False
    assert await result("echo", "reconnected") == '"reconnected"'
    guest.api.status = 413
    assert await result("echo", "refused") == '"refused"'
    guest.api.status = 202
    assert await result("echo", "next") == '"next"'
    assert "Http response code: 413" in guest.raw_output()


CONTEXT = """
exports.a = { handler: async (event, context) => ({
  ...context,
  remaining: context.getRemainingTimeInMillis(),
  trace: process.env._X_AMZN_TRACE_ID,
  telemetry: process.env._LAMBDA_TELEMETRY_LOG_FD,
  cwd: process.cwd() === process.env.LAMBDA_TASK_ROOT,
}) };
"""


async def test_context(start_guest: Any, node_argv: list[str]) -> None:
    guest = await start_guest(node_argv, {"lib/mod.js": CONTEXT}, "lib/mod.a.handler")
    deadline = str(int(time.time() * 1000) + 60_000)
    answer = await guest.api.invoke(
        {},
        Deadline_Ms=deadline,
        Client_Context='{"custom": {"k": "é"}}',
        Cognito_Identity='{"cognitoIdentityId": "i"}',
        Aws_Tenant_Id="blue",
    )
    seen = answer.json
    remaining = seen.pop("remaining")
    assert 0 < remaining <= 60_000
    trace = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0"
    expected = {
        "functionVersion": "$LATEST",
        "functionName": "fn",
        "memoryLimitInMB": "128",
        "logGroupName": "/aws/lambda/fn",
        "logStreamName": "2026/11/23/[$LATEST]abc",
        "clientContext": {"custom": {"k": "é"}},
        "identity": {"cognitoIdentityId": "i"},
        "invokedFunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:fn",
        "awsRequestId": "00000000-0000-4000-8000-000000000001",
        "tenantId": "blue",
        "trace": trace,
        "cwd": True,
    }
    expected |= {"xRayTraceId": trace} if modern(node_argv) else {"callbackWaitsForEmptyEventLoop": True}
    assert seen == expected
    bare = (await guest.api.invoke({}, Trace_Id="")).json
    assert not {"clientContext", "identity", "tenantId", "trace"} & set(bare)


CALLBACKS = """
exports.handler = (event, context, callback) => {
  switch (event) {
    case "value": return callback(null, { ok: true });
    case "later": setTimeout(() => callback(null, "later"), 5); return;
    case "error": return callback(new RangeError("told"));
    case "text": return callback("only text");
    case "throw": throw new TypeError("thrown");
    case "twice": callback(null, "first"); callback(null, "second"); return;
    case "waits": setTimeout(() => console.log("before the answer"), 30); return callback(null, "waited");
    case "does not": context.callbackWaitsForEmptyEventLoop = false; setTimeout(() => console.log("after"), 60);
      return callback(null, "at once");
    case "nothing": return;
    case "succeed": return context.succeed("succeeded");
    case "fail": return context.fail();
    case "done": return context.done(null, "done");
    case "done error": return context.done(new Error("done with"));
    case "promise": return Promise.resolve("promised");
    case "rejection": return Promise.reject("text");
  }
};
"""


async def test_callbacks(start_guest: Any, node_argv: list[str]) -> None:
    guest = await start_guest(node_argv, {"index.js": CALLBACKS})
    if modern(node_argv):
        answer = await guest.api.answers.get()
        assert answer.json["errorType"] == "Runtime.CallbackHandlerDeprecated"
        assert answer.json["errorMessage"].startswith("ERROR: AWS Lambda has removed support for callback-based")
        assert "\t-\tERROR\tInit Error \t{" in guest.texts()[0]
        assert await guest.exited() == 1
        return

    async def outcome(event: str) -> object:
        answer = await guest.api.invoke(event)
        if answer.path.endswith("/response"):
            return answer.json
        return (answer.json["errorType"], answer.json["errorMessage"])

    assert await outcome("value") == {"ok": True}
    assert await outcome("later") == "later"
    assert await outcome("error") == ("RangeError", "told")
    assert await outcome("text") == ("string", "only text")
    assert await outcome("throw") == ("TypeError", "thrown")
    assert await outcome("twice") == "first"
    assert await outcome("waits") == "waited"
    assert any("before the answer" in text for text in guest.texts())
    assert await outcome("does not") == "at once"
    assert not any("after\n" in text for text in guest.texts())
    assert await outcome("nothing") is None
    assert any("after\n" in text for text in guest.texts())
    assert await outcome("succeed") == "succeeded"
    assert await outcome("fail") == ("string", "handled")
    assert await outcome("done") == "done"
    assert await outcome("done error") == ("Error", "done with")
    assert await outcome("promise") == "promised"
    assert await outcome("rejection") == ("string", "text")


RECORDS = """
console.log("init");
exports.handler = async (event) => {
  console.log("one\\ntwo é");
  console.info("%s and %j", "text", { a: 1 });
  console.warn({ nested: { deep: [1] } });
  console.error(new Error("shown"));
  console.debug(undefined);
  console.trace("traced");
  process.stdout.write("raw\\nout\\n");
  return 1;
};
"""


async def test_records(start_guest: Any, node_argv: list[str]) -> None:
    guest = await start_guest(node_argv, {"index.js": RECORDS})
    before = time.time()
    await guest.api.invoke({})
    frames = guest.frames()
    levels = ["INFO", "INFO", "INFO", "WARN", "ERROR", "DEBUG", "TRACE"]
    bits = {"TRACE": 4, "DEBUG": 8, "INFO": 12, "WARN": 16, "ERROR": 20}
    assert [frame.kind for frame in frames] == [0xA55A0003 | bits[level] for level in levels]
    assert all(before - 20 < frame.micros / 1e6 < time.time() + 1 for frame in frames)
    parts = [frame.text.split("\t", 3) for frame in frames]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", part[0]) for part in parts)
    no_request = "-" if modern(node_argv) else "undefined"
    assert [part[1] for part in parts] == [no_request] + ["00000000-0000-4000-8000-000000000001"] * 6
    assert [part[2] for part in parts] == levels
    texts = [part[3] for part in parts]
    assert texts[0] == "init\n"
    assert texts[1] == "one\ntwo é\n"
    assert texts[2] == 'text and {"a":1}\n'
    assert texts[3] == "{ nested: { deep: [ 1 ] } }\n"
    assert texts[4].startswith("Error: shown\n    at ")
    assert texts[5:] == ["undefined\n", "traced\n"]
    assert guest.raw_output() == "raw\nout\n"


async def test_json_records_and_plain_output(start_guest: Any, node_argv: list[str]) -> None:
    code = """
exports.handler = async () => {
  console.log("hidden"); console.warn("plain"); console.warn({ a: 1 }); console.error("with", new TypeError("bad"));
  throw new RangeError("thrown");
};
"""
    env = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "WARN"}
    guest = await start_guest(node_argv, {"index.js": code}, env=env)
    await guest.api.invoke({}, Aws_Tenant_Id="blue")
    frames = guest.frames()
    assert [hex(frame.kind) for frame in frames] == ["0xa55a0012"] * 2 + ["0xa55a0016"] * 2
    plain, obj, error, thrown = [json.loads(frame.text) for frame in frames]
    assert plain.pop("timestamp").endswith("Z")
    request_id = "00000000-0000-4000-8000-000000000001"
    assert plain == {"level": "WARN", "requestId": request_id, "tenantId": "blue", "message": "plain"}
    assert obj["message"] == {"a": 1}
    assert (error["errorType"], error["errorMessage"]) == ("TypeError", "bad")
    assert thrown["message"]["errorType"] == "RangeError"

    bare = await start_guest(node_argv, {"index.js": RECORDS}, framed=False)
    await bare.api.invoke({})
    assert "\tINFO\tone\rtwo é\n" in bare.raw_output()


@pytest.mark.parametrize(
    ("files", "handler"),
    [
        ({"index.mjs": "export const handler = async () => 'here'"}, "index.handler"),
        ({"index.cjs": "exports.handler = async () => 'here'"}, "index.handler"),
        (
            {"package.json": '{"type": "module"}', "a/b.js": "export const x = {h: async () => 'here'}"},
            "a/b.x.h",
        ),
        (
            {"index.mjs": "const v = await Promise.resolve('here'); export const handler = async () => v"},
            "index.handler",
        ),
        ({"index/index.js": "exports.handler = async () => 'here'", "index.js": "exports.handler = 1"}, None),
        ({"node_modules/pkg/index.js": "exports.handler = async () => 'here'"}, "pkg.handler"),
        (
            {
                "index.mjs": "import {v} from 'dep'; export const handler = async () => v",
                "node_modules/dep/package.json": '{"type": "module", "exports": "./d.js"}',
                "node_modules/dep/d.js": "export const v = 'here'",
            },
            "index.handler",
        ),
        ({"index.js": "module.exports.nested = {handler: async () => 'here'}"}, "index.nested.handler"),
    ],
    ids=["mjs", "cjs", "type module", "top-level await", "directory", "package", "dependency", "nested"],
)
async def test_ways_to_name_a_handler(
    start_guest: Any, node_argv: list[str], files: dict[str, str], handler: str | None
) -> None:
    if handler is None:
        files, handler = {"index/index.js": files["index/index.js"]}, "index/index.handler"
    guest = await start_guest(node_argv, files, handler)
    assert (await guest.api.invoke({})).json == "here"
