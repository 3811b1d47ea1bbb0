"""The engine's writer: carries out a group of requests in one transaction, on its own thread.

All requests of a group are of callers that wait at the same time, so they may be done in any order: first what is
sent, then what is settled, last what is leased, each sort with few statements for all of its callers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lambent.queues.api import Moved, NewMessage, Sent
from lambent.queues.boxes import Boxes
from lambent.queues.claiming import Claimer, sort_of
from lambent.queues.moving import Mover
from lambent.queues.ordered import Deduplications, Groups
from lambent.queues.requests import Claim, Empty, Expire, Move, Outcome, Release, Request, Send, Settle, Sweep
from lambent.queues.schema import STEPS
from lambent.queues.settling import Settler
from lambent.queues.statements import Inserter, delete_messages
from lambent.queues.sweeping import sweep
from lambent.store.group_writer import GroupWriter
from lambent.store.sqlite_file import open_writer

_CACHE_KIB: Final = 32 * 1024

_MESSAGE_COLUMNS: Final = ("sequence", "box", "due_ms", "sent_ms", "grp", "id", "attributes")
_DUE: Final = "SELECT sequence, grp, moved_from FROM messages WHERE box = ? AND due_ms <= ? ORDER BY due_ms LIMIT ?"
_LEASED_GROUPS: Final = (
    "SELECT DISTINCT grp FROM messages WHERE box = ? AND due_ms > ? AND is_leased = 1 AND grp IS NOT NULL"
)
_RELEASE: Final = (
    "UPDATE messages SET due_ms = ?, is_leased = 0, lease = lease + 1 WHERE box = ? AND due_ms > ? AND is_leased = 1"
)
_OLD: Final = "SELECT sequence, grp FROM messages WHERE box = ? AND sent_ms <= ? ORDER BY sent_ms LIMIT ?"


class QueueWriter(GroupWriter[Request, Outcome]):
    """`on_committed` is called on the loop with what each request did and whether its caller is gone."""

    def __init__(self, path: Path, on_committed: Callable[[Request, Outcome, bool], None]) -> None:
        super().__init__(path, self._load, "lambent-queue-writer")
        self._on_committed = on_committed
        self._depths: dict[str, int] = {}

    async def open(self) -> dict[str, int]:
        """Start. The queues that hold messages, and how many. Raises as `open_writer`."""
        await self.start()
        return self._depths

    def _load(self) -> sqlite3.Connection:
        # A backlog may be of many gigabytes: reading all of it for damage would make a restart after a crash long.
        connection = open_writer(self._path, STEPS, check_after_crash=False, shortens=True)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._set_up(connection)
        self._depths = self._boxes.load()
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        self._boxes = Boxes(connection)
        self._groups = Groups(connection)
        self._deduplications = Deduplications(connection)
        self._mover = Mover(connection, self._boxes, self._groups)
        self._claimer = Claimer(connection, self._boxes, self._groups, self._mover)
        self._settler = Settler(connection, self._boxes, self._groups)
        self._messages = Inserter(connection, "messages", _MESSAGE_COLUMNS)
        self._bodies = Inserter(connection, "bodies", ("sequence", "body"))

    def _committed(self, request: Request, outcome: Outcome, abandoned: bool) -> None:
        self._on_committed(request, outcome, abandoned)

    def _transaction(self, requests: Sequence[Request]) -> list[Outcome | Exception]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            outcomes = self._carry_out(requests)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
                self._boxes.forget()
        for outcome in outcomes:
            if not isinstance(outcome, Exception):
                for queue in outcome.depths:
                    outcome.depths[queue] = self._boxes.keep(queue)
        return outcomes

    def _carry_out(self, requests: Sequence[Request]) -> list[Outcome | Exception]:
        done: dict[int, Outcome | Exception] = {}
        sends, settles, claims = [], [], []
        for place, request in enumerate(requests):
            if isinstance(request, Send):
                sends.append((place, request))
            elif isinstance(request, Settle):
                settles.append((place, request))
            elif isinstance(request, Claim):
                claims.append((place, request))
        if sends:
            done.update(self._send(sends))
        if settles:
            settled = self._settler.settle([request for _, request in settles])
            done.update(zip((place for place, _ in settles), settled, strict=True))
        for place, request in enumerate(requests):
            if not isinstance(request, Send | Settle | Claim):
                done[place] = self._upkeep(request)
        for alike in _grouped(claims):
            claimed = self._claimer.claim([claim for _, claim in alike])
            done.update(zip((place for place, _ in alike), claimed, strict=True))
        return [done[place] for place in range(len(requests))]

    # ---- sending

    def _send(self, sends: Sequence[tuple[int, Send]]) -> dict[int, Outcome | Exception]:
        outcomes: dict[int, Outcome | Exception] = {}
        rows: list[tuple[object, ...]] = []
        bodies: list[tuple[int, bytes]] = []
        for place, send in sends:
            try:
                for message in send.messages:  # before anything of it is written
                    self._boxes.make(message.queue, message.group is not None)
            except ValueError as error:
                outcomes[place] = error
                continue
            outcome = outcomes[place] = Outcome()
            first = self._boxes.sequences(len(send.messages))
            outcome.result = [
                self._accept(message, first + at, send.now_ms, outcome, rows, bodies)
                for at, message in enumerate(send.messages)
            ]
        self._messages.insert(rows)
        self._bodies.insert(bodies)
        return outcomes

    def _accept(
        self,
        message: NewMessage,
        sequence: int,
        now_ms: int,
        outcome: Outcome,
        rows: list[tuple[object, ...]],
        bodies: list[tuple[int, bytes]],
    ) -> Sent:
        box = self._boxes.make(message.queue, message.group is not None)
        due_ms = now_ms + round(message.delay_s * 1000)
        if message.deduplication is not None:
            found = self._deduplications.find(box, message.deduplication, now_ms)
            if found is not None:
                return Sent(found[1], found[0], is_duplicate=True)
            self._deduplications.note(box, message, sequence, now_ms)
        if message.group is not None:
            self._groups.begin(box, message.group, due_ms, sequence)
        rows.append((sequence, box.number, due_ms, now_ms, message.group, message.id, message.attributes))
        bodies.append((sequence, message.body))
        box.depth += 1
        outcome.touches(box.queue)
        outcome.becomes_due(box.queue, due_ms)
        return Sent(message.id, sequence)

    # ---- upkeep

    def _upkeep(self, request: Empty | Expire | Release | Move | Sweep) -> Outcome:
        match request:
            case Empty():
                return self._empty(request)
            case Expire():
                return self._expire(request)
            case Release():
                return self._release(request)
            case Move():
                return self._move(request)
            case Sweep():
                return Outcome(sweep(self._connection, request.now_ms))

    def _empty(self, request: Empty) -> Outcome:
        outcome = Outcome()
        box = self._boxes.get(request.queue)
        if box is not None:
            outcome.touches(request.queue)
            if request.forget:
                self._boxes.remove(box)
            else:
                self._boxes.empty(box)
        return outcome

    def _expire(self, request: Expire) -> Outcome:
        outcome = Outcome(0)
        box = self._boxes.get(request.queue)
        if box is None:
            return outcome
        rows = self._connection.execute(_OLD, (box.number, request.expired_ms, request.limit)).fetchall()
        delete_messages(self._connection, [sequence for sequence, _ in rows])
        for group in {group for _, group in rows if group is not None}:
            free_ms = self._groups.update(box, group)
            if free_ms is not None:
                outcome.becomes_due(box.queue, free_ms)
        box.depth -= len(rows)
        outcome.touches(box.queue)
        outcome.result = len(rows)
        return outcome

    def _release(self, request: Release) -> Outcome:
        outcome = Outcome(0)
        box = self._boxes.get(request.queue)
        if box is None:
            return outcome
        leased = (box.number, request.now_ms)
        groups = [group for (group,) in self._connection.execute(_LEASED_GROUPS, leased)]
        outcome.result = self._connection.execute(_RELEASE, (request.now_ms, *leased)).rowcount
        for group in groups:
            self._groups.update(box, group)
        if outcome.result:
            outcome.becomes_due(box.queue, request.now_ms)
        return outcome

    def _move(self, request: Move) -> Outcome:
        outcome = Outcome()
        box = self._boxes.get(request.queue)
        count, has_stopped = 0, False
        if box is not None:
            rows = self._connection.execute(_DUE, (box.number, request.now_ms, len(request.ids))).fetchall()
            for new_id, (sequence, group, moved_from) in zip(request.ids, rows, strict=False):
                target = request.target if request.target is not None else moved_from
                if target is None:
                    has_stopped = True
                    break
                self._mover.anew(box, (sequence, group), new_id, target, request.now_ms, outcome)
                count += 1
        outcome.result = Moved(count, has_stopped)
        return outcome


def _grouped(claims: Sequence[tuple[int, Claim]]) -> list[list[tuple[int, Claim]]]:
    groups: dict[object, list[tuple[int, Claim]]] = {}
    for place, claim in claims:
        groups.setdefault(sort_of(claim), []).append((place, claim))
    return list(groups.values())
