"""The table of what is offered covers the API model, and is enforced."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.model import ServiceModel, StructureShape

from lambent.model.errors import InvalidParameterValueException
from lambent.services.lambda_.support import SUPPORT, Effect, refuse_unsupported


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("lambda")


@pytest.mark.parametrize("operation", sorted(SUPPORT))
def test_every_member_of_the_model_has_its_row_or_rows(model: ServiceModel, operation: str) -> None:
    shape = model.operation_model(operation).input_shape
    rows = SUPPORT[operation]
    members = shape.members if isinstance(shape, StructureShape) else {}
    assert {path.partition(".")[0] for path in rows} == set(members)
    for path in rows:
        name, _, inner = path.partition(".")
        if inner:
            nested = members[name]
            assert isinstance(nested, StructureShape)
            assert inner in nested.members
    for name, nested in members.items():
        if name not in rows and isinstance(nested, StructureShape):  # then each of its members has one
            assert {f"{name}.{inner}" for inner in nested.members} <= set(rows)


@pytest.mark.parametrize(
    ("operation", "params", "named"),
    [
        ("CreateFunction", {"DurableConfig": {"ExecutionTimeout": 1}}, "DurableConfig"),
        ("CreateFunction", {"CapacityProviderConfig": {"x": 1}}, "CapacityProviderConfig"),
        ("CreateFunction", {"Code": {"S3ObjectStorageMode": "REFERENCE"}}, "Code.S3ObjectStorageMode"),
        ("UpdateFunctionCode", {"SourceKMSKeyArn": "arn"}, "SourceKMSKeyArn"),
        ("PublishLayerVersion", {"Content": {"S3ObjectStorageMode": "REFERENCE"}}, "Content.S3ObjectStorageMode"),
        ("UpdateFunctionConfiguration", {"DurableConfig": {"RetentionPeriodInDays": 1}}, "DurableConfig"),
        ("PublishVersion", {"PublishTo": "LATEST_PUBLISHED"}, "PublishTo"),
        ("Invoke", {"DurableExecutionName": "n"}, "DurableExecutionName"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(operation: str, params: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidParameterValueException) as refused:
        refuse_unsupported(operation, params)
    assert refused.value.message.startswith(f"{named} is not offered by Lambent yet.")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"PackageType": "Zip", "SnapStart": {"ApplyOn": "None"}, "Layers": [], "FileSystemConfigs": []},
        {"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": False}},
        {"ImageConfig": {}, "SnapStart": {}, "Code": {"ZipFile": b"zip"}},
    ],
)
def test_what_asks_for_nothing_passes(params: dict[str, Any]) -> None:
    refuse_unsupported("CreateFunction", params)


def test_notes_are_given_for_what_has_no_effect() -> None:
    rows = [member for operation in SUPPORT.values() for member in operation.values()]
    assert all(member.note for member in rows if member.effect is Effect.WITHOUT_EFFECT)
