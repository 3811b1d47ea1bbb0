"""What `lambent.queues.api` promises of queues without groups."""

from __future__ import annotations

import asyncio

import pytest

from lambent.queues.api import (
    Extension,
    InFlightLimitError,
    Message,
    NewMessage,
    Queues,
    Redrive,
    Rescheduling,
    Settled,
    Statistics,
)
from lambent.store.errors import StoreClosedError
from lambent.testing.clock import ManualClock


async def send(queues: Queues, *bodies: str, queue: str = "q", delay_s: float = 0.0) -> None:
    await queues.send([NewMessage(queue, f"id-{body}", body.encode(), delay_s=delay_s) for body in bodies])


async def take(queues: Queues, limit: int = 10, lease_s: float = 30.0, queue: str = "q") -> list[Message]:
    return await queues.receive(queue, limit=limit, lease_s=lease_s)


def bodies(messages: list[Message]) -> list[str]:
    return [message.body.decode() for message in messages]


async def test_a_message_is_given_as_it_was_sent(queues: Queues, clock: ManualClock) -> None:
    [sent] = await queues.send([NewMessage("q", "an id", b"\x00body\xff", b"attributes")])
    clock.advance(2)
    [message] = await take(queues)
    assert (message.id, message.body, message.attributes) == ("an id", b"\x00body\xff", b"attributes")
    assert message.sequence == sent.sequence
    assert message.receives == 1
    assert message.sent_ms == round((clock.now() - 2) * 1000)
    assert message.first_received_ms == round(clock.now() * 1000)
    assert message.group is None
    assert message.moved_from is None


async def test_messages_come_in_the_order_they_were_sent(queues: Queues) -> None:
    names = [f"{number:03}" for number in range(100)]
    await send(queues, *names)
    got: list[str] = []
    while len(got) < len(names):
        got += bodies(await take(queues, limit=7))
    assert got == names


async def test_queues_know_nothing_of_each_other(queues: Queues) -> None:
    await send(queues, "a", queue="one")
    await send(queues, "b", queue="other")
    assert bodies(await take(queues, queue="one")) == ["a"]
    assert bodies(await take(queues, queue="other")) == ["b"]
    assert await take(queues, queue="third") == []


