"""Invocations in real sandboxes: what functions see, how they fail, what is logged."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
REPORT = (
    rf"REPORT RequestId: {UUID}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\t"
    r"Memory Size: 256 MB\tMax Memory Used: \d+ MB\t"
)


@pytest.fixture
def deploy(server: RunningServer, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Deploys Python source under the test's name; deletes it afterwards."""

    def deploy(source: str, **settings: Any) -> str:
        name = re.sub(r"[^a-zA-Z0-9-_]", "-", request.node.name)[:64]
        server.deploy(name, {"app.py": source}, **({"Timeout": 30} | settings))
        request.addfinalizer(lambda: server.client("lambda").delete_function(FunctionName=name))
        return name

    return deploy


def messages(server: RunningServer, name: str) -> list[str]:
    pages = server.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
    return [event["message"] for page in pages for event in page["events"]]


def test_result_log_and_report(server: RunningServer, deploy: Callable[..., str]) -> None:
    name = deploy("def handler(event, context):\n    print('two\\nlines')\n    return {'got': event}")
    cold = server.invoke(name, {"a": [1, None, "é"]})
    assert (cold.payload, cold.function_error) == ({"got": {"a": [1, None, "é"]}}, None)
    assert re.fullmatch(
        rf"START RequestId: {cold.request_id} Version: \$LATEST\ntwo\nlines\nEND RequestId: {cold.request_id}\n"
        rf"{REPORT}Init Duration: \d+\.\d\d ms\t\n",
        cold.log,
    )
    warm = server.invoke(name)
    assert "Init Duration" not in warm.log
    logged = messages(server, name)
    assert re.fullmatch(r"INIT_START Runtime Version: python:3\.11\.v\d+\tRuntime Version ARN: "
                        r"arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}\n", logged[0])  # fmt: skip
    assert logged[2] == "two\nlines\n"  # one event
    assert len(logged) == 1 + 2 * 4


def test_the_log_stream_is_named_after_day_version_and_environment(
    server: RunningServer, deploy: Callable[..., str]
) -> None:
    name = deploy("def handler(event, context): return [context.log_group_name, context.log_stream_name]")
    group, stream = server.invoke(name).payload
    assert group == f"/aws/lambda/{name}"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)
    [described] = server.client("logs").describe_log_streams(logGroupName=group)["logStreams"]
    assert described["logStreamName"] == stream


