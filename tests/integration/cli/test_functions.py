"""`lambent deploy`, `list`, `invoke`, `logs` and `delete` against a real server."""

from __future__ import annotations

import io
import json
import queue
import re
import signal
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.packages import zip_of
from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

Command = Callable[..., subprocess.CompletedProcess[str]]
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
EXAMPLES = Path(__file__).parents[3] / "examples"
SOURCE = """
import logging
def handler(event, context):
    print("got", event)
    if event == "fail":
        raise ValueError("as asked")
    return {"é": event}
"""


@pytest.fixture(scope="module")
def environ(environ: dict[str, str], server: RunningServer) -> dict[str, str]:
    """The environment of a user of the shared server."""
    return {**environ, "LAMBENT_ENDPOINT_URL": server.url}


@pytest.fixture
def function(lambent: Command, server: RunningServer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A deployed function; deleted afterwards, if the test did not."""
    name = re.sub(r"[^a-zA-Z0-9-_]", "-", request.node.name)[:60]
    directory = tmp_path / name
    directory.mkdir()
    (directory / "app.py").write_text(SOURCE)
    done = lambent("deploy", str(directory), "--runtime", "python3.11")
    assert done.returncode == 0, done.stderr
    yield name
    functions = server.client("lambda")
    if any(item["FunctionName"] == name for item in functions.list_functions()["Functions"]):
        functions.delete_function(FunctionName=name)


def test_an_example_is_deployed_invoked_listed_and_deleted(lambent: Command, newest: Callable[[str], str]) -> None:
    done = lambent("deploy", str(EXAMPLES / "greeting"))
    python = newest("python")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"Created {ARN}greeting\n"
        f"{python}, handler lambda_function.lambda_handler, 128 MB, 3 s\n"
        "Try: lambent invoke greeting -d '{}'\n"
    )
    done = lambent("invoke", "greeting", "-d", f"@{EXAMPLES / 'greeting/event.json'}")
    assert (done.returncode, done.stdout) == (0, '{"message": "Hello Ada Lovelace!"}\n')
    assert re.match(r"START RequestId: \S+ Version: \$LATEST\nHello Ada Lovelace!\nEND .*\nREPORT ", done.stderr)
    done = lambent("list")
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["NAME", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "SIZE", "LAST", "MODIFIED"]
    [row] = [row for row in rows if row.startswith("greeting ")]
    assert row.split()[1:7] == [python, "lambda_function.lambda_handler", "128", "MB", "3", "s"]
    done = lambent("delete", "greeting")
    assert (done.returncode, done.stdout) == (0, "Deleted greeting.\n")
    done = lambent("delete", "greeting")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"lambent: ResourceNotFoundException: Function not found: {ARN}greeting\n"


def test_deploying_again_updates_code_and_what_is_given(
    lambent: Command, server: RunningServer, function: str, tmp_path: Path
) -> None:
    archive = tmp_path / "new.zip"
    archive.write_bytes(zip_of({"app.py": "import os\ndef handler(event, context): return os.environ['STAGE']"}))
    done = lambent(
        "deploy", str(archive), "--name", function, "--memory", "256", "--timeout", "9", "--env", "STAGE=test", "--json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["FunctionArn"], told["MemorySize"], told["Timeout"]) == (ARN + function, 256, 9)
    assert told["Environment"] == {"Variables": {"STAGE": "test"}}
    assert told["LastUpdateStatus"] == "Successful"
    assert server.invoke(function).payload == "test"
    done = lambent("deploy", str(archive), "--name", function)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"Updated {ARN}{function}")
    assert server.invoke(function).payload == "test"  # what is not given stays


def test_code_for_node_and_for_custom_runtimes_is_recognised(
    lambent: Command, server: RunningServer, newest: Callable[[str], str], tmp_path: Path
) -> None:
    for name, files, runtime, handler in (
        ("cli-node", {"index.mjs": "export const handler = async () => 1;"}, newest("nodejs"), "index.handler"),
        ("cli-custom", {"bootstrap!": "#!/bin/sh\n"}, "provided.al2023", "bootstrap"),
    ):
        archive = tmp_path / f"{name}.zip"
        archive.write_bytes(zip_of(files))
        told = json.loads(lambent("deploy", str(archive), "--json").stdout)
        assert (told["FunctionName"], told["Runtime"], told["Handler"]) == (name, runtime, handler)
        server.client("lambda").delete_function(FunctionName=name)


def test_a_directory_is_packaged_with_its_modes(lambent: Command, server: RunningServer, tmp_path: Path) -> None:
    directory = tmp_path / "cli-modes"
    (directory / "bin").mkdir(parents=True)
    (directory / "app.py").write_text("import subprocess\ndef handler(e, c): return subprocess.getoutput('bin/tool')")
    (directory / "bin/tool").write_text("#!/bin/sh\necho tool\n")
    (directory / "bin/tool").chmod(0o700)
    assert lambent("deploy", str(directory)).returncode == 0
    assert server.invoke("cli-modes").payload == "tool"
    location = server.client("lambda").get_function(FunctionName="cli-modes")["Code"]["RepositoryType"]
    assert location == "S3"
    server.client("lambda").delete_function(FunctionName="cli-modes")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("deploy", "absent"), "there is no absent"),
        (("deploy", "empty"), "empty holds no files"),
        (("deploy", "text"), "text is neither a directory nor a ZIP file"),
        (("deploy", "unclear"), "cannot tell the handler from the code: give --handler FILE.FUNCTION (and --runtime)"),
        (("deploy", "good", "--env", "NOVALUE"), "--env takes KEY=VALUE"),
        (("deploy", "good", "--runtime", "python2.7"), "InvalidParameterValueException: "),
        (("invoke", "nobody"), f"ResourceNotFoundException: Function not found: {ARN}nobody:$LATEST"),
        (("invoke", "nobody", "-d", "@absent"), "cannot read the event from absent: No such file or directory"),
        (("logs", "nobody"), "nothing was logged to /aws/lambda/nobody yet"),
        (("logs", "nobody", "--since", "soon"), "--since soon: give an age such as 30s, 10m, 2h or 7d"),
        (("list", "--endpoint-url", "http://127.0.0.1:9"), "no server answers at http://127.0.0.1:9 "),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_fails_says_so_in_one_line(
    lambent: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("text")
    for name, file in (("unclear", "README"), ("good", "app.py")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    done = lambent(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"lambent: {message}")
    assert done.stderr.count("\n") == 1


def test_invoke_for_a_tenant(lambent: Command, server: RunningServer) -> None:
    code = {"app.py": "def handler(event, context):\n    return context.tenant_id\n"}
    server.deploy("cli-tenants", code, TenancyConfig={"TenantIsolationMode": "PER_TENANT"})
    assert lambent("invoke", "cli-tenants", "--tenant-id", "blue").stdout == '"blue"\n'
    server.client("lambda").delete_function(FunctionName="cli-tenants")


def test_invoke_tells_failures_apart_and_reads_events_from_anywhere(lambent: Command, function: str) -> None:
    done = lambent("invoke", function, "-d", "@-", input='{"from": "stdin"}')
    assert (done.returncode, json.loads(done.stdout)) == (0, {"é": {"from": "stdin"}})
    done = lambent("invoke", function, "-d", '"fail"')
    assert done.returncode == 1
    assert json.loads(done.stdout)["errorMessage"] == "as asked"
    assert "[ERROR] ValueError: as asked" in done.stderr
    told = json.loads(lambent("invoke", function, "-d", '"fail"', "--json").stdout)
    assert told["FunctionError"] == "Unhandled"
    assert told["Payload"]["errorType"] == "ValueError"
    assert (told["StatusCode"], told["ExecutedVersion"]) == (200, "$LATEST")
    assert "REPORT RequestId" in told["Log"]


def test_logs_once_and_as_json(lambent: Command, server: RunningServer, function: str) -> None:
    server.invoke(function, "one")
    done = lambent("logs", function)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["INIT_START", "START", "got", "END", "REPORT"]
    events = [json.loads(line) for line in lambent("logs", ARN + function, "--json").stdout.splitlines()]
    assert [event["message"] for event in events][2] == "got one\n"
    assert set(events[0]) == {"logStreamName", "timestamp", "message", "ingestionTime", "eventId"}


@pytest.fixture
def follower(command_line: list[str], environ: Mapping[str, str], function: str) -> Iterator[queue.Queue[str]]:
    """The lines of `lambent logs --follow` of the function, which was never invoked before."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)

    command = [*command_line, "logs", function, "--follow"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        reader = threading.Thread(target=read)
        reader.start()
        yield lines
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        reader.join()


def test_logs_follow_what_comes(follower: queue.Queue[str], server: RunningServer, function: str) -> None:
    server.invoke(function, "first")
    seen = [follower.get(timeout=20)]
    assert seen[0].startswith("INIT_START")
    server.invoke(function, "second")
    while seen.count("got second\n") == 0:
        seen.append(follower.get(timeout=20))
    assert [line for line in seen if line.startswith("got")] == ["got first\n", "got second\n"]


PRINTS_AND_WAITS = """
import time
def handler(event, context):
    for number in range(4):
        print("at", time.time())
        time.sleep(0.5)
    print("over")
"""


def test_a_followed_line_is_shown_while_the_function_runs(
    command_line: list[str], environ: Mapping[str, str], server: RunningServer
) -> None:
    server.deploy("slow-printer", {"app.py": PRINTS_AND_WAITS}, Timeout=10)
    server.invoke("slow-printer")
    command = [*command_line, "logs", "slow-printer", "--follow", "--since", "0s"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with ThreadPoolExecutor(1) as pool:
            delays_ms: list[float] = []
            while not delays_ms:  # an invocation during which it is up
                invocation = pool.submit(server.invoke, "slow-printer")
                for line in process.stdout:
                    if line.startswith("at "):
                        delays_ms.append((time.time() - float(line.split()[1])) * 1000)
                        assert not invocation.done()
                    if line == "over\n":
                        break
                invocation.result()
        process.terminate()
    print("shown after", [round(delay) for delay in delays_ms], "ms")


def test_following_ends_with_a_word_when_the_server_stops(
    command_line: list[str], environ: Mapping[str, str], make_server: Callable[..., RunningServer]
) -> None:
    server = make_server()
    server.deploy("hello", {"app.py": "def handler(event, context): print('hello')"})
    server.invoke("hello")
    command = [*command_line, "logs", "hello", "--follow", "--endpoint-url", server.url]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("INIT_START")
        server.stop()
        assert process.wait(20) == 1
        error = process.stderr.read()
    assert "no server answers" in error
    assert len(error.splitlines()) == 1


def test_list_as_json_is_what_the_api_says(lambent: Command, server: RunningServer, function: str) -> None:
    listed: list[dict[str, Any]] = json.loads(lambent("list", "--json").stdout)
    [own] = [item for item in listed if item["FunctionName"] == function]
    [expected] = [
        item for item in server.client("lambda").list_functions()["Functions"] if item["FunctionName"] == function
    ]
    assert own == expected
    assert json.loads(lambent("delete", function, "--json").stdout) == {"FunctionName": function, "Deleted": True}
    assert "There are no functions." in lambent("list", "--region", "ap-south-2").stdout


def test_the_package_of_a_directory_is_the_same_every_time(
    lambent: Command, server: RunningServer, function: str, tmp_path: Path
) -> None:
    before = server.client("lambda").get_function(FunctionName=function)["Configuration"]["CodeSha256"]
    (tmp_path / function / "app.py").touch()
    lambent("deploy", str(tmp_path / function))
    after = server.client("lambda").get_function(FunctionName=function)
    assert after["Configuration"]["CodeSha256"] == before


def test_zip_files_are_sent_as_they_are(lambent: Command, server: RunningServer, tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as package:
        package.writestr("app.py", SOURCE)
    (tmp_path / "cli-zip.zip").write_bytes(made.getvalue())
    told = json.loads(lambent("deploy", str(tmp_path / "cli-zip.zip"), "--json").stdout)
    assert told["CodeSize"] == len(made.getvalue())
    server.client("lambda").delete_function(FunctionName="cli-zip")
