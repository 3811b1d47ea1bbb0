"""SQS as it registers itself with the request chain."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any, Final

from lambent.aws.context import Operations
from lambent.aws.service import BodyLimit, ServiceDefinition
from lambent.model.clock import Clock
from lambent.model.limits import MIB
from lambent.queues.api import Queues
from lambent.services.sqs.directory import QueueDirectory
from lambent.services.sqs.metrics import QueueMetrics
from lambent.services.sqs.move_tasks import MoveTasks
from lambent.services.sqs.permissions import Permissions
from lambent.services.sqs.queues import QueueOperations
from lambent.services.sqs.receiving import Receiving
from lambent.services.sqs.sending import Sending
from lambent.services.sqs.settling import Settling
from lambent.services.sqs.tags import Tags

# 1 MiB of characters that take six in JSON, or three in a form, and what is around them.
_SEND_BODY: Final = BodyLimit(8 * MIB)


def definition(
    directory: QueueDirectory, queues: Queues, move_tasks: MoveTasks, metrics: QueueMetrics, clock: Clock
) -> ServiceDefinition:
    """The service, for the request chain."""
    return ServiceDefinition(
        "sqs",
        operations(directory, queues, move_tasks, metrics, clock),
        body_limits={"SendMessage": _SEND_BODY, "SendMessageBatch": _SEND_BODY},
        body_limit=_SEND_BODY,  # of a form it is known too late which operation it is for
        checks_by_itself=True,
        supplement=supplement(),
    )


@functools.cache
def supplement() -> dict[str, Any]:
    """What AWS's model no longer says: the query protocol, which older SDKs speak, and the codes of its errors."""
    text = files("lambent.services.sqs").joinpath("query_protocol.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def operations(
    directory: QueueDirectory, queues: Queues, move_tasks: MoveTasks, metrics: QueueMetrics, clock: Clock
) -> Operations:
    """The operations of the API `sqs`: all of them."""
    whole = QueueOperations(directory, queues, clock)
    sending = Sending(directory, queues, metrics)
    receiving = Receiving(directory, queues, metrics, clock)
    settling = Settling(directory, queues, metrics, clock)
    permissions = Permissions(directory)
    tags = Tags(directory)
    return {
        "CreateQueue": whole.create_queue,
        "DeleteQueue": whole.delete_queue,
        "GetQueueUrl": whole.get_queue_url,
        "ListQueues": whole.list_queues,
        "ListDeadLetterSourceQueues": whole.list_dead_letter_source_queues,
        "GetQueueAttributes": whole.get_queue_attributes,
        "SetQueueAttributes": whole.set_queue_attributes,
        "PurgeQueue": whole.purge_queue,
        "SendMessage": sending.send_message,
        "SendMessageBatch": sending.send_message_batch,
        "ReceiveMessage": receiving.receive_message,
        "DeleteMessage": settling.delete_message,
        "DeleteMessageBatch": settling.delete_message_batch,
        "ChangeMessageVisibility": settling.change_message_visibility,
        "ChangeMessageVisibilityBatch": settling.change_message_visibility_batch,
        "StartMessageMoveTask": move_tasks.start_message_move_task,
        "CancelMessageMoveTask": move_tasks.cancel_message_move_task,
        "ListMessageMoveTasks": move_tasks.list_message_move_tasks,
        "AddPermission": permissions.add_permission,
        "RemovePermission": permissions.remove_permission,
        "TagQueue": tags.tag_queue,
        "UntagQueue": tags.untag_queue,
        "ListQueueTags": tags.list_queue_tags,
    }
