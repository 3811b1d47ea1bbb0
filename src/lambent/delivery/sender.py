"""Sending one record: the AWS call that its target wants, made as the function's execution role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lambent.aws_client.client import AwsCaller
from lambent.aws_client.destinations import Destinations
from lambent.aws_client.errors import AwsError
from lambent.aws_client.role_credentials import RoleCredentials
from lambent.aws_client.sqs import Sqs
from lambent.delivery.outbox import Delivery
from lambent.delivery.records import event_bus_entry, object_key, service_of
from lambent.model.arn import LATEST
from lambent.model.ids import Region

_TRACE: Final = "x-amzn-trace-id"


class Sender:
    """Implements `outbox.Send`. `queue_url`: of a queue, from its account and name, at this server's own endpoint."""

    def __init__(self, sqs: Sqs, destinations: Destinations, roles: RoleCredentials, endpoint_url: str) -> None:
        self._sqs = sqs
        self._destinations = destinations
        self._roles = roles
        self._endpoint_url = endpoint_url

    async def __call__(self, delivery: Delivery) -> None:
        """See `outbox.Send`."""
        function = delivery.reference.function
        service = service_of(delivery.target)
        _, _, _, region, account, name = delivery.target.split(":", 5)
        try:
            credentials = self._roles.find(delivery.role_arn, function.name)
        except ValueError as error:
            raise AwsError("AccessDenied", f"{delivery.role_arn} is no role: {error}", 403) from error
        caller = AwsCaller(credentials, Region(region or function.region))
        match service:
            case "sqs":
                await self._to_queue(caller, delivery, account, name)
            case "sns":
                attributes = {key: (kind, value) for key, (kind, value) in _attributes(delivery).items()}
                await self._destinations.publish(caller, delivery.target, delivery.body.decode(), attributes)
            case "lambda":
                headers = ((_TRACE, delivery.trace_header),) if delivery.trace_header else ()
                await self._destinations.invoke(caller, delivery.target, delivery.body, headers)
            case "events":
                await self._to_bus(caller, delivery)
            case "s3":
                key = object_key(function.name, delivery.at, delivery.request_id)
                await self._destinations.put_object(caller, name, key, delivery.body)
            case _:
                raise AwsError("InvalidParameterValue", f"nothing can be sent to {delivery.target}", 400)

    async def _to_queue(self, caller: AwsCaller, delivery: Delivery, account: str, name: str) -> None:
        if name.endswith(".fifo"):
            raise AwsError("InvalidParameterValue", "FIFO queues take no records of asynchronous invocations", 400)
        system: dict[str, Mapping[str, object]] = {}
        if delivery.trace_header:
            system["AWSTraceHeader"] = {"DataType": "String", "StringValue": delivery.trace_header}
        await self._sqs.send(
            caller,
            f"{self._endpoint_url}/{account}/{name}",
            delivery.body.decode(),
            attributes={
                key: {"DataType": kind, "StringValue": value} for key, (kind, value) in _attributes(delivery).items()
            },
            system_attributes=system,
        )

    async def _to_bus(self, caller: AwsCaller, delivery: Delivery) -> None:
        reference = delivery.reference
        source_arn = reference.function.qualified_arn(reference.qualifier or LATEST)
        entry = event_bus_entry(delivery.body, source_arn, delivery.target, succeeded=delivery.succeeded)
        if delivery.trace_header:
            entry["TraceHeader"] = delivery.trace_header
        await self._destinations.put_event(caller, entry)


def _attributes(delivery: Delivery) -> dict[str, tuple[str, str]]:
    """Of a dead-letter message; an invocation record has none."""
    if not delivery.is_dead_letter:
        return {}
    return {
        "RequestID": ("String", delivery.request_id),
        "ErrorCode": ("Number", str(delivery.error_code)),
        "ErrorMessage": ("String", delivery.error_message or "Unknown error"),
    }
