"""Every runtime of this machine: exactly the asked version, the AWS SDK, AWS APIs under the function's own role."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lambent.testing.server import RunningServer
from lambent.worker.runtimes.identifiers import KNOWN

pytestmark = pytest.mark.root

ACCOUNT = "000000000000"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
PYTHON = """
import os, sys
import boto3
def handler(event, context):
    return {
        "version": "%d.%d.%d" % sys.version_info[:3],
        "interpreter": sys.executable,
        "sdk": boto3.__file__,
        "execution_env": os.environ["AWS_EXECUTION_ENV"],
        "arn": boto3.client("sts").get_caller_identity()["Arn"],
    }
"""
_NODE = """
const describe = async (resolved) => ({
  version: process.versions.node,
  interpreter: process.execPath,
  sdk: resolved,
  execution_env: process.env.AWS_EXECUTION_ENV,
  s3: typeof new S3Client({}).send,
  arn: (await new STSClient({}).send(new GetCallerIdentityCommand({}))).Arn,
});
"""
ESM = (
    'import { S3Client } from "@aws-sdk/client-s3";\n'
    'import { STSClient, GetCallerIdentityCommand } from "@aws-sdk/client-sts";\n'
    + _NODE
    + 'export const handler = async () => describe(import.meta.resolve("@aws-sdk/client-s3"));\n'
)
COMMON_JS = (
    'const { S3Client } = require("@aws-sdk/client-s3");\n'
    'const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");\n'
    + _NODE
    + 'exports.handler = async () => describe(require.resolve("@aws-sdk/client-s3"));\n'
)


@pytest.fixture
def answer(
    server: RunningServer, health: dict[str, Any], request: pytest.FixtureRequest
) -> Callable[[str, str, str], dict[str, Any]]:
    """Runtime, file name, source → what the function answers. Checks the version and the caller's identity."""

    def deploy_and_invoke(identifier: str, file: str, source: str) -> dict[str, Any]:
        if identifier not in health["runtimes"]:
            pytest.skip(f"{identifier} is not on this machine")
        name = f"all-{file}-{identifier}".replace(".", "-")
        role = f"{name}-role"
        iam, functions = server.client("iam"), server.client("lambda")
        made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        request.addfinalizer(lambda: iam.delete_role(RoleName=role))
        server.deploy(
            name, {file: source}, Runtime=identifier, Handler="index.handler", Role=made, MemorySize=1769, Timeout=30
        )
        request.addfinalizer(lambda: functions.delete_function(FunctionName=name))
        invoked = server.invoke(name)
        assert invoked.function_error is None, (invoked.payload, "are the SDKs installed? see scripts/test-runtimes")
        payload: dict[str, Any] = invoked.payload
        assert payload.pop("arn") == f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}"
        assert payload.pop("execution_env") == f"AWS_Lambda_{identifier}"
        asked = KNOWN[identifier].version
        assert tuple(map(int, payload.pop("version").split(".")))[: len(asked)] == asked
        assert payload.pop("interpreter").startswith("/var/lang/bin/")
        return payload

    return deploy_and_invoke


def identifiers(language: str) -> list[str]:
    return [known.name for known in KNOWN.values() if known.language == language]


@pytest.mark.parametrize("identifier", identifiers("python"))
def test_python(answer: Callable[..., dict[str, Any]], identifier: str) -> None:
    name = "python" + ".".join(map(str, KNOWN[identifier].version))
    assert answer(identifier, "index.py", PYTHON) == {"sdk": f"/var/lang/lib/{name}/site-packages/boto3/__init__.py"}


@pytest.mark.parametrize("file", ["index.mjs", "index.js"])
@pytest.mark.parametrize("identifier", identifiers("nodejs"))
def test_nodejs(answer: Callable[..., dict[str, Any]], identifier: str, file: str) -> None:
    payload = answer(identifier, file, ESM if file == "index.mjs" else COMMON_JS)
    assert payload.pop("s3") == "function"
    assert "/node_modules/@aws-sdk/client-s3/" in payload.pop("sdk")
    assert payload == {}


DESCRIPTORS = {
    "python": """
import os, subprocess
def handler(event, context):
    links = {int(name): os.path.islink(f"/proc/self/fd/{name}") and os.readlink(f"/proc/self/fd/{name}")
             for name in os.listdir("/proc/self/fd")}
    child = subprocess.run(["/bin/ls", "/proc/self/fd"], capture_output=True, close_fds=False).stdout.decode()
    return {"channel": links.get(4), "child": child.split(), "named": "_LAMBENT_CHANNEL_FD" in os.environ,
            "tcp": len(open("/proc/self/net/tcp").readlines())}
""",
    "nodejs": """
const fs = require("node:fs");
exports.handler = async () => ({
  channel: fs.readlinkSync("/proc/self/fd/4"),
  child: require("node:child_process").execFileSync("/bin/ls", ["/proc/self/fd"]).toString().trim().split("\\n"),
  named: process.env._LAMBENT_CHANNEL_FD !== undefined,
  tcp: fs.readFileSync("/proc/self/net/tcp", "latin1").trim().split("\\n").length,
});
""",
}


@pytest.mark.parametrize("identifier", [*identifiers("python"), *identifiers("nodejs")])
def test_the_channel_is_used_and_for_the_runtime_alone(
    server: RunningServer, health: dict[str, Any], identifier: str
) -> None:
    if identifier not in health["runtimes"]:
        pytest.skip(f"{identifier} is not on this machine")
    language = KNOWN[identifier].language
    name = f"channel-{identifier}".replace(".", "-")
    file = "index.py" if language == "python" else "index.js"
    server.deploy(name, {file: DESCRIPTORS[language]}, Runtime=identifier, Handler="index.handler", Timeout=30)
    try:
        for _ in range(2):  # executed, and forked
            seen = server.invoke(name).payload
            assert seen["channel"].startswith("socket:")
            assert seen["child"] == ["0", "1", "2", "3"]  # the last is what it lists
            assert not seen["named"]
            assert seen["tcp"] == 1 + 2  # a line of titles, and the two that listen: nobody has connected
            server.client("lambda").update_function_configuration(FunctionName=name, Timeout=31)
    finally:
        server.client("lambda").delete_function(FunctionName=name)


@pytest.mark.parametrize("language", ["python", "nodejs"])
def test_a_runtime_that_is_not_installed_is_told_at_the_first_invocation(
    server: RunningServer, health: dict[str, Any], language: str
) -> None:
    missing = [name for name in identifiers(language) if name not in health["runtimes"]]
    if not missing:
        pytest.skip(f"every {language} there is is installed on this machine")
    name = f"missing-{language}"
    server.deploy(name, {"index.py": "", "index.mjs": ""}, Runtime=missing[0], Handler="index.handler")
    functions = server.client("lambda")
    with pytest.raises(functions.exceptions.InvalidRuntimeException) as caught:
        functions.invoke(FunctionName=name)
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 502
    assert f"lambent runtimes install {missing[0]}" in response["Error"]["Message"]
    assert functions.get_function(FunctionName=name)["Configuration"]["State"] == "Active"
    functions.delete_function(FunctionName=name)


def test_a_runtime_that_cannot_be_installed_is_told_too(server: RunningServer) -> None:
    server.deploy("java", {"Handler.class": b"\xca\xfe\xba\xbe"}, Runtime="java21", Handler="Handler::handle")
    functions = server.client("lambda")
    with pytest.raises(functions.exceptions.InvalidRuntimeException, match="java21 cannot be run here"):
        functions.invoke(FunctionName="java")
    functions.delete_function(FunctionName="java")