def test_the_environment_is_lambdas_and_nothing_of_the_hosts(
    make_server: Callable[..., RunningServer],
) -> None:
    server = make_server(HOST_SECRET="do not leak")
    server.deploy(
        "env",
        {"app.py": "import os\ndef handler(e, c): return dict(os.environ)"},
        Environment={"Variables": {"MINE": "yes", "PATH": "/opt/mine"}},
        MemorySize=512,
    )
    variables = server.invoke("env").payload
    assert "do not leak" not in json.dumps(variables)
    variables.pop("LC_CTYPE", None)  # Python's own, where the host has no locale en_US.UTF-8
    assert {name for name in variables if not name.startswith(("AWS_", "_"))} == {
        "LANG", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "LD_LIBRARY_PATH", "MINE", "PATH", "PWD", "PYTHONPATH",
        "SHLVL", "TZ",
    }  # fmt: skip
    expected = {
        "_HANDLER": "app.handler",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
        "AWS_LAMBDA_FUNCTION_NAME": "env",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/env",
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "PWD": "/var/task",
        "TZ": ":UTC",
        "LANG": "en_US.UTF-8",
        "MINE": "yes",
        "PATH": "/opt/mine",
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert variables["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert variables["_X_AMZN_TRACE_ID"].startswith("Root=1-")


def test_context_members(server: RunningServer, deploy: Callable[..., str]) -> None:
    name = deploy(
        "def handler(event, context):\n"
        "    return dict(name=context.function_name, version=context.function_version,"
        " arn=context.invoked_function_arn, memory=context.memory_limit_in_mb,"
        " id=context.aws_request_id, left=context.get_remaining_time_in_millis(),"
        " client=context.client_context and context.client_context.custom)",
        Timeout=7,
    )
    context = "eyJjdXN0b20iOiB7ImsiOiAidiJ9fQ=="  # {"custom": {"k": "v"}}
    invoked = server.invoke(name, ClientContext=context, Qualifier="$LATEST")
    payload = invoked.payload
    assert payload.pop("left") in range(5000, 7001)
    assert payload == {
        "name": name,
        "version": "$LATEST",
        "arn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}:$LATEST",
        "memory": "256",
        "id": invoked.request_id,
        "client": {"k": "v"},
    }
    assert server.invoke(name).payload["arn"] == f"arn:aws:lambda:us-east-1:000000000000:function:{name}"


def test_an_exception_is_an_unhandled_error_and_the_environment_lives_on(
    server: RunningServer, deploy: Callable[..., str]
) -> None:
    name = deploy("count = 0\ndef handler(event, context):\n    global count\n    count += 1\n    if event:\n"
                  "        raise ValueError('no')\n    return count")  # fmt: skip
    failed = server.invoke(name, True)
    assert failed.function_error == "Unhandled"
    assert failed.payload == {
        "errorMessage": "no",
        "errorType": "ValueError",
        "requestId": failed.request_id,
        "stackTrace": ["  File \"/var/task/app.py\", line 6, in handler\n    raise ValueError('no')\n"],
    }
    assert "[ERROR] ValueError: no\nTraceback (most recent call last):\n" in failed.log
    assert server.invoke(name, False).payload == 2


@pytest.mark.parametrize(
    ("source", "settings", "error", "in_log"),
    [
        (
            "import nothere",
            {},
            ("Runtime.ImportModuleError", "Unable to import module 'app': No module named 'nothere'"),
            r"Status: error\tError Type: Runtime.ImportModuleError\n",
        ),
        (
            "def other(e, c): pass",
            {},
            ("Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
            r"Status: error\tError Type: Runtime.HandlerNotFound\n",
        ),
        (
            "def handler(e, c) return 1",
            {},
            ("Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
            r"Status: error",
        ),
        (
            "def handler(e, c): return object()",
            {},
            ("Runtime.MarshalError", "Unable to marshal response: Object of type object is not JSON serializable"),
            "REPORT",
        ),
        (
            "import sys\ndef handler(e, c): sys.exit(3)",
            {},
            ("Runtime.ExitError", "Error: Runtime exited with error: exit status 3"),
            r"Status: error\tError Type: Runtime.ExitError\n",
        ),
        (
            "import os\ndef handler(e, c): os._exit(0)",
            {},
            ("Runtime.ExitError", "Error: Runtime exited without providing a reason"),
            r"Runtime.ExitError\n",
        ),
        (
            "import os\ndef handler(e, c): os.kill(os.getpid(), 11)",
            {},
            ("Runtime.ExitError", "Error: Runtime exited with error: signal: segmentation fault"),
            r"Error Type: Runtime.ExitError",
        ),
        (
            "import os\ndef handler(e, c): os.abort()",
            {},
            ("Runtime.ExitError", "Error: Runtime exited with error: signal: aborted"),
            r"Error Type: Runtime.ExitError",
        ),
        (
            "def handler(e, c): return len(bytearray(600_000_000))",
            {},
            ("Runtime.OutOfMemory", "Error: Runtime exited with error: signal: killed"),
            r"Max Memory Used: 256 MB.*Error Type: Runtime.OutOfMemory",
        ),
        (
            "import time\ndef handler(e, c): time.sleep(30)",
            {"Timeout": 1},
            ("Sandbox.Timedout", "Error: Task timed out after 1.00 seconds"),
            r"Task timed out after 1.00 seconds\n\nEND.*Duration: 1000.00 ms.*Status: timeout\n",
        ),
        (
            "def handler(e, c): return 'x' * 6_291_555",
            {},
            (
                "Function.ResponseSizeTooLarge",
                "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
            ),
            "REPORT",
        ),
    ],
    ids=["import", "handler", "syntax", "marshal", "exit", "exit-0", "segfault", "abort", "memory", "timeout", "size"],
)
def test_failures(
    server: RunningServer,
    deploy: Callable[..., str],
    source: str,
    settings: dict[str, Any],
    error: tuple[str, str],
    in_log: str,
) -> None:
    name = deploy(source, **settings)
    for _ in range(2):  # the second time as the first: nothing is left in a bad state
        invoked = server.invoke(name)
        assert invoked.function_error == "Unhandled"
        assert invoked.payload["errorType"] == error[0]
        assert error[1] in invoked.payload["errorMessage"]
        assert re.search(in_log, invoked.log, re.DOTALL), invoked.log
        assert re.search(rf"END RequestId: {invoked.request_id}\nREPORT RequestId: {invoked.request_id}\t", invoked.log)


def test_an_init_that_fails_once_is_tried_again_within_the_invocation(
    server: RunningServer, deploy: Callable[..., str]
) -> None:
    # /tmp is new for each sandbox, so the second try is told apart by its place in the log.
    name = deploy("raise RuntimeError('always')\ndef handler(e, c): pass")
    invoked = server.invoke(name)
    assert invoked.payload["errorType"] == "RuntimeError"
    reports = [message for message in messages(server, name) if message.startswith("INIT_REPORT")]
    assert [re.sub(r"[\d.]+ ms", "N ms", report) for report in reports] == [
        "INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: error\tError Type: Runtime.Unknown\n".replace(
            "Runtime.Unknown", reports[0].rsplit(" ", 1)[1].strip()
        ),
        "INIT_REPORT Init Duration: N ms\tPhase: invoke\tStatus: error\tError Type: Runtime.Unknown\n".replace(
            "Runtime.Unknown", reports[0].rsplit(" ", 1)[1].strip()
        ),
    ]


@pytest.mark.slow
def test_an_init_over_ten_seconds_is_ended_and_tried_again(server: RunningServer, deploy: Callable[..., str]) -> None:
    name = deploy("import time\ntime.sleep(11)\ndef handler(e, c): return 'ready'", Timeout=20)
    invoked = server.invoke(name)
    assert (invoked.payload, invoked.function_error) == ("ready", None)
    logged = messages(server, name)
    assert re.fullmatch(r"INIT_REPORT Init Duration: 10\d\d\d\.\d\d ms\tPhase: init\tStatus: timeout\n", logged[1])


def test_output_of_child_processes_and_descriptors_is_logged_in_order(
    server: RunningServer, deploy: Callable[..., str]
) -> None:
    name = deploy("import os, subprocess\ndef handler(e, c):\n    subprocess.run(['/bin/echo', 'child'])\n"
                  "    os.write(1, b'raw\\n')\n    os.write(2, b'no line feed')")  # fmt: skip
    log = server.invoke(name).log
    assert re.search(r"START [^\n]*\nchild\nraw\nno line feed\nEND ", log), log


def test_two_hundred_at_once(server: RunningServer, deploy: Callable[..., str]) -> None:
    name = deploy("import time\ndef handler(event, context):\n    time.sleep(0.5)\n"
                  "    return [event, context.aws_request_id, context.log_stream_name]", Timeout=60)  # fmt: skip
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        results = list(pool.map(lambda number: server.invoke(name, number), range(200)))
    assert [result.payload[0] for result in results] == list(range(200))
    assert all(result.payload[1] == result.request_id for result in results)
    streams = {result.payload[2] for result in results}
    assert len(streams) > 20  # one environment handles one invocation at a time
    reports = [message for message in messages(server, name) if message.startswith("REPORT")]
    assert len(reports) == 200


def test_over_the_account_limit_callers_are_throttled(make_server: Callable[..., RunningServer]) -> None:
    server = make_server("--account-concurrency", "2")
    server.deploy("slow", {"app.py": "import time\ndef handler(e, c): time.sleep(1.5)"}, Timeout=10)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = [pool.submit(server.invoke, "slow") for _ in range(2)]
        time.sleep(0.5)
        with pytest.raises(ClientError) as caught:
            server.invoke("slow")
        assert all(future.result().function_error is None for future in running)
    response: dict[str, Any] = dict(caught.value.response)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["Error"] == {"Message": "Rate Exceeded.", "Code": "TooManyRequestsException"} | {
        key: value for key, value in response["Error"].items() if key not in ("Message", "Code")
    }
    assert response["Reason"] == "ConcurrentInvocationLimitExceeded"
    assert server.invoke("slow").function_error is None


def test_a_client_that_hangs_up_harms_nobody(server: RunningServer, deploy: Callable[..., str]) -> None:
    name = deploy("import time\ndef handler(event, context):\n    time.sleep(event)\n    print('slept', event)\n"
                  "    return context.log_stream_name", Timeout=10)  # fmt: skip
    stream = server.invoke(name, 0).payload
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", f"/2015-03-31/functions/{name}/invocations", body="1")
    time.sleep(0.3)
    connection.close()
    time.sleep(1.2)
    assert "slept 1\n" in messages(server, name)
    assert server.invoke(name, 0).payload == stream  # the same environment goes on


def test_an_update_is_used_by_the_next_invocation_and_the_running_one_finishes(
    server: RunningServer, deploy: Callable[..., str]
) -> None:
    source = "import time, os\ndef handler(event, context):\n    time.sleep(event)\n    return os.environ.get('WHICH')"
    name = deploy(source, Timeout=10)
    functions = server.client("lambda")
    results: list[Any] = []
    running = threading.Thread(target=lambda: results.append(server.invoke(name, 1).payload))
    running.start()
    time.sleep(0.4)
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {"WHICH": "2"}})
    functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    assert server.invoke(name, 0).payload == "2"
    running.join()
    assert results == [None]


def test_versions_keep_their_code_and_configuration(server: RunningServer, deploy: Callable[..., str]) -> None:
    name = deploy("import os\ndef handler(e, c): return [os.environ['WHICH'], c.function_version]",
                  Environment={"Variables": {"WHICH": "1"}})  # fmt: skip
    functions = server.client("lambda")
    assert functions.publish_version(FunctionName=name)["Version"] == "1"
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {"WHICH": "2"}})
    functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    assert server.invoke(name, Qualifier="1").payload == ["1", "1"]
    assert server.invoke(name).payload == ["2", "$LATEST"]
    answer = functions.invoke(FunctionName=f"{name}:1")
    assert answer["ExecutedVersion"] == "1"
    answer["Payload"].close()


