"""What CreateEventSourceMapping finds out about an SQS queue, as the function's execution role.

Calls that change nothing: they ask for what cannot be (eleven messages, a receipt handle that is none), so whoever may
make them is told that, and who may not, or for a queue that is none, is told so first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from lambent.aws_client.client import AwsCaller
from lambent.aws_client.errors import AwsError, AwsUnreachableError
from lambent.aws_client.sqs import Sqs
from lambent.control_plane.event_sources import SourceKind
from lambent.event_sources.sqs_records import queue_path
from lambent.model.errors import InvalidParameterValueException
from lambent.model.function import FunctionVersion
from lambent.model.ids import Region

NONEXISTENT: Final = "AWS.SimpleQueueService.NonExistentQueue"
_MISSING: Final = frozenset({"QueueDoesNotExist", NONEXISTENT})
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "AccessDeniedError"})
_NOT_ANSWERED: Final = frozenset(
    {"NotImplementedException", "UnknownOperationException", "ServiceUnavailableException"}
)


class SqsCheck:
    """Implements `control_plane.event_source_mappings.CheckNew` for queues; other sources pass."""

    def __init__(self, sqs: Sqs, caller: Callable[[str, str, Region], AwsCaller], base_url: str) -> None:
        self._sqs = sqs
        self._caller = caller
        self._base_url = base_url

    async def __call__(self, kind: SourceKind, settings: Mapping[str, Any], version: FunctionVersion) -> None:
        """Raises InvalidParameterValueException."""
        if kind is not SourceKind.SQS:
            return
        arn: str = settings["EventSourceArn"]
        url = self._base_url + queue_path(arn)
        try:
            caller = self._caller(version.role, version.function.name, Region(arn.split(":")[3]))
        except ValueError as error:
            raise InvalidParameterValueException(
                "The role defined for the function cannot be assumed by Lambda."
            ) from error
        await _ask("ReceiveMessage", self._sqs.receive(caller, url, limit=11, wait_s=0))
        await _ask("DeleteMessage", self._sqs.delete_one(caller, url, "none"))
        attributes = await _ask(
            "GetQueueAttributes", self._sqs.get_queue_attributes(caller, url, ["VisibilityTimeout"])
        )
        visibility_s = int((attributes or {}).get("VisibilityTimeout", version.timeout_s))
        if visibility_s < version.timeout_s:
            raise InvalidParameterValueException(
                f"Queue visibility timeout: {visibility_s} seconds is less than Function timeout: "
                f"{version.timeout_s} seconds"
            )


async def _ask(operation: str, call: Awaitable[Any]) -> Any:
    """The call's answer; None where it was refused for what it asked."""
    try:
        return await call
    except AwsUnreachableError as error:
        raise _error_occurred(operation, "ServiceUnavailable", str(error)) from error
    except AwsError as error:
        if error.code in _DENIED:
            raise InvalidParameterValueException(
                f"The provided execution role does not have permissions to call {operation} on SQS"
            ) from error
        if error.code in _MISSING or error.query_code in _MISSING:
            raise _error_occurred(operation, NONEXISTENT, "The specified queue does not exist.") from error
        if error.code in _NOT_ANSWERED or error.status >= 500:
            raise _error_occurred(operation, error.code, error.message) from error
        return None


def _error_occurred(operation: str, code: str, message: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Error occurred while {operation}. SQS Error Code: {code}. SQS Error Message: {message}"
    )