async def test_a_leased_message_is_nobody_elses_until_the_lease_ends(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a")
    [first] = await take(queues, lease_s=30)
    assert await take(queues) == []
    clock.advance(29.999)
    assert await take(queues) == []
    clock.advance(0.001)
    [second] = await take(queues)
    assert second.receives == 2
    assert second.first_received_ms == first.first_received_ms
    assert second.receipt != first.receipt


async def test_a_delayed_message_is_not_due_before(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "late", delay_s=5)
    await send(queues, "now")
    assert bodies(await take(queues)) == ["now"]
    clock.advance(5)
    assert bodies(await take(queues)) == ["late"]


async def test_an_acknowledged_message_is_gone(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a", "b")
    a, b = await take(queues)
    assert await queues.acknowledge([a.receipt]) == [Settled.DONE]
    assert await queues.acknowledge([a.receipt, b.receipt]) == [Settled.GONE, Settled.DONE]
    clock.advance(3600)
    assert await take(queues) == []
    assert queues.depth("q") == 0


async def test_a_receipt_is_void_once_another_has_the_message(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a")
    [zombie] = await take(queues, lease_s=1)
    clock.advance(1)
    [owner] = await take(queues)
    assert await queues.acknowledge([zombie.receipt]) == [Settled.STALE]
    assert await queues.extend([Extension(zombie.receipt, 0)]) == [Settled.STALE]
    assert await queues.reschedule([Rescheduling(zombie.receipt, 0)]) == [Settled.STALE]
    assert await take(queues) == []
    assert await queues.acknowledge([owner.receipt]) == [Settled.DONE]


async def test_after_its_lease_a_receipt_acknowledges_unless_it_must_be_leased(
    queues: Queues, clock: ManualClock
) -> None:
    await send(queues, "a")
    [message] = await take(queues, lease_s=1)
    clock.advance(1)
    assert await queues.acknowledge([message.receipt], leased_only=True) == [Settled.EXPIRED]
    assert await queues.extend([Extension(message.receipt, 30)]) == [Settled.EXPIRED]
    assert await queues.acknowledge([message.receipt]) == [Settled.DONE]
    assert await take(queues) == []


async def test_leases_are_extended_and_ended(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a")
    [message] = await take(queues, lease_s=10)
    assert await queues.extend([Extension(message.receipt, 60)]) == [Settled.DONE]
    clock.advance(59)
    assert await take(queues) == []
    assert await queues.extend([Extension(message.receipt, 0)]) == [Settled.DONE]
    assert await queues.extend([Extension(message.receipt, 10)]) == [Settled.EXPIRED]
    [again] = await take(queues)
    assert again.receives == 2


async def test_a_message_is_handed_back_for_later_with_other_attributes(queues: Queues, clock: ManualClock) -> None:
    await queues.send([NewMessage("q", "id", b"body", b"attempt 1")])
    [message] = await take(queues)
    assert await queues.reschedule([Rescheduling(message.receipt, 60, b"attempt 2")]) == [Settled.DONE]
    assert await queues.acknowledge([message.receipt]) == [Settled.STALE]
    assert await queues.statistics("q") == Statistics(0, 0, 1, message.sent_ms)
    clock.advance(60)
    [again] = await take(queues)
    assert (again.body, again.attributes, again.receives) == (b"body", b"attempt 2", 2)
    assert await queues.reschedule([Rescheduling(again.receipt, 0)]) == [Settled.DONE]
    [third] = await take(queues)
    assert third.attributes == b"attempt 2"


async def test_what_was_received_too_often_becomes_a_dead_letter(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a", "b")
    redrive = Redrive("dead", 2)
    for _ in range(2):
        assert len(await queues.receive("q", limit=10, lease_s=1, redrive=redrive)) == 2
        clock.advance(1)
    await send(queues, "c")
    assert bodies(await queues.receive("q", limit=10, lease_s=1, redrive=redrive)) == ["c"]
    letters = await take(queues, queue="dead")
    assert [(one.body, one.receives, one.moved_from, one.id) for one in letters] == [
        (b"a", 3, "q", "id-a"),
        (b"b", 3, "q", "id-b"),
    ]
    assert (queues.depth("q"), queues.depth("dead")) == (1, 2)


async def test_receives_elsewhere_do_not_count_for_the_dead_letter_queues_own_redrive(
    queues: Queues, clock: ManualClock
) -> None:
    await send(queues, "a")
    await queues.receive("q", lease_s=0, redrive=Redrive("dead", 1))
    assert await queues.receive("q", lease_s=0, redrive=Redrive("dead", 1)) == []
    assert len(await queues.receive("dead", lease_s=0, redrive=Redrive("deader", 1))) == 1
    assert await queues.receive("dead", lease_s=0, redrive=Redrive("deader", 1)) == []
    assert queues.depth("deader") == 1


async def test_nobody_gets_a_message_twice_in_one_receive(queues: Queues) -> None:
    await send(queues, "dead", "a", "b")
    [first] = await take(queues, limit=1, lease_s=0)
    assert first.body == b"dead"
    got = await queues.receive("q", limit=10, lease_s=0, redrive=Redrive("elsewhere", 1))
    assert bodies(got) == ["a", "b"]


async def test_many_dead_letters_before_the_first_message_to_give_out(queues: Queues) -> None:
    await send(queues, *(f"{number}" for number in range(1000)))
    assert len(await take(queues, limit=500, lease_s=0)) == 500
    got = await queues.receive("q", limit=10, lease_s=30, redrive=Redrive("dead", 1))
    assert len(got) == 10
    assert all(message.receives == 1 for message in got)


async def test_messages_are_moved_as_if_sent_now(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a", "b", "c")
    await queues.receive("q", lease_s=0, limit=3, redrive=Redrive("dead", 1))
    await queues.receive("q", lease_s=0, limit=3, redrive=Redrive("dead", 1))
    clock.advance(100)
    moved = await queues.move("dead", ["new-1", "new-2"], None)
    assert (moved.count, moved.has_stopped) == (2, False)
    got = await take(queues)
    assert [(one.body, one.id, one.receives, one.moved_from) for one in got] == [
        (b"a", "new-1", 1, None),
        (b"b", "new-2", 1, None),
    ]
    assert got[0].sent_ms == round(clock.now() * 1000)
    moved = await queues.move("dead", ["new-3", "new-4"], "elsewhere")
    assert (moved.count, moved.has_stopped) == (1, False)
    assert bodies(await take(queues, queue="elsewhere")) == ["c"]


async def test_what_was_moved_from_nowhere_is_not_moved_back(queues: Queues) -> None:
    await send(queues, "a")
    moved = await queues.move("q", ["new"], None)
    assert (moved.count, moved.has_stopped) == (0, True)
    assert bodies(await take(queues)) == ["a"]


async def test_expired_messages_are_not_given_out(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "old")
    clock.advance(60)
    await send(queues, "young")
    got = await queues.receive("q", limit=10, lease_s=1, retention_s=60)
    assert bodies(got) == ["young"]
    assert queues.depth("q") == 1
    clock.advance(60)
    assert await queues.expire("q", 60) == 1
    assert queues.depth("q") == 0


async def test_purging_takes_what_is_leased_as_well(queues: Queues) -> None:
    await send(queues, *"abc")
    [message] = await take(queues, limit=1)
    await queues.purge("q")
    assert queues.depth("q") == 0
    assert await queues.acknowledge([message.receipt]) == [Settled.GONE]
    await send(queues, "new")
    assert bodies(await take(queues)) == ["new"]


async def test_a_dropped_queue_begins_anew(queues: Queues) -> None:
    await send(queues, *"abc")
    await queues.drop("q")
    assert await take(queues) == []
    assert queues.names() == []
    await send(queues, "new")
    assert bodies(await take(queues)) == ["new"]


async def test_queues_with_messages_are_known(queues: Queues) -> None:
    await send(queues, "a", queue="async/one")
    await send(queues, "a", queue="async/two")
    await send(queues, "a", queue="sqs/one")
    [message] = await take(queues, queue="async/one")
    await queues.acknowledge([message.receipt])
    assert queues.names("async/") == ["async/two"]
    assert queues.names() == ["async/two", "sqs/one"]


async def test_statistics(queues: Queues, clock: ManualClock) -> None:
    assert await queues.statistics("q") == Statistics(0, 0, 0, None)
    start = round(clock.now() * 1000)
    await send(queues, *"abc")
    clock.advance(1)
    await send(queues, "d", delay_s=10)
    [message] = await take(queues, limit=1, lease_s=5)
    assert await queues.statistics("q") == Statistics(2, 1, 1, start)
    await queues.acknowledge([message.receipt])
    clock.advance(10)
    assert await queues.statistics("q") == Statistics(3, 0, 0, start)


async def test_no_more_are_leased_than_may_be(queues: Queues, clock: ManualClock) -> None:
    await send(queues, *"abcd")

    async def one() -> Message:
        [message] = await queues.receive("q", lease_s=10, in_flight_max=2)
        return message

    first = await one()
    await one()
    with pytest.raises(InFlightLimitError):
        await one()
    await queues.acknowledge([first.receipt])
    await one()
    with pytest.raises(InFlightLimitError):
        await one()
    clock.advance(10)
    await one()


async def test_a_send_is_atomic(queues: Queues) -> None:
    await send(queues, "a")
    with pytest.raises(ValueError, match="without groups"):
        await queues.send([NewMessage("new", "1", b""), NewMessage("q", "2", b"", group="g")])
    assert queues.depth("new") == 0
    assert queues.depth("q") == 1


# ---- waiting


async def waiter(queues: Queues, wait_s: float | None = None, queue: str = "q") -> asyncio.Task[list[Message]]:
    task = asyncio.create_task(queues.receive(queue, lease_s=30, wait_s=wait_s))
    await asyncio.sleep(0.02)
    assert not task.done()
    return task


async def test_a_send_wakes_one_receiver(queues: Queues) -> None:
    waiting = [await waiter(queues) for _ in range(3)]
    await send(queues, "a")
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=5)
    assert [bodies(task.result()) for task in done] == [["a"]]
    assert len(pending) == 2
    await send(queues, "b")
    await send(queues, "c")
    await asyncio.wait_for(asyncio.gather(*pending), 5)
    got = sorted(body for task in pending for body in bodies(task.result()))
    assert got == ["b", "c"]


async def test_nobody_is_forgotten_when_much_comes_at_once(queues: Queues) -> None:
    waiting = [asyncio.create_task(queues.receive("q", lease_s=30, wait_s=None)) for _ in range(20)]
    await asyncio.sleep(0.02)
    await send(queues, *(f"{number}" for number in range(20)))
    got = await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert sorted(len(messages) for messages in got) == [1] * 20


async def test_the_end_of_a_delay_wakes(queues: Queues, clock: ManualClock) -> None:
    waiting = await waiter(queues)
    await send(queues, "a", delay_s=3600)
    await asyncio.sleep(0.02)
    await clock.run_for(3599)
    assert not waiting.done()
    await clock.run_for(1)
    assert bodies(await asyncio.wait_for(waiting, 5)) == ["a"]


async def test_the_end_of_a_lease_wakes(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a")
    await take(queues, lease_s=100)
    waiting = await waiter(queues)
    await clock.run_for(100)
    assert bodies(await asyncio.wait_for(waiting, 5)) == ["a"]


async def test_a_lease_ended_by_its_holder_wakes(queues: Queues) -> None:
    await send(queues, "a")
    [message] = await take(queues)
    waiting = await waiter(queues)
    await queues.extend([Extension(message.receipt, 0)])
    assert bodies(await asyncio.wait_for(waiting, 5)) == ["a"]


async def test_waiting_ends(queues: Queues) -> None:
    assert await queues.receive("q", lease_s=1, wait_s=0.01) == []


async def test_a_cancelled_receiver_takes_nothing(queues: Queues) -> None:
    gone = await waiter(queues)
    gone.cancel()
    await asyncio.wait([gone])
    await send(queues, "a")
    hurried = asyncio.create_task(queues.receive("q", lease_s=30))
    await asyncio.sleep(0)  # it has asked the writer's thread
    if not hurried.cancel():
        return  # it had its answer at once
    await asyncio.wait([hurried])
    [message] = await queues.receive("q", lease_s=30, wait_s=5)
    assert message.receives == 1
    assert message.body == b"a"


async def test_receivers_that_wait_are_told_of_the_end(queues: Queues) -> None:
    waiting = await waiter(queues)
    await queues.close()
    with pytest.raises(StoreClosedError):
        await waiting


async def test_leases_of_a_queue_are_ended_together(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a", "b")
    await send(queues, "later", delay_s=50)
    await send(queues, "other", queue="other")
    held = await take(queues, lease_s=1e8)
    await take(queues, queue="other", lease_s=1e8)
    assert await queues.release("q") == 2
    assert await queues.release("nothing") == 0
    assert await queues.acknowledge([message.receipt for message in held]) == [Settled.STALE, Settled.STALE]
    assert sorted(bodies(await take(queues, lease_s=1000))) == ["a", "b"]
    assert await take(queues, queue="other") == []
    clock.advance(50)
    assert bodies(await take(queues)) == ["later"]
