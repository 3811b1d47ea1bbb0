"""Where records of invocations may be sent, in AWS's words. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent.model.arn import FunctionId
from lambent.model.errors import InvalidParameterValueException

_TO_ANY = frozenset({"sqs", "sns", "lambda", "events"})
_SERVICE_FIELD, _REGION_FIELD, _ACCOUNT_FIELD, _NAME_FIELD = 2, 3, 4, 5
_FUNCTION_FIELDS = 7  # arn:aws:lambda:region:account:function:name


def check_destinations(config: Mapping[str, Any], function: FunctionId) -> None:
    """The DestinationConfig of a PutFunctionEventInvokeConfig. Raises InvalidParameterValueException."""
    on_success = destination_of(config, "OnSuccess")
    on_failure = destination_of(config, "OnFailure")
    if on_success:
        _check(on_success, function, _TO_ANY)
    if on_failure:
        _check(on_failure, function, _TO_ANY | {"s3"})


def destination_of(config: Mapping[str, Any], side: str) -> str | None:
    """The ARN on one side of a DestinationConfig, None for none or an empty one."""
    return (config.get(side) or {}).get("Destination") or None


def normalized(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Both sides, each with its destination or empty: as AWS answers."""
    return {
        side: {"Destination": destination} if (destination := destination_of(config, side)) else {}
        for side in ("OnSuccess", "OnFailure")
    }


def invalid_destination(arn: str) -> InvalidParameterValueException:
    """The answer to an ARN that nothing can be sent to."""
    return InvalidParameterValueException(f"The destination ARN {arn} is invalid.")


def _check(arn: str, function: FunctionId, services: frozenset[str]) -> None:
    fields = arn.split(":")
    if len(fields) <= _NAME_FIELD or fields[_SERVICE_FIELD] not in services or not fields[_NAME_FIELD]:
        raise invalid_destination(arn)
    service, name = fields[_SERVICE_FIELD], fields[_NAME_FIELD]
    if service == "lambda":
        _check_function(arn, fields, function)
    elif service == "events":
        if not name.startswith("event-bus/"):
            raise invalid_destination(arn)
    elif service != "s3" and (not fields[_REGION_FIELD] or not fields[_ACCOUNT_FIELD] or name.endswith(".fifo")):
        raise invalid_destination(arn)


def _check_function(arn: str, fields: list[str], function: FunctionId) -> None:
    if len(fields) < _FUNCTION_FIELDS or fields[_NAME_FIELD] != "function":
        raise invalid_destination(arn)
    target = (fields[_ACCOUNT_FIELD], fields[_REGION_FIELD], fields[_NAME_FIELD + 1])
    if target == (function.account, function.region, function.name):
        raise InvalidParameterValueException("You can't specify the function as a destination for itself.")
