"""The queues there are: documents in the store, kept compiled in memory as long as nobody changes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lambent.aws.context import Params, RequestContext
from lambent.iam.resource_policies import permits
from lambent.model.clock import Clock
from lambent.model.ids import new_revision_id
from lambent.model.resource_policy import ResourcePolicy
from lambent.services.sqs.attributes import with_defaults
from lambent.services.sqs.errors import access_denied, queue_does_not_exist
from lambent.services.sqs.names import QueueId, named_queue, queue_of_key
from lambent.services.sqs.redrive import RedrivePolicy, parse_redrive_policy
from lambent.store.api import RESOURCE_POLICIES, SQS_QUEUES, Change, ConflictError, Delete, Put, Record, Store

_ATTEMPTS: Final = 20


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue's settings; `revision` is the document's. The numbers are those of `attributes`."""

    id: QueueId
    attributes: Mapping[str, str]
    tags: Mapping[str, str]
    created_s: int
    modified_s: int
    purged_s: float
    revision: int
    visibility_s: int = field(init=False)
    delay_s: int = field(init=False)
    wait_s: int = field(init=False)
    retention_s: int = field(init=False)
    message_max_bytes: int = field(init=False)
    redrive: RedrivePolicy | None = field(init=False)

    def __post_init__(self) -> None:
        effective = with_defaults(self.attributes, self.id.is_fifo)
        for name, attribute in (
            ("visibility_s", "VisibilityTimeout"),
            ("delay_s", "DelaySeconds"),
            ("wait_s", "ReceiveMessageWaitTimeSeconds"),
            ("retention_s", "MessageRetentionPeriod"),
            ("message_max_bytes", "MaximumMessageSize"),
        ):
            object.__setattr__(self, name, int(effective[attribute]))
        text = self.attributes.get("RedrivePolicy")
        object.__setattr__(self, "redrive", parse_redrive_policy(text, self.id) if text else None)

    @property
    def policy(self) -> str | None:
        return self.attributes.get("Policy") or None

    def to_document(self) -> dict[str, Any]:
        return {
            "attributes": dict(self.attributes),
            "tags": dict(self.tags),
            "created_s": self.created_s,
            "modified_s": self.modified_s,
            "purged_s": self.purged_s,
        }


def _queue(record: Record) -> Queue:
    document = record.value
    return Queue(
        queue_of_key(record.key),
        document["attributes"],
        document["tags"],
        document["created_s"],
        document["modified_s"],
        document["purged_s"],
        record.revision,
    )


class QueueDirectory:
    """Finds and changes queues."""

    def __init__(self, store: Store, clock: Clock, *, policies_enforced: bool = False) -> None:
        """`policies_enforced`: whoever gets here was let in by policies, the caller's and the queue's."""
        self._store = store
        self._policies_enforced = policies_enforced
        self._clock = clock
        self._kept: dict[str, Queue] = {}
        self._end_watch = store.watch(SQS_QUEUES, self._forget)

    def close(self) -> None:
        """Stop following changes. Idempotent; before the store is closed."""
        self._end_watch()

    async def find(self, queue_id: QueueId) -> Queue | None:
        key = queue_id.key
        queue = self._kept.get(key)
        if queue is None:
            record = await self._store.get(SQS_QUEUES, key)
            if record is not None:
                queue = self._kept[key] = _queue(record)
        return queue

    async def named(self, ctx: RequestContext, params: Params, *, shared_as: str | None = None) -> Queue:
        """The queue a request is for. Raises QueueDoesNotExist; AccessDenied for another account's.

        `shared_as`: the action by which its policy may let other accounts in.
        """
        queue_id = named_queue(ctx, params)
        queue = await self.find(queue_id)
        if queue is None:
            raise queue_does_not_exist()
        if queue_id.account != ctx.account:
            is_let_in = shared_as and (self._policies_enforced or _lets_in(queue, ctx, shared_as))
            if not is_let_in:
                raise access_denied(queue_id.arn)
        return queue

    async def all_of(
        self, ctx: RequestContext, prefix: str = "", after: str | None = None, limit: int | None = None
    ) -> list[Queue]:
        """The account's queues in the region, by name; `after` is a name."""
        start = f"{ctx.account}/{ctx.region}/"
        records = await self._store.scan(
            SQS_QUEUES, start + prefix, after=start + after if after is not None else None, limit=limit
        )
        return [_queue(record) for record in records]

    async def create(self, queue_id: QueueId, attributes: Mapping[str, str], tags: Mapping[str, str]) -> bool:
        """False if it was there already."""
        now = int(self._clock.now())
        queue = Queue(queue_id, attributes, tags, now, now, 0.0, 0)
        changes: list[Change] = [Put(SQS_QUEUES, queue_id.key, queue.to_document(), expect=0), _policy_change(queue)]
        try:
            await self._store.commit(changes)
        except ConflictError:
            return False
        return True

    async def change(self, queue_id: QueueId, change: Callable[[Queue], Queue]) -> None:
        """Apply a change to what is stored; what `change` raises leaves it as it was. Raises QueueDoesNotExist."""
        for _ in range(_ATTEMPTS):
            record = await self._store.get(SQS_QUEUES, queue_id.key)
            if record is None:
                raise queue_does_not_exist()
            before = _queue(record)
            after = change(before)
            changes: list[Change] = [Put(SQS_QUEUES, queue_id.key, after.to_document(), expect=record.revision)]
            if after.policy != before.policy:
                changes.append(_policy_change(after))
            try:
                await self._store.commit(changes)
            except ConflictError:
                continue
            return
        raise TimeoutError(f"lost {_ATTEMPTS} races for {queue_id.arn}")

    async def set_attributes(self, queue_id: QueueId, change: Callable[[Queue], Mapping[str, str]]) -> None:
        """Replace the attributes by what `change` makes of the queue."""
        now = int(self._clock.now())
        await self.change(queue_id, lambda queue: replace_queue(queue, attributes=change(queue), modified_s=now))

    async def remove(self, queue_id: QueueId) -> None:
        await self._store.commit([Delete(SQS_QUEUES, queue_id.key), Delete(RESOURCE_POLICIES, queue_id.policy_key)])

    def _forget(self, key: str) -> None:
        self._kept.pop(key, None)


def replace_queue(queue: Queue, **changes: Any) -> Queue:
    """The queue with other fields."""
    return replace(queue, **changes)


def _policy_change(queue: Queue) -> Change:
    """Its policy goes where those of all resources are, for whoever enforces them."""
    if queue.policy is None:
        return Delete(RESOURCE_POLICIES, queue.id.policy_key)
    document = ResourcePolicy(json.loads(queue.policy), new_revision_id()).to_document()
    return Put(RESOURCE_POLICIES, queue.id.policy_key, document)


def _lets_in(queue: Queue, ctx: RequestContext, action: str) -> bool:
    """Whether the policy lets another account's caller do that."""
    if queue.policy is None:
        return False
    policy = ResourcePolicy(json.loads(queue.policy), new_revision_id())
    return permits(policy.statements, ctx.principal, f"sqs:{action}", queue.id.arn)
