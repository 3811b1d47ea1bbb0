"""The Python guest as a process before a real Runtime API: results, context, environment."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest

RESULTS = """
import collections, decimal
Point = collections.namedtuple("Point", "x y")
def handler(event, context):
    kind = event["kind"]
    if kind == "echo":
        return event["value"]
    if kind == "none":
        return None
    if kind == "decimal":
        return {"d": [decimal.Decimal("1.10"), decimal.Decimal("NaN"), decimal.Decimal("1E+3")]}
    if kind == "namedtuple":
        return [{"p": Point(1, [Point(2, {3: "x"})])}]
    if kind == "bytes":
        return b"raw \\xff"
    if kind == "inner bytes":
        return {b"k": b"abc"}
    if kind == "set":
        return {1}
    if kind == "circle":
        value = {"a": []}
        value["a"].append(value)
        return value
    if kind == "surrogate":
        return "\\ud800"
"""


async def test_results_are_marshalled_as_on_aws(start_guest: Any, python_argv: list[str]) -> None:
    guest = await start_guest(python_argv, {"index.py": RESULTS})

    async def result(kind: str, value: object = None) -> str:
        answer = await guest.api.invoke({"kind": kind, "value": value})
        assert answer.path.endswith("/response")
        assert answer.headers["content-type"] == "application/json"
        return str(answer.body.decode())

    assert await result("echo", {"a": [1, 2.5, True, None, "x"]}) == '{"a": [1, 2.5, true, null, "x"]}'
    assert await result("none") == "null"
    assert await result("decimal") == '{"d": [1.10, NaN, 1E+3]}'
    assert await result("namedtuple") == '[{"p": {"x": 1, "y": [{"x": 2, "y": {"3": "x"}}]}}]'
    assert await result("inner bytes") == '{"k": "abc"}'
    minor = int(python_argv[0].rpartition(".")[2])
    assert await result("echo", "é😀") == ('"é😀"' if minor >= 12 else '"\\u00e9\\ud83d\\ude00"')
    large = "x" * 5_000_000
    assert await result("echo", large) == f'"{large}"'

    raw = await guest.api.invoke({"kind": "bytes"})
    assert (raw.body, raw.headers["content-type"]) == (b"raw \xff", "application/unknown")


async def test_results_that_cannot_be_marshalled(start_guest: Any, python_argv: list[str]) -> None:
    guest = await start_guest(python_argv, {"index.py": RESULTS})
    request_id = "00000000-0000-4000-8000-000000000001"
    answer = await guest.api.invoke({"kind": "set"})
    message = "Unable to marshal response: Object of type set is not JSON serializable"
    assert answer.path == f"/2018-06-01/runtime/invocation/{request_id}/error"
    assert answer.headers["lambda-runtime-function-error-type"] == "Runtime.MarshalError"
    assert answer.body.decode() == json.dumps(
        {"errorMessage": message, "errorType": "Runtime.MarshalError", "requestId": request_id, "stackTrace": []}
    )
    circle = await guest.api.invoke({"kind": "circle"})
    assert circle.json["errorMessage"] == "Unable to marshal response: Circular reference detected"
    if python_argv[0].endswith(("3.12", "3.13")):
        surrogate = await guest.api.invoke({"kind": "surrogate"})
        assert surrogate.json["errorType"] == "Runtime.MarshalError"
    assert guest.texts()[0] == f"[ERROR] Runtime.MarshalError: {message}\nTraceback (most recent call last):"


CONTEXT = """
import os
def handler(event, context):
    identity, client = context.identity, context.client_context
    remaining = context.get_remaining_time_in_millis()
    context.log("logged\\nas it is")
    return {
        "names": [context.function_name, context.function_version, context.invoked_function_arn,
                  context.memory_limit_in_mb, context.aws_request_id, context.log_group_name, context.log_stream_name],
        "remaining": [remaining, type(remaining).__name__],
        "identity": [identity.cognito_identity_id, identity.cognito_identity_pool_id],
        "client": client and [client.custom, client.env, client.client and client.client.app_title],
        "w3c": context.w3c(),
        "tenant": context.tenant_id,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
        "telemetry": "_LAMBDA_TELEMETRY_LOG_FD" in os.environ,
        "repr": repr(context),
    }
