"""What each member of each operation does here. The coverage page is made from it."""

from __future__ import annotations

from typing import Final

from lambent.aws.support import Support, effective, without_effect

_GROUP_OF_STANDARD: Final = without_effect(
    "In standard queues it is kept and shown; messages are not reordered for fairness. In FIFO queues it is effective."
)

SUPPORT: Final[Support] = {
    "AddPermission": effective("QueueUrl", "Label", "AWSAccountIds", "Actions"),
    "CancelMessageMoveTask": effective("TaskHandle"),
    "ChangeMessageVisibility": effective("QueueUrl", "ReceiptHandle", "VisibilityTimeout"),
    "ChangeMessageVisibilityBatch": effective("QueueUrl", "Entries"),
    "CreateQueue": effective("QueueName", "Attributes", "tags"),
    "DeleteMessage": effective("QueueUrl", "ReceiptHandle"),
    "DeleteMessageBatch": effective("QueueUrl", "Entries"),
    "DeleteQueue": effective("QueueUrl"),
    "GetQueueAttributes": effective("QueueUrl", "AttributeNames"),
    "GetQueueUrl": effective("QueueName", "QueueOwnerAWSAccountId"),
    "ListDeadLetterSourceQueues": effective("QueueUrl", "NextToken", "MaxResults"),
    "ListMessageMoveTasks": effective("SourceArn", "MaxResults"),
    "ListQueueTags": effective("QueueUrl"),
    "ListQueues": effective("QueueNamePrefix", "NextToken", "MaxResults"),
    "PurgeQueue": effective("QueueUrl"),
    "ReceiveMessage": effective(
        *("QueueUrl", "AttributeNames", "MessageSystemAttributeNames", "MessageAttributeNames"),
        *("MaxNumberOfMessages", "VisibilityTimeout", "WaitTimeSeconds", "ReceiveRequestAttemptId"),
    ),
    "RemovePermission": effective("QueueUrl", "Label"),
    "SendMessage": {
        **effective("QueueUrl", "MessageBody", "DelaySeconds", "MessageAttributes", "MessageSystemAttributes"),
        **effective("MessageDeduplicationId"),
        "MessageGroupId": _GROUP_OF_STANDARD,
    },
    "SendMessageBatch": effective("QueueUrl", "Entries"),
    "SetQueueAttributes": effective("QueueUrl", "Attributes"),
    "StartMessageMoveTask": effective("SourceArn", "DestinationArn", "MaxNumberOfMessagesPerSecond"),
    "TagQueue": effective("QueueUrl", "Tags"),
    "UntagQueue": effective("QueueUrl", "TagKeys"),
}
