"""Layers in real environments, with isolation and without: what is at /opt, and what finds it there."""

from __future__ import annotations

import ctypes.util
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.packages import zip_of
from lambent.testing.server import ROLE, RunningServer

pytestmark = pytest.mark.root

LIST_OPT = """
import os
def handler(event, context):
    root = os.environ["OPT"]
    files = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            files[os.path.relpath(path, root)] = open(path).read()
    return files
"""

WRAPPER = """#!/bin/sh
export WRAPPED="$(basename "$1")"
exec "$@"
"""

# A whole runtime, in a layer
BOOTSTRAP = """#!/usr/bin/python3
import os, sys, urllib.request
sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
import code_of_function
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next") as event:
        request_id = event.headers["Lambda-Runtime-Aws-Request-Id"]
    urllib.request.urlopen(api + request_id + "/response", data=code_of_function.ANSWER).close()
"""


@pytest.fixture(scope="module")
def process_server(make_server: Callable[..., RunningServer]) -> RunningServer:
    return make_server("--sandbox", "process")


@pytest.fixture(params=["linux", "process"])
def either(request: pytest.FixtureRequest, server: RunningServer) -> RunningServer:
    """Both sandbox backends."""
    if request.param == "linux":
        return server
    found: RunningServer = request.getfixturevalue("process_server")
    return found


Deploy = Callable[..., str]


@pytest.fixture
def deploy(request: pytest.FixtureRequest) -> Iterator[Deploy]:
    """Deploys files under the test's name with layers, each given by its files; deletes all of it afterwards."""
    undo: list[Callable[[], Any]] = []

    def deploy(
        server: RunningServer, files: Mapping[str, str], *layers: Mapping[str, str | bytes], **given: Any
    ) -> str:
        client = server.client("lambda")
        name = re.sub(r"[^a-zA-Z0-9-_]", "-", request.node.name)[:64]
        arns = []
        for number, layer in enumerate(layers):
            published = client.publish_layer_version(LayerName=f"{name}-{number}", Content={"ZipFile": zip_of(layer)})
            of_it = {"LayerName": f"{name}-{number}", "VersionNumber": published["Version"]}
            undo.append(lambda of_it=of_it: client.delete_layer_version(**of_it))  # type: ignore[misc]
            arns.append(published["LayerVersionArn"])
        server.deploy(name, zip_of(files), Layers=arns, **given)
        undo.append(lambda: client.delete_function(FunctionName=name))
        return name

    yield deploy
    for step in reversed(undo):
        step()


def variables(**given: str) -> dict[str, Any]:
    return {"Environment": {"Variables": given}}


def test_layers_are_merged_in_order(either: RunningServer, deploy: Deploy) -> None:
    one = {"shared": "one", "only/one": "1", "becomes/a-directory": "x", "hidden": "a file"}
    two = {"shared": "two", "only/two": "2", "hidden/below": "a directory"}
    three = {"becomes": "a file"}
    name = deploy(either, {"app.py": LIST_OPT}, one, two, three, **variables(OPT="/opt"))
    assert either.invoke(name).payload == {
        "shared": "two",
        "only/one": "1",
        "only/two": "2",
        "hidden/below": "a directory",
        "becomes": "a file",
    }


def test_a_single_layer(either: RunningServer, deploy: Deploy) -> None:
    name = deploy(either, {"app.py": LIST_OPT}, {"a": "1"}, **variables(OPT="/opt"))
    assert either.invoke(name).payload == {"a": "1"}


def test_pythons_search_paths(either: RunningServer, deploy: Deploy) -> None:
    source = (
        "import below, site_of_version, mine\n"
        "def handler(event, context): return [below.TEXT, site_of_version.TEXT, mine.TEXT]"
    )
    name = deploy(
        either,
        {"app.py": source, "mine.py": "TEXT = 'the function'"},
        {"python/below.py": "TEXT = 'below'", "python/mine.py": "TEXT = 'a layer'"},
        {"python/lib/python3.11/site-packages/site_of_version/__init__.py": "TEXT = 'versioned'"},
    )
    assert either.invoke(name).payload == ["below", "versioned", "the function"]


@pytest.mark.parametrize("kind", ["require", "import"])
def test_nodes_search_paths(either: RunningServer, deploy: Deploy, kind: str) -> None:
    layers = (
        {
            "nodejs/node_modules/any/index.js": "module.exports = 'any version'",
            "nodejs/node_modules/any/package.json": "{}",
        },
        {
            "nodejs/node22/node_modules/own/index.js": "module.exports = '22'",
            "nodejs/node22/node_modules/own/package.json": "{}",
        },
    )
    sources = {
        "require": {"app.js": "exports.handler = async () => [require('any'), require('own')]"},
        "import": {
            "app.mjs": "import any from 'any'\nimport own from 'own'\nexport const handler = async () => [any, own]"
        },
    }
    name = deploy(either, sources[kind], *layers, Runtime="nodejs22.x")
    assert either.invoke(name).payload == ["any version", "22"]


