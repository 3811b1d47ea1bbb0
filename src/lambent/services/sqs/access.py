"""What each SQS operation needs to be allowed: action, queue, condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html. A batch needs the action of its
single form. A queue's policy lets others in only where AWS lets it: those who own a queue change and tag it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lambent.aws.authorisation import AccessRule, AccessRules
from lambent.aws.context import Params, RequestContext
from lambent.iam.enforcement import Access
from lambent.services.sqs.errors import missing_parameter
from lambent.services.sqs.move_tasks import source_of_handle
from lambent.services.sqs.names import QueueId, named_queue, queue_of_arn
from lambent.store.api import RESOURCE_POLICIES

_DATA_EVENTS: Final = frozenset({"SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"})


def _access(action: str, queue: QueueId, params: Params, *, is_shared: bool) -> Access:
    return Access(
        f"sqs:{action.lower()}",  # as SQS writes it in its refusals
        queue.arn,
        queue.account,
        _tag_keys(params),
        resource_policy=(RESOURCE_POLICIES, queue.policy_key) if is_shared else None,
        is_data_event=action in _DATA_EVENTS,
    )


def _shared(action: str) -> AccessRule:
    """Something a queue's policy may let other accounts do."""
    return lambda context, params: (_access(action, named_queue(context, params), params, is_shared=True),)


def _owners(action: str) -> AccessRule:
    return lambda context, params: (_access(action, named_queue(context, params), params, is_shared=False),)


def _create_queue(context: RequestContext, params: Params) -> Sequence[Access]:
    queue = QueueId(context.account, context.region, params.get("QueueName") or "")
    actions = ("CreateQueue", "TagQueue") if params.get("tags") else ("CreateQueue",)
    return [_access(action, queue, params, is_shared=False) for action in actions]


def _get_queue_url(context: RequestContext, params: Params) -> Sequence[Access]:
    account = params.get("QueueOwnerAWSAccountId") or context.account
    queue = QueueId(account, context.region, params.get("QueueName") or "")
    return (_access("GetQueueUrl", queue, params, is_shared=True),)


def _start_move(context: RequestContext, params: Params) -> Sequence[Access]:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/
    sqs-configure-dead-letter-queue-redrive.html: it receives, deletes and sends in the caller's name."""
    source, needed = queue_of_arn(params.get("SourceArn") or ""), []
    if source is not None:
        for action in ("StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
            needed.append(_access(action, source, params, is_shared=False))
    destination = queue_of_arn(params.get("DestinationArn") or "")
    if destination is not None:
        needed.append(_access("SendMessage", destination, params, is_shared=False))
    else:  # wherever each message came from
        resource = f"arn:aws:sqs:{context.region}:{context.account}:*"
        needed.append(Access("sqs:sendmessage", resource, context.account))
    return needed


def _cancel_move(_: RequestContext, params: Params) -> Sequence[Access]:
    handle = params.get("TaskHandle")
    if not handle:
        raise missing_parameter("TaskHandle")
    source = source_of_handle(handle)
    return () if source is None else (_access("CancelMessageMoveTask", source, params, is_shared=False),)


def _list_moves(_: RequestContext, params: Params) -> Sequence[Access]:
    source = queue_of_arn(params.get("SourceArn") or "")
    return () if source is None else (_access("ListMessageMoveTasks", source, params, is_shared=False),)


def _tag_keys(params: Params) -> dict[str, tuple[str, ...]]:
    tags = params.get("Tags") or params.get("tags") or {}
    keys = tuple(params.get("TagKeys") or tags)
    named: dict[str, tuple[str, ...]] = {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()}
    return named | {"aws:tagkeys": keys} if keys else named


RULES: Final[AccessRules] = {
    **{name: _shared(name) for name in (
        "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes",
        "ListDeadLetterSourceQueues", "PurgeQueue",
    )},
    **{f"{name}Batch": _shared(name) for name in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")},
    **{name: _owners(name) for name in (
        "AddPermission", "RemovePermission", "DeleteQueue", "SetQueueAttributes", "TagQueue", "UntagQueue",
        "ListQueueTags",
    )},
    "CreateQueue": _create_queue,
    "ListQueues": lambda _, __: (Access("sqs:listqueues"),),
    "GetQueueUrl": _get_queue_url,
    "StartMessageMoveTask": _start_move,
    "CancelMessageMoveTask": _cancel_move,
    "ListMessageMoveTasks": _list_moves,
}  # fmt: skip
"""Operation → what it needs: all of them."""
