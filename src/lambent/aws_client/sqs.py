"""Amazon SQS as pollers and deliveries use it: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lambent.aws_client.client import TIMEOUT_S, AwsCaller, AwsClient

BATCH_MAX: Final = 10
WAIT_MAX_S: Final = 20

Entry = Mapping[str, object]
Message = dict[str, Any]
"""A message in the API's shape: MessageId, ReceiptHandle, Body, MD5OfBody, Attributes, MessageAttributes, …"""


@dataclass(frozen=True, slots=True)
class FailedEntry:
    """An entry of a batch that was refused. `id`: as in the entry."""

    id: str
    code: str
    message: str


class Sqs:
    """The operations, each called as somebody. All raise AwsError, AwsUnreachableError."""

    def __init__(self, client: AwsClient) -> None:
        self._client = client

    async def get_queue_url(self, caller: AwsCaller, name: str, account: str) -> str:
        """GetQueueUrl."""
        answer = await self._call(caller, "GetQueueUrl", {"QueueName": name, "QueueOwnerAWSAccountId": account})
        return str(answer["QueueUrl"])

    async def get_queue_attributes(self, caller: AwsCaller, queue_url: str, names: Sequence[str]) -> dict[str, str]:
        """GetQueueAttributes."""
        answer = await self._call(caller, "GetQueueAttributes", {"QueueUrl": queue_url, "AttributeNames": list(names)})
        return dict(answer.get("Attributes") or {})

    async def receive(
        self, caller: AwsCaller, queue_url: str, *, limit: int = BATCH_MAX, wait_s: int = WAIT_MAX_S
    ) -> list[Message]:
        """ReceiveMessage, with all attributes."""
        answer = await self._call(
            caller,
            "ReceiveMessage",
            {
                "QueueUrl": queue_url,
                "MaxNumberOfMessages": limit,
                "WaitTimeSeconds": wait_s,
                "AttributeNames": ["All"],
                "MessageSystemAttributeNames": ["All"],
                "MessageAttributeNames": ["All"],
            },
            timeout_s=TIMEOUT_S + wait_s,
        )
        return list(answer.get("Messages") or [])

    async def delete_one(self, caller: AwsCaller, queue_url: str, receipt_handle: str) -> None:
        """DeleteMessage."""
        await self._call(caller, "DeleteMessage", {"QueueUrl": queue_url, "ReceiptHandle": receipt_handle})

    async def delete(self, caller: AwsCaller, queue_url: str, receipt_handles: Mapping[str, str]) -> list[FailedEntry]:
        """DeleteMessageBatch of up to 10: id → receipt handle. The entries that failed."""
        entries = [{"Id": id_, "ReceiptHandle": handle} for id_, handle in receipt_handles.items()]
        return await self._batch(caller, "DeleteMessageBatch", queue_url, entries)

    async def change_visibility(
        self, caller: AwsCaller, queue_url: str, receipt_handles: Mapping[str, str], timeout_s: int
    ) -> list[FailedEntry]:
        """ChangeMessageVisibilityBatch of up to 10: id → receipt handle. The entries that failed."""
        entries = [
            {"Id": id_, "ReceiptHandle": handle, "VisibilityTimeout": timeout_s}
            for id_, handle in receipt_handles.items()
        ]
        return await self._batch(caller, "ChangeMessageVisibilityBatch", queue_url, entries)

    async def send(
        self,
        caller: AwsCaller,
        queue_url: str,
        body: str,
        *,
        attributes: Mapping[str, Entry] | None = None,
        system_attributes: Mapping[str, Entry] | None = None,
        group: str | None = None,
        deduplication: str | None = None,
    ) -> str:
        """SendMessage; attributes in the API's shape. The message's id."""
        parameters: dict[str, object] = {"QueueUrl": queue_url, "MessageBody": body}
        if attributes:
            parameters["MessageAttributes"] = dict(attributes)
        if system_attributes:
            parameters["MessageSystemAttributes"] = dict(system_attributes)
        if group is not None:
            parameters["MessageGroupId"] = group
        if deduplication is not None:
            parameters["MessageDeduplicationId"] = deduplication
        return str((await self._call(caller, "SendMessage", parameters))["MessageId"])

    async def _batch(
        self, caller: AwsCaller, operation: str, queue_url: str, entries: Sequence[Entry]
    ) -> list[FailedEntry]:
        answer = await self._call(caller, operation, {"QueueUrl": queue_url, "Entries": list(entries)})
        return [
            FailedEntry(str(one["Id"]), str(one.get("Code", "")), str(one.get("Message", "")))
            for one in answer.get("Failed") or []
        ]

    async def _call(
        self, caller: AwsCaller, operation: str, parameters: Entry, timeout_s: float = TIMEOUT_S
    ) -> dict[str, Any]:
        answer = await self._client.json(
            caller,
            "sqs",
            f"AmazonSQS.{operation}",
            parameters,
            headers=(("x-amzn-query-mode", "true"),),
            timeout_s=timeout_s,
        )
        return dict(answer)
