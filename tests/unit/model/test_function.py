"""Documents of functions and versions come back as they went, and old ones can still be read."""

from __future__ import annotations

import json
import re

import pytest

from lambent.model.arn import FunctionId
from lambent.model.function import (
    FunctionRecord,
    FunctionVersion,
    LastUpdateStatus,
    LoggingConfig,
    State,
    is_version_number,
    version_key,
    versions_prefix,
)
from lambent.model.ids import AccountId, Region, RevisionId

FUNCTION = FunctionId(AccountId("000000000000"), Region("us-east-1"), "greet")


def a_version(number: str = "$LATEST") -> FunctionVersion:
    return FunctionVersion(
        function=FUNCTION,
        version=number,
        role="arn:aws:iam::000000000000:role/r",
        code_digest="ab" * 32,
        code_sha256="q6ur",
        code_size=10,
        code_unzipped_size=20,
        revision_id=RevisionId("r1"),
        environment_revision="e1",
        last_modified="2026-11-23T10:00:00.000+0000",
        logging=LoggingConfig("Text", "/aws/lambda/greet"),
        runtime="python3.12",
        handler="index.handler",
        environment={"A": "é"},
        without_effect={"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"}},
        state=State.ACTIVE,
        last_update_status=LastUpdateStatus.IN_PROGRESS,
    )


def test_a_record_survives_json() -> None:
    record = FunctionRecord(a_version(), next_version=4, tags={"k": "v"}, published_content="c0")
    assert FunctionRecord.from_document(json.loads(json.dumps(record.to_document()))) == record


def test_a_record_from_before_publications_were_remembered() -> None:
    document = FunctionRecord(a_version()).to_document()
    del document["published_content"]
    assert FunctionRecord.from_document(document).published_content is None


def test_version_keys_sort_as_versions_do() -> None:
    keys = [version_key(FUNCTION, str(number)) for number in (1, 2, 9, 10, 11, 100)]
    assert keys == sorted(keys)
    assert all(key.startswith(versions_prefix(FUNCTION)) for key in keys)


@pytest.mark.parametrize("text", ["1", "10", "4294967296"])
def test_version_numbers(text: str) -> None:
    assert is_version_number(text)


@pytest.mark.parametrize("text", ["0", "01", "$LATEST", "live", "", "1\n", "-1", "١", "12345678901"])
def test_what_is_no_version_number(text: str) -> None:
    assert not is_version_number(text)


def test_arns() -> None:
    assert a_version().arn == "arn:aws:lambda:us-east-1:000000000000:function:greet"
    assert a_version("3").arn == "arn:aws:lambda:us-east-1:000000000000:function:greet:3"
    assert a_version().qualified_arn.endswith(":greet:$LATEST")


def test_the_runtime_version_arn_is_one_per_runtime_and_region() -> None:
    arn = a_version().runtime_version_arn
    assert arn is not None
    assert re.fullmatch(r"arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}", arn)
    assert arn == a_version("7").runtime_version_arn
