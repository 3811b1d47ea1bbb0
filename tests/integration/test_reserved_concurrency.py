"""Reserved concurrency on a real server: what runs counts, others are not held up, restarts change nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

_SOURCE = "import time\ndef handler(event, context):\n    time.sleep(event or 0)\n    return 'ran'\n"
RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"


@pytest.fixture(scope="module")
def limited(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    """An account with 101: one can be reserved. The functions `mine` and `other`, warm."""
    server = make_server("--account-concurrency", "101")
    for name in ("mine", "other"):
        server.deploy(name, {"app.py": _SOURCE})
        assert server.invoke(name).payload == "ran"
    yield server
    server.stop()


def throttled(server: RunningServer, name: str) -> str:
    with pytest.raises(server.client("lambda").exceptions.TooManyRequestsException) as refused:
        server.invoke(name)
    answer: Any = refused.value.response
    assert answer["Error"]["Message"] == "Rate Exceeded."
    return str(answer["Reason"])


def wait_until_throttled(server: RunningServer, name: str) -> str:
    """Until the long invocation has begun; the short ones before it all succeed: a reservation of one lets ten a second
    in."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            server.invoke(name)
        except server.client("lambda").exceptions.TooManyRequestsException as refused:
            return str(refused.response["Reason"])
        time.sleep(0.2)
    raise AssertionError("the reservation was never exhausted")


def test_one_reserved_is_one_at_a_time(limited: RunningServer) -> None:
    limited.client("lambda").put_function_concurrency(FunctionName="mine", ReservedConcurrentExecutions=1)
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(limited.invoke, "mine", 2)
        assert wait_until_throttled(limited, "mine") == RESERVED
        assert limited.invoke("other").payload == "ran"
        assert throttled(limited, "mine") == RESERVED
        assert long.result().payload == "ran"
    assert limited.invoke("mine").payload == "ran"


def test_no_concurrency_at_all_survives_a_restart(limited: RunningServer) -> None:
    client = limited.client("lambda")
    client.put_function_concurrency(FunctionName="mine", ReservedConcurrentExecutions=0)
    assert throttled(limited, "mine") == RESERVED
    limited.stop()
    limited.start()
    assert throttled(limited, "mine") == RESERVED
    assert limited.invoke("other").payload == "ran"
    client.delete_function_concurrency(FunctionName="mine")
    assert limited.invoke("mine").payload == "ran"
