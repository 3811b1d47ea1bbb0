"""The pytest plugin as a user has it: installed, in a project of his own; and the endpoint it uses."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambent.testing.server import ClockError, RunningServer

pytest_plugins = ["pytester"]

USERS_TESTS = """
import pathlib
import time


def test_deploy_invoke_logs(lambent, deploy, logs):
    deploy("hello", "def handler(event, context):\\n    print('seen', event)\\n    return event['n'] + 1\\n")
    assert lambent.invoke("hello", {"n": 1}).payload == 2
    assert any("seen {'n': 1}" in line for line in logs("hello"))


def test_a_directory(lambent, deploy, tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "other.py").write_text("def main(event, context): return 'dir'")
    deploy("dir", tmp_path / "code", Handler="other.main")
    assert lambent.invoke("dir").payload == "dir"


def test_the_clock(lambent, advance, wait_for_idle, logs):
    before = lambent.clock("freeze")
    assert before["frozen"] is True
    advance(6 * 3600)
    wait_for_idle()
    after = lambent.clock()
    assert round(after["epoch_seconds"] - before["epoch_seconds"]) == 6 * 3600
    assert after["idle"] is True
    assert logs("never-there") == []
    assert lambent.clock("real")["frozen"] is False
"""


@pytest.mark.root
def test_the_fixtures_in_a_project(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USERS_TESTS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:asyncio")
    result.assert_outcomes(passed=3)


@pytest.mark.root
def test_the_example(pytester: pytest.Pytester) -> None:
    shutil.copytree(Path(__file__).parents[3] / "examples" / "tested", pytester.path, dirs_exist_ok=True)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:asyncio")
    result.assert_outcomes(passed=3)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data = tmp_path_factory.mktemp("clock") / "data"
    with RunningServer(data, ("--dev", "--sandbox", "process")) as server:
        yield server


def test_a_role_session_expires_by_the_clock(server: RunningServer) -> None:
    """… and environments, whose credentials are such, are replaced when theirs do."""
    server.deploy("who", {"app.py": "import os\ndef handler(e, c): return os.environ['AWS_ACCESS_KEY_ID']"})
    first = server.invoke("who").payload
    assert server.invoke("who").payload == first
    server.clock("advance", seconds=6 * 3600)
    assert server.invoke("who").payload != first


def test_retries_of_hours_take_no_time(server: RunningServer) -> None:
    """Three attempts a minute and two minutes apart."""
    code = {"app.py": "def handler(event, context):\n    print('attempt')\n    raise ValueError('never')\n"}
    server.deploy("fails", code)
    functions = server.client("lambda")
    begun = server.clock("freeze")["epoch_seconds"]
    try:
        functions.invoke(FunctionName="fails", InvocationType="Event", Payload=b"{}")
        moved = server.clock("run-until-idle")
        assert moved["idle"] is True
        assert moved["next_due"] is None
        assert round(moved["epoch_seconds"] - begun) == 180
        assert sum("attempt" in line for line in server.logs("fails")) == 3
    finally:
        server.clock("real")


def test_without_dev_there_is_none(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", ("--sandbox", "process")) as server, pytest.raises(ClockError):
        server.clock()
