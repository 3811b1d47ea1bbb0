"""Provisioned concurrency: environments that are initialised before anybody calls, kept, moved and replaced."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lambent.testing.packages import zip_of
from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

CODE = """
import os, time, uuid
ID = uuid.uuid4().hex

def handler(event, context):
    if event == "die":
        os._exit(1)
    time.sleep(event or 0)
    return [ID, os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], context.function_version]
"""


@pytest.fixture(scope="module")
def own(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    server = make_server("--account-concurrency", "200", "--dev")
    yield server
    server.stop()


def publish(server: RunningServer, name: str, code: str) -> str:
    functions = server.client("lambda")
    functions.update_function_code(FunctionName=name, ZipFile=zip_of({"app.py": code}))
    version: str = functions.publish_version(FunctionName=name)["Version"]
    return version


def provision(server: RunningServer, name: str, qualifier: str, number: int) -> dict[str, Any]:
    asked: dict[str, Any] = server.client("lambda").put_provisioned_concurrency_config(
        FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=number
    )
    return asked


def settled(server: RunningServer, name: str, qualifier: str) -> dict[str, Any]:
    """Its configuration, once it is not in progress any more."""
    deadline = time.monotonic() + 30
    while True:
        found: dict[str, Any] = server.client("lambda").get_provisioned_concurrency_config(
            FunctionName=name, Qualifier=qualifier
        )
        if found["Status"] != "IN_PROGRESS":
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def at_once(server: RunningServer, name: str, number: int, qualifier: str) -> list[list[str]]:
    def one(_: int) -> Any:
        return server.invoke(name, 0.5, Qualifier=qualifier).payload

    with concurrent.futures.ThreadPoolExecutor(number) as threads:
        return list(threads.map(one, range(number)))


def numbers(config: dict[str, Any]) -> tuple[str, int, int, int]:
    return (
        config["Status"],
        config["RequestedProvisionedConcurrentExecutions"],
        config["AllocatedProvisionedConcurrentExecutions"],
        config["AvailableProvisionedConcurrentExecutions"],
    )


def test_it_is_used_first_spills_over_is_replaced_and_moves_with_its_alias(own: RunningServer) -> None:
    own.deploy("ready", {"app.py": CODE})
    functions = own.client("lambda")
    functions.publish_version(FunctionName="ready")
    functions.create_alias(FunctionName="ready", Name="live", FunctionVersion="1")

    assert numbers(provision(own, "ready", "live", 2)) == ("IN_PROGRESS", 2, 0, 0)
    assert numbers(settled(own, "ready", "live")) == ("READY", 2, 2, 2)
    first = own.invoke("ready", Qualifier="live")
    assert first.payload[1:] == ["provisioned-concurrency", "1"]
    assert "Init Duration" not in first.log
    kinds = [kind for _, kind, _ in at_once(own, "ready", 3, "live")]
    assert sorted(kinds) == ["on-demand", "provisioned-concurrency", "provisioned-concurrency"]
    assert own.invoke("ready").payload[1:] == ["on-demand", "$LATEST"]

    before = {one[0] for one in at_once(own, "ready", 2, "live")}
    assert own.invoke("ready", "die", Qualifier="live").function_error == "Unhandled"
    assert numbers(settled_fully(own, "ready", "live")) == ("READY", 2, 2, 2)
    after = {one[0] for one in at_once(own, "ready", 2, "live")}
    assert len(before & after) == 1

    assert publish(own, "ready", CODE + "#") == "2"
    functions.update_alias(
        FunctionName="ready", Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}}
    )
    assert numbers(settled_fully(own, "ready", "live")) == ("READY", 2, 2, 2)
    for version in ("1", "2"):
        assert own.invoke("ready", Qualifier=version).payload[1:] == ["provisioned-concurrency", version]

    own.stop()
    own.start()
    assert numbers(settled(own, "ready", "live")) == ("READY", 2, 2, 2)
    assert own.invoke("ready", Qualifier="2").payload[1] == "provisioned-concurrency"
    functions.delete_provisioned_concurrency_config(FunctionName="ready", Qualifier="live")
    wait_until(lambda: own.invoke("ready", Qualifier="2").payload[1] == "on-demand")


def test_an_init_phase_that_fails_is_told(own: RunningServer) -> None:
    own.deploy("broken", {"app.py": "raise RuntimeError('no')"})
    own.client("lambda").publish_version(FunctionName="broken")
    provision(own, "broken", "1", 2)
    found = settled(own, "broken", "1")
    assert numbers(found) == ("FAILED", 2, 0, 0)
    assert found["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"
    assert "no" in own.invoke("broken", Qualifier="1").payload["errorMessage"]


def settled_fully(server: RunningServer, name: str, qualifier: str) -> dict[str, Any]:
    """As `settled`, for a change that takes a moment to be seen."""
    wait_until(lambda: settled(server, name, qualifier)["Status"] == "READY")
    time.sleep(0.3)
    return settled(server, name, qualifier)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