def test_what_is_refused(server: RunningServer, deploy: Callable[..., str]) -> None:
    name = deploy("def handler(e, c): return e")
    functions = server.client("lambda")
    cases: list[tuple[dict[str, Any], int, str, str]] = [
        (
            {"FunctionName": "absent"},
            404,
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:000000000000:function:absent:$LATEST",
        ),
        ({"FunctionName": name, "Qualifier": "7"}, 404, "ResourceNotFoundException", f"function:{name}:7"),
        (
            {"FunctionName": name, "Payload": b"{"},
            400,
            "InvalidRequestContentException",
            "Could not parse request body",
        ),
        (
            {"FunctionName": name, "Payload": b'"' + b"x" * 6_291_455 + b'"'},
            413,
            "RequestTooLargeException",
            "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
        ),
    ]
    for parameters, status, code, message in cases:
        with pytest.raises(ClientError) as caught:
            functions.invoke(**parameters)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert caught.value.response["Error"]["Code"] == code
        assert message in caught.value.response["Error"]["Message"]
    answer = functions.invoke(FunctionName=name, Payload=b'"' + b"x" * 6_291_454 + b'"')
    assert len(answer["Payload"].read()) == 6_291_456
    assert functions.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204


def test_a_function_calls_aws_with_its_own_role_and_nobody_elses(
    server: RunningServer, deploy: Callable[..., str]
) -> None:
    name = deploy(
        "import http.client, os\n"
        "def handler(event, context):\n"
        "    c = http.client.HTTPConnection('127.0.0.1', int(os.environ['AWS_ENDPOINT_URL'].rsplit(':', 1)[1]))\n"
        "    c.request('POST', '/', 'Action=GetCallerIdentity&Version=2011-06-15',\n"
        "              {'Content-Type': 'application/x-www-form-urlencoded'} | event)\n"
        "    r = c.getresponse()\n"
        "    return [r.status, r.read().decode()]"
    )
    status, body = server.invoke(name, {}).payload
    assert (status, "MissingAuthenticationToken" in body) == (403, True)
    forged = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=00"
    status, body = server.invoke(name, {"Authorization": forged, "X-Amz-Date": "20260101T000000Z"}).payload
    assert status == 403
