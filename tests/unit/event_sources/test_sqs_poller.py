"""The SQS poller on a clock that stands still: windows, filters, failures, order, scaling, stopping."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.unit.event_sources.conftest import ARN, Directory, Function, MemoryQueue, broken, mapping_of

from lambent.event_sources.sqs_poller import SqsPoller, SqsTools
from lambent.model.arn import parse_function_reference
from lambent.model.errors import ResourceNotFoundException, ServiceError
from lambent.model.ids import AccountId, Region
from lambent.testing.clock import ManualClock

FUNCTION = parse_function_reference("f", None, account=AccountId("000000000000"), region=Region("us-east-1"))
Start = Callable[..., Any]


class Running:
    """A poller at work."""

    def __init__(self, poller: SqsPoller, reports: list[str | None]) -> None:
        self.poller = poller
        self.reports = reports
        self.task = asyncio.create_task(poller.run())

    async def stop(self) -> None:
        self.poller.stop()
        await self.task
        assert self.poller.in_flight == 0


@pytest.fixture
async def start(tools: SqsTools) -> AsyncIterator[Start]:
    started: list[Running] = []

    def begin(**settings: Any) -> Running:
        reports: list[str | None] = []
        started.append(Running(SqsPoller(mapping_of(**settings), FUNCTION, tools, reports.append), reports))
        return started[-1]

    yield begin
    for running in started:
        running.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running.task


async def test_messages_are_handled_and_deleted(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    running = start()
    await clock.run_for(1)
    queue.put("a", "b", AWSTraceHeader="Root=1-5759e988-bd862e3fe1be46a994272793")
    await clock.run_for(0)
    assert (function.batches, queue.bodies) == ([["a", "b"]], [])
    assert function.requests[0].trace_header == "Root=1-5759e988-bd862e3fe1be46a994272793"
    assert function.requests[0].reference == FUNCTION
    await running.stop()
    queue.put("c")
    await clock.run_for(60)
    assert queue.bodies == ["c"]


async def test_an_idle_mapping_makes_five_long_polls(start: Start, queue: MemoryQueue, clock: ManualClock) -> None:
    start()
    await clock.run_for(19)
    assert queue.polls == 5
    await clock.run_for(20)
    assert queue.polls == 10


async def test_a_window_gathers_until_it_is_over(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start(BatchSize=100, MaximumBatchingWindowInSeconds=10)
    await clock.run_for(30)
    begun = clock.now()
    for body in "abc":
        queue.put(body)
        await clock.run_for(3)
    assert function.batches == []
    await clock.run_for(2)
    assert (function.batches, function.times) == ([["a", "b", "c"]], [begun + 10])
    assert queue.bodies == []


async def test_a_full_batch_does_not_wait_for_its_window(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start(BatchSize=12, MaximumBatchingWindowInSeconds=300)
    queue.put(*[str(number) for number in range(12)])
    await clock.run_for(1)
    assert [len(batch) for batch in function.batches] == [12]


async def test_a_window_of_a_moving_clock(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start(BatchSize=100, MaximumBatchingWindowInSeconds=30)
    await clock.run_for(0)
    queue.put("a")
    await clock.run_for(0)
    clock.advance(3600)  # a jump, over the window and any poll
    await clock.run_for(0)
    assert function.batches == [["a"]]


async def test_what_filters_drop_is_deleted(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start(FilterCriteria={"Filters": [{"Pattern": '{"body": {"keep": [true]}}'}]})
    queue.put('{"keep": true}', '{"keep": false}', "plain")
    await clock.run_for(0)
    assert (function.batches, queue.bodies) == ([['{"keep": true}']], [])


async def test_events_beyond_6_mb_are_several(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start()
    bodies = [str(number) + "x" * 1_000_000 for number in range(10)]
    queue.put(*bodies)
    await clock.run_for(1)
    assert [len(batch) for batch in function.batches] == [6, 4]
    assert max(len(request.payload) for request in function.requests) <= 6 * 1024 * 1024
    assert queue.bodies == []


async def test_failures_come_again_when_their_time_is_over(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start()
    function.fails = lambda bodies: len(function.batches) == 1
    queue.put("a", "b")
    await clock.run_for(29)
    assert function.batches == [["a", "b"]]
    await clock.run_for(25)  # seen with the next poll of a queue that knows no timers
    assert function.batches == [["a", "b"], ["a", "b"]]
    assert queue.bodies == []


async def test_partial_failures(start: Start, queue: MemoryQueue, function: Function, clock: ManualClock) -> None:
    start(FunctionResponseTypes=["ReportBatchItemFailures"])
    function.answer = lambda bodies: {"batchItemFailures": [{"itemIdentifier": "m-b"}] if "b" in bodies else []}
    queue.put("a", "b", "c")
    await clock.run_for(0)
    assert queue.bodies == ["b"]


async def test_answers_count_only_if_they_were_asked_for(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start()
    function.answer = lambda bodies: {"batchItemFailures": [{"itemIdentifier": "m-a"}]}
    queue.put("a")
    await clock.run_for(0)
    assert queue.bodies == []


async def test_throttled_batches_are_tried_again_while_there_is_time(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start()
    function.throttles = 3
    queue.put("a")
    await clock.run_for(5)
    assert (function.batches, queue.messages) == ([["a"]], [])
    assert len(function.requests) == 4


async def test_a_batch_throttled_for_too_long_is_left(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    running = start()
    function.throttles = 10_000
    queue.put("a")
    received_at = clock.now()
    await clock.run_for(29.9)
    assert queue.bodies == ["a"]
    assert function.times[-1] <= received_at + 27  # three seconds are the function's
    assert len(function.times) > 4
    assert running.poller.in_flight == 0


async def test_groups_stay_in_order_though_some_fail(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start(EventSourceArn=f"{ARN}.fifo", FunctionResponseTypes=["ReportBatchItemFailures"], BatchSize=2)
    failures = ["a2"]
    done: list[str] = []

    def answer(bodies: list[str]) -> object:
        for at, body in enumerate(bodies):
            if body in failures:
                failures.remove(body)
                return {"batchItemFailures": [{"itemIdentifier": f"m-{one}"} for one in bodies[at:]]}
            done.append(body)
        return None

    function.answer = answer
    for number in range(1, 6):
        queue.put(f"a{number}", group="a")
        queue.put(f"b{number}", group="b")
    await clock.run_for(200)
    assert queue.bodies == []
    assert [body for body in done if body[0] == "a"] == ["a1", "a2", "a3", "a4", "a5"]
    assert [body for body in done if body[0] == "b"] == ["b1", "b2", "b3", "b4", "b5"]


async def test_one_read_cut_in_two_keeps_groups_in_order(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start(EventSourceArn=f"{ARN}.fifo")
    function.fails = lambda bodies: len(function.batches) == 1
    queue.put(*[str(number) + "x" * 1_000_000 for number in range(8)], group="g")
    await clock.run_for(1)
    assert [len(batch) for batch in function.batches] == [6]  # the last two are of the group that failed
    await clock.run_for(60)
    assert [[body[0] for body in batch] for batch in function.batches[1:]] == [list("012345"), list("67")]


async def test_concurrency_grows_and_is_bounded(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start(BatchSize=1)
    function.takes_s = 1_000
    queue.visibility_s = 10_000
    queue.put(*[str(number) for number in range(500)])
    await clock.run_for(0)
    assert 5 <= function.running <= 10
    await clock.run_for(30)
    assert 140 <= function.running <= 165
    await clock.run_for(120)
    assert function.running == 500


async def test_maximum_concurrency(start: Start, queue: MemoryQueue, function: Function, clock: ManualClock) -> None:
    start(BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    function.takes_s = 1
    queue.put(*[str(number) for number in range(20)])
    await clock.run_for(60)
    assert (function.most, queue.bodies) == (2, [])


async def test_no_message_is_read_that_cannot_be_handled(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start(BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    function.takes_s = 10
    queue.put(*[str(number) for number in range(20)])
    await clock.run_for(5)
    assert sum(message.receives for message in queue.messages) == 2


async def test_a_queue_that_cannot_be_read(start: Start, queue: MemoryQueue, clock: ManualClock) -> None:
    running = start(ScalingConfig={"MaximumConcurrency": 2})
    queue.error = broken("QueueDoesNotExist", "The specified queue does not exist.")
    queue.wake()
    await clock.run_for(300)
    assert queue.polls < 60
    assert running.reports[-1] == "PROBLEM: QueueDoesNotExist: The specified queue does not exist."
    queue.error = None
    queue.put("a")
    await clock.run_for(60)
    assert (running.reports[-1], queue.bodies) == (None, [])


async def test_a_function_that_is_gone(
    start: Start, queue: MemoryQueue, directory: Directory, function: Function, clock: ManualClock
) -> None:
    directory.error = ResourceNotFoundException("Function not found: f")
    running = start()
    queue.put("a")
    await clock.run_for(120)
    assert [message.receives for message in queue.messages] == [0]
    assert running.reports[-1] == "PROBLEM: ResourceNotFoundException: Function not found: f"
    directory.error = None
    await clock.run_for(60)
    assert function.batches == [["a"]]
    assert running.reports[-1] is None


async def test_an_invocation_that_is_refused_leaves_the_messages(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    function.error = ServiceError("ServiceException", "broken", status=500)
    running = start()
    queue.put("a")
    await clock.run_for(5)
    assert queue.bodies == ["a"]
    assert running.poller.in_flight == 0


async def test_deleting_is_tried_again(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    start()
    queue.undeletable = 2
    queue.put("a")
    await clock.run_for(10)
    assert (len(function.batches), queue.bodies) == (1, [])


async def test_stopping_waits_for_what_runs(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    running = start()
    function.takes_s = 5
    queue.put("a")
    await clock.run_for(1)
    running.poller.stop()
    await clock.run_for(1)
    assert not running.task.done()
    assert running.poller.in_flight == 1
    await clock.run_for(5)
    assert running.task.done()
    assert queue.bodies == []


async def test_stopping_gives_back_what_waits_in_a_window(
    start: Start, queue: MemoryQueue, function: Function, clock: ManualClock
) -> None:
    running = start(BatchSize=100, MaximumBatchingWindowInSeconds=300)
    queue.put("a", "b")
    await clock.run_for(1)
    assert running.poller.in_flight == 2
    await running.stop()
    assert queue.given_back == ["m-a", "m-b"]
    assert function.batches == []


async def test_a_poll_given_up_that_brings_messages_gives_them_back(
    queue: MemoryQueue, clock: ManualClock, tools: SqsTools
) -> None:
    elsewhere = dataclasses.replace(tools, cancels=False)
    running = Running(SqsPoller(mapping_of(), FUNCTION, elsewhere, lambda _: None), [])
    await clock.run_for(1)
    running.poller.stop()
    await clock.run_for(1)
    queue.put("late")  # to a poll that is still on its way
    await clock.run_for(20)
    await running.task
    assert queue.given_back == ["m-late"]
    assert queue.bodies == ["late"]
