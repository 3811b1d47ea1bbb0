"""A queue's policy: checked when set, and written a statement at a time by AddPermission."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from lambent.aws.context import Params, RequestContext
from lambent.iam.policy.document import PolicyError, parse_policy
from lambent.model.errors import ServiceError
from lambent.model.resource_policy import compact_json
from lambent.services.sqs.directory import Queue, QueueDirectory
from lambent.services.sqs.errors import invalid_attribute, invalid_value, missing_parameter

_LABEL = re.compile(r"[a-zA-Z0-9_-]{1,80}")
_ACCOUNT = re.compile(r"\d{12}")
_ACTIONS_MAX: Final = 7
_STATEMENTS_MAX: Final = 20
_SHARED: Final = frozenset(
    {"*", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes",
     "GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue"}
)  # fmt: skip
_OWNERS: Final = frozenset(
    {"AddPermission", "CreateQueue", "DeleteQueue", "ListQueues", "ListQueueTags", "RemovePermission",
     "SetQueueAttributes", "TagQueue", "UntagQueue", "StartMessageMoveTask", "CancelMessageMoveTask",
     "ListMessageMoveTasks"}
)  # fmt: skip


def check_policy(text: str) -> None:
    """Raise InvalidAttributeValue unless a text is a policy that can be evaluated."""
    try:
        policy = parse_policy(text)
    except PolicyError as error:
        raise invalid_attribute("Policy") from error
    if not policy.statements or any(one.principals is None or one.resources is None for one in policy.statements):
        raise invalid_attribute("Policy")


class Permissions:
    """The operations on a queue's policy."""

    def __init__(self, directory: QueueDirectory) -> None:
        self._directory = directory

    async def add_permission(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_AddPermission.html"""
        queue = await self._directory.named(ctx, params)
        statement = _statement(queue, params)

        def add(before: Queue) -> Mapping[str, str]:
            policy = _policy_of(before)
            if any(one.get("Sid") == statement["Sid"] for one in policy["Statement"]):
                raise invalid_value("Label", statement["Sid"], "Already exists.")
            if len(policy["Statement"]) >= _STATEMENTS_MAX:
                text = f"{_STATEMENTS_MAX + 1} statements were found, maximum allowed is {_STATEMENTS_MAX}."
                raise ServiceError("OverLimit", text, status=403)
            policy["Statement"].append(statement)
            return {**before.attributes, "Policy": compact_json(policy)}

        await self._directory.set_attributes(queue.id, add)
        return {}

    async def remove_permission(self, ctx: RequestContext, params: Params) -> Params:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_RemovePermission.html"""
        queue = await self._directory.named(ctx, params)
        label: str | None = params.get("Label")
        if not label:
            raise missing_parameter("Label")

        def remove(before: Queue) -> Mapping[str, str]:
            policy = _policy_of(before)
            left = [one for one in policy["Statement"] if one.get("Sid") != label]
            if len(left) == len(policy["Statement"]):
                raise invalid_value("Label", label, "can't find label.")
            without = {name: value for name, value in before.attributes.items() if name != "Policy"}
            return {**without, "Policy": compact_json({**policy, "Statement": left})} if left else without

        await self._directory.set_attributes(queue.id, remove)
        return {}


def _statement(queue: Queue, params: Params) -> dict[str, Any]:
    """The statement AddPermission asks for. Raises what is wrong with the request."""
    label: str = params.get("Label") or ""
    accounts: list[str] = params.get("AWSAccountIds") or []
    actions: list[str] = params.get("Actions") or []
    for name, value in (("Label", label), ("AWSAccountIds", accounts), ("Actions", actions)):
        if not value:
            raise missing_parameter(name)
    if not _LABEL.fullmatch(label):
        raise invalid_value("Label", label[:100], "Must be alphanumeric, hyphens or underscores; 1 to 80 in length.")
    if len(actions) > _ACTIONS_MAX:
        text = f"{len(actions)} Actions were found, maximum allowed is {_ACTIONS_MAX}."
        raise ServiceError("OverLimit", text, status=403)
    for action in actions:
        if action in _OWNERS:
            reason = "Only the queue owner is allowed to invoke this action."
            raise invalid_value("ActionName", f"SQS:{action}", reason)
        if action not in _SHARED:
            reason = "Please refer to the appropriate WSDL for a list of valid actions."
            raise invalid_value("ActionName", f"SQS:{action[:100]}", reason)
    for account in accounts:
        if not _ACCOUNT.fullmatch(account):
            raise invalid_value("PrincipalId", f'["{account[:100]}"]', "Unable to verify.")
    principals = [f"arn:aws:iam::{account}:root" for account in accounts]
    named = [f"SQS:{action}" for action in actions]
    return {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
        "Action": named[0] if len(named) == 1 else named,
        "Resource": queue.id.arn,
    }


def _policy_of(queue: Queue) -> dict[str, Any]:
    """The policy with its statements as a list; a new one where there is none."""
    if queue.policy is None:
        return {"Version": "2012-10-17", "Id": f"{queue.id.arn}/SQSDefaultPolicy", "Statement": []}
    policy: dict[str, Any] = json.loads(queue.policy)
    if not isinstance(policy["Statement"], list):
        policy["Statement"] = [policy["Statement"]]
    return policy
