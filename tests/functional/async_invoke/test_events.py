"""What becomes of an event: runs, retries, ages, destinations, dead letters."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lambent.aws_client.errors import AwsError, AwsUnreachableError
from lambent.model.arn import FunctionId, FunctionReference
from lambent.model.errors import (
    InvalidRequestContentException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.model.ids import AccountId, Region, RequestId
from lambent.model.tracing import parse_trace_header
from lambent.store.api import ALIASES, Put, StoreFullError

QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"
DEAD = "arn:aws:sqs:us-east-1:000000000000:dead"
DLQ = {"without_effect": {"DeadLetterConfig": {"TargetArn": DEAD}}}


def fail(event: Any, _: Any) -> Any:
    raise ValueError("it fails")


async def test_an_event_is_run_once(world: Any) -> None:
    await world.create("f")
    request_id = await world.send("f", {"a": 1})
    await world.settle()
    [(_, name, invocation)] = world.worker.runs
    assert (name, invocation.request_id, invocation.payload) == ("f", request_id, b'{"a": 1}')
    assert world.is_empty
    assert world.sent == []


async def test_function_errors_are_tried_again_after_one_and_two_minutes_with_the_same_request_id(world: Any) -> None:
    await world.create("f", fail)
    await world.configure("f", OnFailure=QUEUE)
    request_id = await world.send("f")
    await world.run_for(3600)
    assert world.times("f") == [0, 60, 180]
    assert {invocation.request_id for _, _, invocation in world.worker.runs} == {request_id}
    traces = {parse_trace_header(invocation.trace_header).root for _, _, invocation in world.worker.runs}
    assert len(traces) == 1
    [record] = world.records()
    assert record["requestContext"] == {
        "requestId": request_id,
        "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    }
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert record["responsePayload"]["errorMessage"] == "it fails"
    assert world.is_empty


@pytest.mark.parametrize(
    ("given", "times", "condition"),
    [
        ({"maximum_retry_attempts": 0}, [0], "RetriesExhausted"),
        ({"maximum_retry_attempts": 1}, [0, 60], "RetriesExhausted"),
        ({"maximum_event_age_s": 90}, [0, 60], "EventAgeExceeded"),
    ],
)
async def test_settings_of_retries(world: Any, given: Any, times: list[float], condition: str) -> None:
    await world.create("f", fail)
    await world.configure("f", OnFailure=QUEUE, **given)
    await world.send("f")
    await world.run_for(600)
    assert world.times("f") == times
    [record] = world.records()
    assert record["requestContext"]["condition"] == condition
    assert record["requestContext"]["approximateInvokeCount"] == len(times)


async def test_a_retry_that_succeeds_is_a_success(world: Any) -> None:
    answers: Any = iter([fail, lambda event, _: "at last"])
    await world.create("f", lambda event, invocation: next(answers)(event, invocation))
    await world.configure("f", OnSuccess=QUEUE, OnFailure=DEAD)
    await world.send("f", [1])
    await world.run_for(600)
    [record] = world.records()
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert (record["requestPayload"], record["responsePayload"]) == ([1], "at last")
    assert [delivery.target for delivery in world.sent] == [QUEUE]


async def test_settings_are_those_of_what_was_named(world: Any) -> None:
    await world.create("f", fail)
    await world.publish("f", "1")
    await world.configure("f", "1", OnFailure=QUEUE, maximum_retry_attempts=0)
    await world.send("f", qualifier="1")
    await world.send("f")
    await world.run_for(1)
    [record] = world.records()
    assert record["requestContext"]["functionArn"].endswith(":f:1")
    assert record["responseContext"]["executedVersion"] == "1"
    assert len(world.times("f")) == 2
    await world.run_for(600)
    assert len(world.times("f")) == 4


async def test_an_alias_is_resolved_when_the_event_is_run(world: Any) -> None:
    await world.create("f", fail)
    for number in ("1", "2"):
        await world.publish("f", number)

    async def point(version: str) -> None:
        document = {
            "function": {"account": "000000000000", "region": "us-east-1", "name": "f"},
            "name": "live",
            "function_version": version,
            "revision_id": "r",
        }
        await world.store.commit([Put(ALIASES, "000000000000/us-east-1/f/live", document)])

    await point("1")
    await world.configure("f", "live", OnFailure=QUEUE, maximum_retry_attempts=1)
    await world.send("f", qualifier="live")
    await world.run_for(30)
    await point("2")
    await world.run_for(60)
    [record] = world.records()
    assert record["requestContext"]["functionArn"].endswith(":f:live")
    assert record["responseContext"]["executedVersion"] == "2"


async def test_throttled_events_wait_and_lose_no_attempt(world: Any) -> None:
    version = await world.create("f", fail)
    await world.reserve(f=1)
    await world.configure("f", OnFailure=QUEUE, maximum_retry_attempts=0)
    await world.reservations.refresh()
    permit = world.counting.try_acquire(version.function)
    await world.send("f")
    await world.run_for(100)
    assert world.times("f") == []
    permit.release()
    await world.run_for(300)
    assert len(world.times("f")) == 1
    [record] = world.records()
    assert record["requestContext"]["condition"] == "RetriesExhausted"


async def test_events_that_are_throttled_for_too_long_end(world: Any) -> None:
    version = await world.create("f", **DLQ)
    await world.reserve(f=1)
    await world.reservations.refresh()
    world.counting.try_acquire(version.function)
    await world.configure("f", OnFailure=QUEUE, maximum_event_age_s=3600)
    for _ in range(20):
        await world.send("f")
    await world.run_for(3600 + 600)
    assert world.is_empty
    assert world.times("f") == []
    records = world.records()
    assert len(records) == 20
    assert {record["requestContext"]["condition"] for record in records} == {"EventAgeExceeded"}
    assert not any("responseContext" in record for record in records)
    assert {delivery.error_code for delivery in world.sent if delivery.is_dead_letter} == {429}
    assert world.counted("AsyncEventsDropped") == 20


async def test_without_reserved_concurrency_events_end_at_once(world: Any) -> None:
    await world.create("f", **DLQ)
    await world.configure("f", OnFailure=QUEUE)
    await world.reserve(f=0)
    request_id = await world.send("f", {"a": 1})
    await world.settle()
    assert world.times("f") == []
    [record] = world.records()
    assert record["requestContext"] == {
        "requestId": request_id,
        "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
        "condition": "ZeroReservedConcurrency",
        "approximateInvokeCount": 0,
    }
    assert not {"responseContext", "responsePayload"} & set(record)
    [dead] = [delivery for delivery in world.sent if delivery.is_dead_letter]
    assert (dead.target, dead.body, dead.request_id) == (DEAD, b'{"a": 1}', request_id)


async def test_a_dead_letter_has_the_event_and_the_error(world: Any) -> None:
    await world.create("f", fail, **DLQ)
    await world.configure("f", maximum_retry_attempts=0)
    request_id = await world.send("f", {"a": 1})
    await world.settle()
    [dead] = world.sent
    assert (dead.body, dead.request_id) == (b'{"a": 1}', request_id)
    assert (dead.error_code, dead.error_message) == (200, "it fails")
    assert dead.role_arn == "arn:aws:iam::000000000000:role/r"


async def test_events_of_a_function_that_was_deleted_are_dropped(world: Any) -> None:
    await world.create("f", fail, **DLQ)
    await world.send("f")
    await world.settle()
    await world.delete("f")
    await world.run_for(61)
    assert world.is_empty
    assert world.sent == []
    assert world.counted("AsyncEventsDropped") == 1


async def test_failures_of_the_platform_are_tried_again_until_they_pass(world: Any) -> None:
    left = [1, 2, 3]

    def breaks(event: Any, _: Any) -> Any:
        if left:
            left.pop()
            raise world.PlatformBreaks("a fault of ours")
        return event

    await world.create("f", breaks)
    await world.send("f")
    await world.run_for(60)
    assert world.times("f") == [0, 1, 3, 7]
    assert world.is_empty


async def test_a_loop_ends_in_the_failure_destination(world: Any) -> None:
    await world.create("f", **DLQ)
    await world.configure("f", OnFailure=QUEUE)
    header = "Root=1-5759e988-bd862e3fe1be46a994272793"
    for _ in range(16):
        await world.send("f", trace_header=header)
        await world.settle()
        header = world.worker.runs[-1][2].trace_header
    await world.send("f", trace_header=header)
    await world.settle()
    assert len(world.worker.runs) == 16
    [record] = world.records()
    assert record["responseContext"] == {"statusCode": 400, "functionError": "RecursiveInvocationException"}
    assert [delivery.error_code for delivery in world.sent if delivery.is_dead_letter] == [400]
    assert world.sent[0].trace_header == header


async def test_records_carry_the_chain_of_calls_on(world: Any) -> None:
    await world.create("f")
    await world.configure("f", OnSuccess="arn:aws:lambda:us-east-1:000000000000:function:g")
    await world.send("f")
    await world.settle()
    [delivery] = world.sent
    [(_, _, invocation)] = world.worker.runs
    assert delivery.trace_header == invocation.trace_header


async def test_deliveries_are_tried_again_until_they_are_taken(world: Any) -> None:
    await world.create("f", fail, **DLQ)
    await world.configure("f", OnFailure=QUEUE, maximum_retry_attempts=0)
    world.refusals = [AwsUnreachableError("no answer"), AwsError("Throttling", "", 400), AwsError("Oops", "", 500)]
    await world.send("f")
    await world.run_for(0)
    assert len(world.sent) == 0
    await world.run_for(10)
    assert sorted(delivery.target for delivery in world.sent) == [DEAD, QUEUE]
    assert world.counted("DeadLetterErrors") + world.counted("DestinationDeliveryFailures") == 3
    assert world.is_empty


async def test_what_may_not_be_delivered_is_given_up_and_counted(world: Any, caplog: Any) -> None:
    await world.create("f", fail)
    await world.configure("f", OnFailure=QUEUE, maximum_retry_attempts=0)
    world.refusals = [AwsError("AccessDenied", "User is not authorized to perform: sqs:SendMessage", 403)]
    await world.send("f")
    await world.run_for(100)
    assert world.sent == []
    assert world.is_empty
    assert world.counted("DestinationDeliveryFailures") == 1
    assert "a record of an asynchronous invocation is lost" in caplog.text


async def test_one_functions_backlog_does_not_delay_anothers_events(world: Any) -> None:
    holds: list[Any] = []

    def hold(event: Any, _: Any) -> Any:
        holds.append(world.Held())
        return holds[-1]

    await world.create("noisy", hold)
    await world.create("quiet")
    for _ in range(100):
        await world.send("noisy")
    while len(holds) < 16:
        await asyncio.sleep(0.001)
    await world.send("quiet")
    async with asyncio.timeout(10):
        while not world.times("quiet"):
            await asyncio.sleep(0.001)
    assert len(holds) == 16  # bounded
    while len(world.times("noisy")) < 100 or not all(one.ended.is_set() for one in holds):
        for one in holds:
            one.ended.set()
        await asyncio.sleep(0.001)
    await world.settle()
    assert world.is_empty


async def test_an_event_survives_a_restart_at_any_stage(world: Any) -> None:
    held: list[Any] = []

    def handler(event: Any, invocation: Any) -> Any:
        if event == "held" and len(held) < 1:
            held.append(world.Held())
            return held[-1]
        if event == "fails":
            raise ValueError("it fails")
        return event

    await world.create("f", handler)
    await world.configure("f", OnSuccess=QUEUE, OnFailure=QUEUE)
    ids = {event: await world.send("f", event) for event in ("held", "fails", "fine")}
    world.refusals = [AwsUnreachableError("no answer")] * 3
    while not held or len(world.worker.runs) < 3:
        await asyncio.sleep(0.001)
    await world.restart()
    await world.run_for(600)
    ended = {record["requestContext"]["requestId"]: record["requestContext"] for record in world.records()}
    assert set(ended) == set(ids.values())
    assert ended[ids["fails"]]["approximateInvokeCount"] == 3
    assert ended[ids["held"]]["condition"] == "Success"
    assert world.is_empty


@pytest.mark.parametrize(
    ("name", "payload", "error"),
    [
        ("missing", b"{}", ResourceNotFoundException),
        ("f", b"{no", InvalidRequestContentException),
    ],
)
async def test_what_is_refused_at_once(world: Any, name: str, payload: bytes, error: type[ServiceError]) -> None:
    await world.create("f")
    reference = FunctionReference(FunctionId(AccountId("000000000000"), Region("us-east-1"), name), None)
    with pytest.raises(error):
        await world.acceptance.accept(reference, payload, RequestId("id"), None)
    assert world.is_empty


async def test_it_tells_when_something_is_due_next(world: Any) -> None:
    """What moves a development server's clock until all is done."""
    parts = (world.dispatcher.consumers, world.outbox.consumers)

    def next_due() -> float | None:
        return min((due for part in parts if (due := part.next_due()) is not None), default=None)

    await world.create("f", fail)
    await world.configure("f", OnFailure=QUEUE)
    world.refusals = [AwsUnreachableError("no answer")]
    begin = world.clock.now()
    await world.send("f")
    assert not all(part.is_idle() for part in parts)
    await world.settle()
    stops = []
    while (due := next_due()) is not None:
        stops.append(due - begin)
        world.clock.advance(due - world.clock.now())
        for _ in range(20):
            await asyncio.sleep(0)
        await world.settle()
    assert world.is_empty
    assert len(world.records()) == 1
    assert [round(stop) for stop in stops] == [60, 180, 181]