def test_programs_and_libraries_of_layers(either: RunningServer, deploy: Deploy) -> None:
    library = next(path for path in Path("/usr/lib").rglob("libz.so.1") if path.exists())
    source = (
        "import ctypes, subprocess\n"
        "def handler(event, context):\n"
        "    version = ctypes.CDLL('liblayered.so').zlibVersion\n"
        "    version.restype = ctypes.c_char_p\n"
        "    return [subprocess.check_output(['tool'], text=True), version().decode()[:1]]"
    )
    layer: dict[str, str | bytes] = {
        "bin/tool!": "#!/bin/sh\nprintf tool",
        "lib/liblayered.so": library.read_bytes(),
    }
    assert ctypes.util.find_library("layered") is None
    assert either.invoke(deploy(either, {"app.py": source}, layer)).payload == ["tool", "1"]


def test_the_bootstrap_of_a_layer(either: RunningServer, deploy: Deploy) -> None:
    name = deploy(
        either,
        {"code_of_function.py": "ANSWER = b'[\"run by a layer\"]'"},
        {"unrelated": "x"},
        {"bootstrap!": BOOTSTRAP},
        Runtime="provided.al2023",
    )
    assert either.invoke(name).payload == ["run by a layer"]


def test_a_bootstrap_of_the_functions_own_is_preferred(server: RunningServer, deploy: Deploy) -> None:
    files = {"bootstrap!": BOOTSTRAP, "code_of_function.py": "ANSWER = b'[\"own\"]'"}
    name = deploy(server, files, {"bootstrap!": "#!/bin/false\n"}, Runtime="provided.al2023")
    assert server.invoke(name).payload == ["own"]


def test_a_missing_bootstrap(server: RunningServer, deploy: Deploy) -> None:
    name = deploy(server, {"x": "x"}, {"elsewhere/bootstrap!": BOOTSTRAP}, Runtime="provided.al2023")
    failed = server.invoke(name)
    assert failed.payload == {
        "errorType": "Runtime.InvalidEntrypoint",
        "errorMessage": (
            f"RequestId: {failed.request_id} Error: Couldn't find valid bootstrap(s): "
            "[/var/task/bootstrap /opt/bootstrap]"
        ),
    }


@pytest.mark.parametrize("runtime", ["python3.11", "nodejs22.x"])
def test_the_wrapper_starts_the_runtime(either: RunningServer, deploy: Deploy, runtime: str) -> None:
    files = {
        "app.py": "import os\ndef handler(event, context): return os.environ['WRAPPED']",
        "app.js": "exports.handler = async () => process.env.WRAPPED",
    }
    name = deploy(
        either, files, {"wrapper!": WRAPPER}, Runtime=runtime, **variables(AWS_LAMBDA_EXEC_WRAPPER="/opt/wrapper")
    )
    assert either.invoke(name).payload in ("python3.11", "node")


@pytest.mark.parametrize(("wrapper", "status"), [("/opt/missing", 127), ("/opt/not-executable", 126)])
def test_a_wrapper_that_cannot_be_started(server: RunningServer, deploy: Deploy, wrapper: str, status: int) -> None:
    name = deploy(
        server,
        {"app.py": "def handler(event, context): return 1"},
        {"not-executable": WRAPPER},
        **variables(AWS_LAMBDA_EXEC_WRAPPER=wrapper),
    )
    failed = server.invoke(name)
    assert failed.function_error == "Unhandled"
    assert failed.payload == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {failed.request_id} Error: Runtime exited with error: exit status {status}",
    }
    assert wrapper in failed.log


def test_nothing_of_a_layer_can_be_written(server: RunningServer, deploy: Deploy) -> None:
    source = (
        "def handler(event, context):\n"
        "    try:\n        open('/opt/' + event, 'a')\n"
        "    except OSError as error:\n        return error.strerror"
    )
    name = deploy(server, {"app.py": source}, {"a": "1"}, {"b": "2"})
    for file in ("a", "b", "new"):
        assert server.invoke(name, file).payload in ("Read-only file system", "Permission denied")


def test_layers_change_with_the_configuration(server: RunningServer, deploy: Deploy) -> None:
    name = deploy(server, {"app.py": LIST_OPT}, {"a": "1"}, {"b": "2"}, **variables(OPT="/opt"))
    client = server.client("lambda")
    assert set(server.invoke(name).payload) == {"a", "b"}
    kept = client.get_function_configuration(FunctionName=name)["Layers"][1:]
    client.update_function_configuration(FunctionName=name, Layers=[layer["Arn"] for layer in kept])
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    assert set(server.invoke(name).payload) == {"b"}
    client.update_function_configuration(FunctionName=name, Layers=[])
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    assert server.invoke(name).payload == {}


def test_deleted_layers_work_on_after_a_restart(make_server: Callable[..., RunningServer]) -> None:
    server = make_server()
    client = server.client("lambda")
    arns = []
    for layer in ("a", "b"):
        made = client.publish_layer_version(LayerName=layer, Content={"ZipFile": zip_of({layer: layer})})
        arns.append(made["LayerVersionArn"])
    server.deploy("keeper", {"app.py": LIST_OPT}, Layers=arns, Role=ROLE, **variables(OPT="/opt"))
    for layer in ("a", "b"):
        client.delete_layer_version(LayerName=layer, VersionNumber=1)
    assert server.invoke("keeper").payload == {"a": "a", "b": "b"}
    server.stop()
    server.start()
    assert server.invoke("keeper").payload == {"a": "a", "b": "b"}
