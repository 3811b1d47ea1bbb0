"""What of each AWS API is answered, from the tables beside the services and botocore's models."""

from __future__ import annotations

from unittest.mock import Mock

import botocore
import botocore.session
from markdown import code, table

from lambent.aws.context import Operations
from lambent.aws.support import Effect, Member, Support
from lambent.services.cloudwatch import operations as cloudwatch
from lambent.services.cloudwatch import support as cloudwatch_support
from lambent.services.iam import operations as iam
from lambent.services.iam import support as iam_support
from lambent.services.lambda_ import operations as lambda_
from lambent.services.lambda_ import support as lambda_support
from lambent.services.logs import operations as logs
from lambent.services.logs import support as logs_support
from lambent.services.sqs import operations as sqs
from lambent.services.sqs import support as sqs_support
from lambent.services.sts import operations as sts
from lambent.services.sts import support as sts_support

_TITLES = {
    "lambda": "AWS Lambda",
    "logs": "Amazon CloudWatch Logs",
    "cloudwatch": "Amazon CloudWatch",
    "sqs": "Amazon SQS",
    "iam": "AWS IAM",
    "sts": "AWS STS",
}
_SUPPORT: dict[str, Support] = {
    "lambda": lambda_support.SUPPORT,
    "logs": logs_support.SUPPORT,
    "cloudwatch": cloudwatch_support.SUPPORT,
    "sqs": sqs_support.SUPPORT,
    "iam": iam_support.SUPPORT,
    "sts": sts_support.SUPPORT,
}


def _registered() -> dict[str, Operations]:
    """The operations as the services register them; what they would work with does not matter here."""
    part = Mock()
    return {
        "lambda": lambda_.operations(part, part, part, part),
        "logs": logs.operations(part, part, part),
        "cloudwatch": cloudwatch.operations(part),
        "sqs": sqs.operations(part, part, part, part, part),
        "iam": iam.operations(part, part),
        "sts": sts.operations(part, part, part, part),
    }


def summary() -> str:
    """One line for each service."""
    rows = []
    for service, offered in _registered().items():
        rows.append((_TITLES[service], code(service), str(len(offered)), str(len(_modelled(service)))))
    answer = table(("API", "Service", "Operations answered", "Operations on AWS"), rows)
    return f"{answer}\n\nCounted against the service models of botocore {botocore.__version__}."


def _service(service: str) -> str:
    offered, rows = _registered()[service], _SUPPORT[service]
    if set(offered) != set(rows):
        raise ValueError(f"{service}: the table and the operations differ: {set(offered) ^ set(rows)}")
    body = [
        (code(operation), *(_members(rows[operation], effect) for effect in Effect)) for operation in sorted(offered)
    ]
    missing = [name for name in _modelled(service) if name not in offered]
    return "\n\n".join(
        [
            f"{len(offered)} of {len(offered) + len(missing)} operations.",
            table(("Operation", "In force", "Accepted without effect", "Refused"), body),
            _notes(rows),
            "<details><summary>Not offered</summary>\n\n" + ", ".join(map(code, missing)) + "\n\n</details>",
        ]
    )


def _modelled(service: str) -> list[str]:
    return sorted(botocore.session.get_session().get_service_model(service).operation_names)


def _members(rows: dict[str, Member] | object, effect: Effect) -> str:
    assert isinstance(rows, dict)
    return ", ".join(code(name) for name, member in rows.items() if member.effect is effect) or "–"


def _notes(support: Support) -> str:
    """Each note once, with the members it is about."""
    notes: dict[str, dict[str, None]] = {}
    for rows in support.values():
        for name, member in rows.items():
            if member.note:
                notes.setdefault(member.note, {})[name] = None
    return "\n".join(f"- {', '.join(map(code, names))}: {note}" for note, names in notes.items())


BLOCKS = {"coverage": summary} | {
    f"coverage of {service}": lambda service=service: _service(service) for service in _TITLES
}