"""


async def test_context_has_all_members(start_guest: Any, python_argv: list[str]) -> None:
    guest = await start_guest(python_argv, {"pkg/deep/mod.py": CONTEXT}, "pkg/deep/mod.handler")
    deadline = str(int(time.time() * 1000) + 60_000)
    trace = {"traceparent": "00-1", "x": "y"}
    client = {"custom": {"k": "v"}, "env": {"e": 1}, "client": {"app_title": "é"}, "w3c": trace}
    identity = {"cognitoIdentityId": "i", "cognitoIdentityPoolId": "p"}
    full = await guest.api.invoke(
        {},
        Deadline_Ms=deadline,
        Client_Context=json.dumps(client, ensure_ascii=False),
        Cognito_Identity=json.dumps(identity),
        Aws_Tenant_Id="blue",
    )
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:fn"
    request_id = "00000000-0000-4000-8000-000000000001"
    names = ["fn", "$LATEST", arn, "128", request_id, "/aws/lambda/fn", "2026/11/23/[$LATEST]abc"]
    assert full.json["names"] == names
    assert 0 < full.json["remaining"][0] <= 60_000
    assert full.json["remaining"][1] == "int"
    assert full.json["identity"] == ["i", "p"]
    assert full.json["client"] == [{"k": "v"}, {"e": 1}, "é"]
    assert full.json["w3c"] == {"traceparent": "00-1"}
    assert full.json["tenant"] == "blue"
    assert full.json["trace"].startswith("Root=1-")
    assert full.json["telemetry"] is False
    assert f"aws_request_id={request_id}," in full.json["repr"]

    bare = await guest.api.invoke({}, Deadline_Ms="1", Trace_Id="")
    assert bare.json["remaining"][0] == 0
    assert bare.json["identity"] == [None, None]
    assert [bare.json[name] for name in ("client", "tenant", "trace", "w3c")] == [None, None, None, {}]
    assert [frame.text for frame in guest.frames()] == ["logged\nas it is"] * 2

    broken = await guest.api.invoke({}, Client_Context="{")
    assert broken.json["errorType"] == "Runtime.LambdaContextUnmarshalError"
    assert broken.json["errorMessage"].startswith("Unable to parse Client Context JSON: ")


async def test_events(start_guest: Any, python_argv: list[str]) -> None:
    code = "def handler(event, context):\n    return repr(event)[:40]"
    guest = await start_guest(python_argv, {"index.py": code})
    assert (await guest.api.invoke(b'"\xc3\xa9"')).json == "'é'"
    bad = await guest.api.invoke(b"{not json")
    assert bad.json["errorType"] == "Runtime.UnmarshalError"
    assert bad.json["errorMessage"].startswith("Unable to unmarshal input: Expecting property name")
    guest.api.chunked = True
    assert (await guest.api.invoke({"k": "v" * 100_000})).json == repr({"k": "v" * 100_000})[:40]
    guest.api.chunked = False
    guest.api.status = 413
    assert (await guest.api.invoke("refused")).json == "'refused'"
    guest.api.status = 202
    assert (await guest.api.invoke("next")).json == "'next'"
    refusal = "[ERROR] LAMBDA_RUNTIME Failed to post handler success response. Http response code: 413.\n"
    assert refusal in guest.texts()
    guest.api.closing = True
    assert (await guest.api.invoke("closed after this")).json == "'closed after this'"
    guest.api.closing = False
    assert (await guest.api.invoke("reconnected")).json == "'reconnected'"


SURROUNDINGS = """
import builtins, os, subprocess, sys
def handler(event, context):
    here = os.path.dirname(__file__)
    return {
        "path": [path.replace(here, "TASK") for path in sys.path],
        "builtins": [hasattr(builtins, name) for name in ("exit", "quit", "license", "help")],
        "main": __name__,
        "child": subprocess.check_output([sys.executable, "-c", "print('child')"], text=True),
        "encoding": open(os.devnull).encoding.lower(),
        "customized": getattr(builtins, "customized", False),
        "pth": "/from-pth" in sys.path,
    }
"""


async def test_surroundings_are_those_of_a_normal_interpreter(start_guest: Any, python_argv: list[str]) -> None:
    files = {"index.py": SURROUNDINGS, "sitecustomize.py": "import builtins; builtins.customized = True"}
    guest = await start_guest(python_argv, files, env={"LANG": "en_US.UTF-8"})
    seen = (await guest.api.invoke({})).json
    version = "python" + python_argv[0].rpartition("python")[2]
    layers = [f"/opt/python/lib/{version}/site-packages", "/opt/python"]
    assert seen["path"][:3] == ["TASK", *layers]
    runtime = os.path.dirname(python_argv[-1])
    prefix = os.path.dirname(os.path.dirname(python_argv[0]))
    packages = f"{prefix}/lib/{version}/site-packages"
    rest = [path for path in seen["path"][3:] if path in (runtime, packages)]
    first_is_runtime = int(version.rpartition(".")[2]) < 11
    assert rest == ([runtime, packages] if first_is_runtime else [packages, runtime])
    assert seen["builtins"] == [True] * 4
    assert seen["main"] == "index"
    assert seen["child"] == "child\n"
    assert seen["encoding"] in ("utf-8", "utf8")
    assert seen["customized"] is True


async def test_own_pythonpath_replaces_the_layers(start_guest: Any, python_argv: list[str], tmp_path: Any) -> None:
    files = {"index.py": SURROUNDINGS, "more.pth": "/\n"}
    guest = await start_guest(python_argv, files, env={"PYTHONPATH": str(tmp_path)})
    path = (await guest.api.invoke({})).json["path"]
    assert path[0] == "TASK"
    assert str(tmp_path) in path
    assert "/" in path  # from the .pth file
    assert not [entry for entry in path if entry.startswith("/opt")]


@pytest.mark.parametrize(("code", "status"), [("sys.exit(3)", 3), ("sys.exit(0)", 0), ("os._exit(7)", 7)])
async def test_a_handler_that_exits_ends_the_process(
    start_guest: Any, python_argv: list[str], code: str, status: int
) -> None:
    source = f"import os, sys\ndef handler(event, context):\n    print('bye', end='', flush=True)\n    {code}"
    guest = await start_guest(python_argv, {"index.py": source})
    guest.api.push({})
    assert await guest.exited() == status
    assert guest.texts() == ["bye"]
    assert guest.api.answers.empty()
