"""What records are delivered to besides queues: SNS topics, EventBridge buses, S3 buckets, functions.

Each call is made as somebody; all raise AwsError, AwsUnreachableError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

import orjson

from lambent.aws_client.client import AwsCaller, AwsClient
from lambent.aws_client.errors import AwsError

_SNS_VERSION: Final = "2010-03-31"

Attributes = Mapping[str, tuple[str, str]]
"""Name → DataType (String, Number) and value."""


class Destinations:
    """The calls."""

    def __init__(self, client: AwsClient) -> None:
        self._client = client

    async def publish(
        self, caller: AwsCaller, topic_arn: str, message: str, attributes: Attributes | None = None
    ) -> None:
        """SNS Publish: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
        parameters = {"TopicArn": topic_arn, "Message": message}
        for number, (name, (data_type, value)) in enumerate((attributes or {}).items(), 1):
            entry = f"MessageAttributes.entry.{number}"
            parameters |= {
                f"{entry}.Name": name,
                f"{entry}.Value.DataType": data_type,
                f"{entry}.Value.StringValue": value,
            }
        await self._client.query(caller, "sns", "Publish", _SNS_VERSION, parameters)

    async def put_event(self, caller: AwsCaller, entry: Mapping[str, object]) -> None:
        """EventBridge PutEvents of one entry: Source, DetailType, Detail, EventBusName, Resources, …

        https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html. An entry that is refused raises
        AwsError as a refused call does.
        """
        answer = await self._client.json(caller, "events", "AWSEvents.PutEvents", {"Entries": [entry]}, version="1.1")
        if answer.get("FailedEntryCount"):
            (told,) = answer["Entries"]
            code = str(told.get("ErrorCode", ""))
            status = 500 if code in ("InternalFailure", "InternalException") else 400
            raise AwsError(code, str(told.get("ErrorMessage", "")), status)

    async def put_object(
        self, caller: AwsCaller, bucket: str, key: str, content: bytes, content_type: str = "application/json"
    ) -> None:
        """S3 PutObject, at a path-style address."""
        target = f"/{quote(bucket)}/{quote(key, safe='/~')}"
        await self._client.send(caller, "s3", "PUT", target, (("content-type", content_type),), content)

    async def invoke(
        self, caller: AwsCaller, function_arn: str, payload: object, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Lambda Invoke of type Event; the ARN may have a qualifier. `headers`: X-Amzn-Trace-Id, say."""
        parts = function_arn.split(":")
        query = "?" + urlencode({"Qualifier": parts[7]}) if len(parts) > 7 else ""
        target = f"/2015-03-31/functions/{quote(':'.join(parts[:7]), safe='')}/invocations{query}"
        fields = (("content-type", "application/json"), ("x-amz-invocation-type", "Event"), *headers)
        body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        await self._client.send(caller, "lambda", "POST", target, fields, body)
