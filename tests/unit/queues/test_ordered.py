"""What `lambent.queues.api` promises of queues with groups."""

from __future__ import annotations

import asyncio

import pytest

from lambent.queues.api import Extension, Message, NewMessage, Queues, Redrive, Rescheduling, Settled
from lambent.testing.clock import ManualClock


async def send(queues: Queues, *bodies: str, delay_s: float = 0.0, queue: str = "q") -> None:
    """The first letter is the group."""
    await queues.send([NewMessage(queue, body, body.encode(), group=body[0], delay_s=delay_s) for body in bodies])


async def take(queues: Queues, limit: int = 10, **more: object) -> list[Message]:
    arguments: dict[str, object] = {"lease_s": 30.0, "limit": limit, **more}
    return await queues.receive("q", **arguments)  # type: ignore[arg-type]


def bodies(messages: list[Message]) -> list[str]:
    return [message.body.decode() for message in messages]


async def test_a_group_is_given_out_in_order_and_not_while_any_of_it_is_leased(queues: Queues) -> None:
    await send(queues, "a1", "b1", "a2", "a3", "b2")
    first = await take(queues, 2)
    assert bodies(first) == ["a1", "a2"]
    assert bodies(await take(queues)) == ["b1", "b2"]
    assert await take(queues) == []
    await queues.acknowledge([first[1].receipt])
    assert await take(queues) == []
    await queues.acknowledge([first[0].receipt])
    assert bodies(await take(queues)) == ["a3"]


async def test_what_comes_back_comes_first(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a1", "a2", "a3")
    [first] = await take(queues, 1)
    await queues.extend([Extension(first.receipt, 0)])
    [first] = await take(queues, 1)
    assert first.body == b"a1"
    await queues.reschedule([Rescheduling(first.receipt, 60)])
    assert await take(queues) == []
    clock.advance(60)
    assert bodies(await take(queues)) == ["a1", "a2", "a3"]
    clock.advance(30)
    assert bodies(await take(queues)) == ["a1", "a2", "a3"]


async def test_a_delayed_message_holds_up_its_group(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a1", delay_s=60)
    await send(queues, "a2", "b1")
    [other] = await take(queues)
    assert other.body == b"b1"
    await queues.acknowledge([other.receipt])
    clock.advance(60)
    assert bodies(await take(queues)) == ["a1", "a2"]


async def test_a_freed_group_wakes_a_receiver(queues: Queues) -> None:
    await send(queues, "a1", "a2")
    [first] = await take(queues, 1)
    waiting = asyncio.create_task(take(queues, wait_s=None))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    await queues.acknowledge([first.receipt])
    assert bodies(await asyncio.wait_for(waiting, 5)) == ["a2"]


async def test_dead_letters_make_way(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a1", "a2")
    redrive = Redrive("dead", 1)
    await take(queues, 1, lease_s=1.0)
    clock.advance(1)
    assert bodies(await take(queues, redrive=redrive)) == ["a2"]
    [letter] = await queues.receive("dead", lease_s=30)
    assert (letter.body, letter.group, letter.moved_from) == (b"a1", "a", "q")


async def test_a_group_of_many_behind_a_locked_one_is_found(queues: Queues) -> None:
    await send(queues, *(f"a{number}" for number in range(500)))
    await send(queues, "b1")
    assert len(await take(queues, 10)) == 10
    assert bodies(await take(queues, 10)) == ["b1"]


async def test_a_key_is_used_once_within_its_window(queues: Queues, clock: ManualClock) -> None:
    async def send_key(key: str, name: str) -> tuple[str, bool]:
        message = NewMessage("q", name, name.encode(), group="g", deduplication=key)
        [sent] = await queues.send([message])
        return sent.id, sent.is_duplicate

    assert await send_key("k", "one") == ("one", False)
    assert await send_key("k", "two") == ("one", True)
    await queues.purge("q")
    assert await send_key("k", "three") == ("one", True)
    assert await send_key("other", "four") == ("four", False)
    clock.advance(300)
    assert await send_key("k", "five") == ("five", False)
    await queues.drop("q")
    assert await send_key("k", "six") == ("six", False)
    one, two = await queues.send(
        [NewMessage("q", name, b"", group="g", deduplication="batch") for name in ("first", "second")]
    )
    assert (one.is_duplicate, two.is_duplicate, two.id) == (False, True, "first")


async def test_a_repeated_attempt_gets_the_same_unless_something_happened(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a1", "a2")
    first = await take(queues, 1, attempt="x")
    clock.advance(20)
    again = await take(queues, 1, attempt="x")
    assert again == first
    clock.advance(20)
    assert await take(queues) == []  # the lease began anew
    assert await queues.extend([Extension(first[0].receipt, 100)]) == [Settled.DONE]
    assert await take(queues, 1, attempt="x") == []


async def test_groups_and_their_absence_do_not_mix(queues: Queues) -> None:
    await send(queues, "a1")
    with pytest.raises(ValueError, match="with groups"):
        await queues.send([NewMessage("q", "x", b"")])
    [message] = await take(queues)
    await queues.acknowledge([message.receipt])
    await queues.send([NewMessage("q", "x", b"now")])
    assert bodies(await take(queues)) == ["now"]


async def test_expired_messages_free_their_group(queues: Queues, clock: ManualClock) -> None:
    await send(queues, "a1")
    clock.advance(60)
    await send(queues, "a2")
    assert bodies(await take(queues, retention_s=60.0)) == ["a2"]
    clock.advance(59)
    await send(queues, "a3")
    clock.advance(1)
    assert await queues.expire("q", 60) == 1
    assert bodies(await take(queues)) == ["a3"]