async def test_a_full_disk_delays_what_follows_a_run(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.create("f")
    acknowledge, reschedule = world.queues.acknowledge, world.queues.reschedule
    failures = {"acknowledge": 1, "reschedule": 2}

    async def fails(name: str, call: Any, *arguments: Any) -> Any:
        if failures[name]:
            failures[name] -= 1
            raise StoreFullError("no space")
        return await call(*arguments)

    monkeypatch.setattr(world.queues, "acknowledge", lambda given: fails("acknowledge", acknowledge, given))
    monkeypatch.setattr(world.queues, "reschedule", lambda given: fails("reschedule", reschedule, given))
    request_id = await world.send("f")
    while failures["reschedule"] == 2:
        await asyncio.sleep(0.001)
    for _ in range(4):  # what waits holds on to its event, so the world is not idle
        world.clock.advance(60)
        await asyncio.sleep(0.05)
    await world.settle()
    assert world.is_empty
    assert [invocation.request_id for _, _, invocation in world.worker.runs] == [request_id] * 2


async def wait_for(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_slow_function_gets_more_concurrency_with_time(world: Any) -> None:
    holds: list[Any] = []

    def hold(event: Any, _: Any) -> Any:
        holds.append(world.Held())
        return holds[-1]

    await world.create("f", hold)
    for _ in range(40):
        await world.send("f")
    for count in (16, 24, 36):
        await wait_for(lambda count=count: len(holds) >= count)
        await asyncio.sleep(0.02)
        assert len(holds) == count
        world.clock.advance(1)
    await wait_for(lambda: len(holds) == 40)
    for one in holds:
        one.ended.set()
    await world.settle()


async def test_room_that_others_leave_is_found_while_a_long_run_goes_on(world: Any) -> None:
    holds: list[Any] = []

    def hold(event: Any, _: Any) -> Any:
        holds.append(world.Held())
        return holds[-1]

    version = await world.create("f", hold)
    await world.reserve(f=2)
    await world.reservations.refresh()
    permit = world.counting.try_acquire(version.function)  # somebody else's
    for _ in range(2):
        await world.send("f")
    await wait_for(lambda: holds)
    permit.release()
    for _ in range(20):
        world.clock.advance(1)
        await asyncio.sleep(0.01)
    await wait_for(lambda: len(holds) == 2)
    for one in holds:
        one.ended.set()
    await world.settle()
    assert world.is_empty


async def test_a_long_run_does_not_hold_up_quick_ones_after_a_throttle(world: Any) -> None:
    held = world.Held()
    version = await world.create("f", lambda event, _: held if event == "long" else event)
    await world.reserve(f=1)
    await world.reservations.refresh()
    await world.send("f", "long")
    await wait_for(lambda: world.times("f"))
    for _ in range(50):
        await world.send("f", "quick")
    for _ in range(10):  # throttled: one runs already
        world.clock.advance(1)
        await asyncio.sleep(0.01)
    assert len(world.times("f")) == 1
    assert world.counting.in_use(version.function) == 1
    await world.reserve(f=100)
    for _ in range(30):
        world.clock.advance(5)
        await asyncio.sleep(0.01)
    await wait_for(lambda: len(world.times("f")) == 51)
    held.ended.set()
    await world.settle()
    assert world.is_empty
