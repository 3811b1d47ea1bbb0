"""`/_lambent/clock` of a server in development mode."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lambent.app import App
from lambent.config import load


async def _app(tmp_path: Path, **flags: str) -> App:
    settings = {"port": "0", "data-dir": str(tmp_path / "data"), "sandbox": "process", **flags}
    return await App.start(load(settings, {}), {"PATH": "/usr/bin"})


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    app = await _app(tmp_path, dev="true")
    yield app
    await app.stop()


def _ask(url: str, body: object = None, **headers: str) -> tuple[int, dict[str, Any]]:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url + "/_lambent/clock", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


async def ask(app: App, body: object = None, **headers: str) -> tuple[int, dict[str, Any]]:
    return await asyncio.to_thread(_ask, app.endpoint_url, body, **headers)


async def test_it_tells_and_moves_the_clock(app: App) -> None:
    status, before = await ask(app)
    assert (status, before["frozen"], before["ahead_seconds"]) == (200, False, 0)
    assert (before["idle"], before["busy"], before["next_due"]) == (True, [], None)
    status, frozen = await ask(app, {"action": "freeze"})
    assert (status, frozen["frozen"], frozen["moved_seconds"]) == (200, True, 0)
    status, later = await ask(app, {"action": "advance", "seconds": 86_400})
    assert (status, later["moved_seconds"]) == (200, 86_400)
    assert later["epoch_seconds"] == frozen["epoch_seconds"] + 86_400
    assert (await ask(app, {"action": "run-until-idle"}))[1]["moved_seconds"] == 0
    status, running = await ask(app, {"action": "real"})
    assert (status, running["frozen"]) == (200, False)
    assert running["ahead_seconds"] == pytest.approx(86_400, abs=20)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"action": "rewind"},
        {"action": ["freeze"]},
        {"action": "advance"},
        {"action": "advance", "seconds": -1},
        {"action": "advance", "seconds": "6"},
        {"action": "advance", "seconds": True},
        {"action": "advance", "seconds": 1e99},
        {"action": "freeze", "seconds": 1},
    ],
)
async def test_what_makes_no_sense_is_refused(app: App, body: object) -> None:
    status, error = await ask(app, body)
    assert (status, error["code"]) == (400, "ValidationException")


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"X-Forwarded-For": "10.0.0.1"}]
)
async def test_web_pages_and_proxies_are_refused(app: App, headers: dict[str, str]) -> None:
    assert (await ask(app, {"action": "freeze"}, **headers))[0] == 403
    assert not (await ask(app))[1]["frozen"]


async def test_there_is_none_without_dev(tmp_path: Path) -> None:
    app = await _app(tmp_path)
    try:
        status = (await asyncio.to_thread(_status, app.endpoint_url + "/_lambent/clock"))[0]
    finally:
        await app.stop()
    assert status >= 400


def _status(url: str) -> tuple[int]:
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return (response.status,)
    except urllib.error.HTTPError as error:
        with error:
            return (error.code,)
