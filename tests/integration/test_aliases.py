"""Invocations of aliases in real sandboxes: what the function sees, and which of its versions runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from lambent.testing.packages import zip_of
from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

ARN = "arn:aws:lambda:us-east-1:000000000000:function:aliased"
_SOURCE = (
    "import os\n"
    "def handler(event, context):\n"
    "    return [%d, context.function_version, os.environ['AWS_LAMBDA_FUNCTION_VERSION'],"
    " context.invoked_function_arn]\n"
)


@pytest.fixture(scope="module")
def functions(server: RunningServer) -> Iterator[Any]:
    """A client; the function `aliased` has the versions 1 and 2, and the alias `live` of 1."""
    client = server.client("lambda")
    server.deploy("aliased", {"app.py": _SOURCE % 1}, Publish=True)
    client.update_function_code(FunctionName="aliased", ZipFile=zip_of({"app.py": _SOURCE % 2}), Publish=True)
    client.create_alias(FunctionName="aliased", Name="live", FunctionVersion="1")
    yield client
    client.delete_function(FunctionName="aliased")


def test_an_alias_runs_its_version_under_its_own_name(server: RunningServer, functions: Any) -> None:
    for version in (1, 2, 1):
        functions.update_alias(FunctionName="aliased", Name="live", FunctionVersion=str(version))
        seen = server.invoke("aliased", Qualifier="live")
        assert seen.payload == [version, str(version), str(version), f"{ARN}:live"]
        assert f"Version: {version}\n" in seen.log
    assert server.invoke("aliased", Qualifier="1").payload == [1, "1", "1", f"{ARN}:1"]


def test_environments_serve_an_alias_and_its_version_alike(server: RunningServer, functions: Any) -> None:
    functions.update_alias(FunctionName="aliased", Name="live", FunctionVersion="2")
    server.invoke("aliased", Qualifier="2")
    for qualifier in ("live", "2", "live"):
        assert "Init Duration" not in server.invoke("aliased", Qualifier=qualifier).log


def test_both_versions_of_a_split_alias_run(server: RunningServer, functions: Any) -> None:
    functions.update_alias(
        FunctionName="aliased",
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    seen = Counter(server.invoke("aliased", Qualifier="live").payload[0] for _ in range(100))
    assert set(seen) == {1, 2}
    assert abs(seen[1] - 50) < 40  # eight standard deviations
