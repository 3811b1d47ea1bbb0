"""The tables of what is offered cover exactly the operations that are answered, and the models' every member."""

from __future__ import annotations

from unittest.mock import Mock

import botocore.session
import pytest
from botocore.model import StructureShape

from lambent.aws.context import Operations
from lambent.aws.support import Effect, Support
from lambent.services.cloudwatch import operations as cloudwatch
from lambent.services.cloudwatch.support import SUPPORT as CLOUDWATCH
from lambent.services.iam import operations as iam
from lambent.services.iam.support import SUPPORT as IAM
from lambent.services.logs import operations as logs
from lambent.services.logs.support import SUPPORT as LOGS
from lambent.services.sqs import operations as sqs
from lambent.services.sqs.support import SUPPORT as SQS
from lambent.services.sts import operations as sts
from lambent.services.sts.support import SUPPORT as STS

_PART = Mock()  # what the operations would work with does not matter here
SERVICES = {
    "logs": (LOGS, logs.operations(_PART, _PART, _PART)),
    "cloudwatch": (CLOUDWATCH, cloudwatch.operations(_PART)),
    "iam": (IAM, iam.operations(_PART, _PART)),
    "sqs": (SQS, sqs.operations(_PART, _PART, _PART, _PART, _PART)),
    "sts": (STS, sts.operations(_PART, _PART, _PART, _PART)),
}


@pytest.mark.parametrize(("support", "operations"), SERVICES.values(), ids=SERVICES)
def test_every_operation_answered_has_its_rows(support: Support, operations: Operations) -> None:
    assert set(support) == set(operations)


@pytest.mark.parametrize("service", SERVICES)
def test_every_member_of_the_model_has_its_row(service: str) -> None:
    model = botocore.session.get_session().get_service_model(service)
    for operation, rows in SERVICES[service][0].items():
        shape = model.operation_model(operation).input_shape
        members = set(shape.members) if isinstance(shape, StructureShape) else set()
        assert set(rows) == members, operation


@pytest.mark.parametrize("service", SERVICES)
def test_notes_are_given_for_what_has_no_effect_or_is_refused(service: str) -> None:
    rows = [member for operation in SERVICES[service][0].values() for member in operation.values()]
    assert all(member.note for member in rows if member.effect is not Effect.EFFECTIVE)
