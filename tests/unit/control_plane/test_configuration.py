"""What creations and updates make of what is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lambent.control_plane.configuration import (
    decide_create,
    decide_update_code,
    decide_update_configuration,
    timestamp,
)
from lambent.control_plane.requests import (
    ConfigurationSettings,
    CreateRequest,
    LoggingSettings,
    UpdateCodeRequest,
    UpdateConfigurationRequest,
)
from lambent.control_plane.states import ACTIVE, PENDING, UPDATING, status_of
from lambent.control_plane.versions import settle_latest
from lambent.model.arn import FunctionId
from lambent.model.errors import (
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
)
from lambent.model.function import FunctionRecord, LoggingConfig
from lambent.packaging.code_store import StoredPackage

NOW = 1_763_892_000.123


@pytest.fixture
def active(record: FunctionRecord) -> FunctionRecord:
    return settle_latest(record)


def configured(record: FunctionRecord, **settings: object) -> FunctionRecord:
    request = UpdateConfigurationRequest(record.function, ConfigurationSettings(**settings))  # type: ignore[arg-type]
    return decide_update_configuration(record, request, NOW).record


def test_defaults(record: FunctionRecord) -> None:
    latest = record.latest
    assert status_of(latest) == PENDING
    assert (latest.timeout_s, latest.memory_mb, latest.ephemeral_storage_mb) == (3, 128, 512)
    assert (latest.description, latest.environment, latest.architectures) == ("", None, ("x86_64",))
    assert latest.logging == LoggingConfig("Text", "/aws/lambda/greet")
    assert latest.last_modified == "2025-11-23T10:00:00.123+0000"
    assert (latest.code_size, latest.code_unzipped_size) == (100, 250)
    assert (record.next_version, record.tags, record.published_content) == (1, {}, None)


def test_a_name_that_is_taken(
    create_request: Callable[..., CreateRequest], package: StoredPackage, record: FunctionRecord
) -> None:
    with pytest.raises(ResourceConflictException) as refused:
        decide_create(create_request(), package, record, NOW)
    assert refused.value.message == "Function already exist: greet"


def test_publishing_on_creation(create_request: Callable[..., CreateRequest], package: StoredPackage) -> None:
    change = decide_create(create_request(publish=True), package, None, NOW)
    assert change.published is not None
    assert (change.published.version, status_of(change.published)) == ("1", PENDING)
    assert (change.record.latest.version, change.record.next_version) == ("$LATEST", 2)
    assert change.answer.version == "1"
    assert change.published.revision_id != change.record.latest.revision_id
    assert change.published.environment_revision != change.record.latest.environment_revision


def test_an_update_is_in_progress_with_a_new_revision(active: FunctionRecord) -> None:
    after = configured(active, timeout_s=7)
    assert status_of(after.latest) == UPDATING
    assert after.latest.timeout_s == 7
    assert after.latest.revision_id != active.latest.revision_id
    settled = settle_latest(after)
    assert status_of(settled.latest) == ACTIVE
    assert settled.latest.revision_id != after.latest.revision_id


def test_a_second_update_is_refused(active: FunctionRecord) -> None:
    with pytest.raises(ResourceConflictException, match="An update is in progress for resource"):
        configured(configured(active, timeout_s=7), timeout_s=8)


@pytest.mark.parametrize(
    ("settings", "renewed"),
    [
        ({}, False),
        ({"description": "other words"}, False),
        ({"without_effect": {"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"}}}, False),
        ({"timeout_s": 3}, False),
        ({"timeout_s": 4}, True),
        ({"memory_mb": 256}, True),
        ({"environment": {"A": "b"}}, True),
        ({"handler": "other.handler"}, True),
        ({"runtime": "python3.13"}, True),
        ({"role": "arn:aws:iam::000000000000:role/other"}, True),
        ({"ephemeral_storage_mb": 1024}, True),
        ({"logging": LoggingSettings(log_group="/other")}, True),
    ],
)
def test_environments_are_renewed_only_when_they_no_longer_fit(
    active: FunctionRecord, settings: dict[str, object], renewed: bool
) -> None:
    after = configured(active, **settings)
    assert (after.latest.environment_revision != active.latest.environment_revision) is renewed


def test_what_is_not_given_stays_and_what_is_empty_goes(active: FunctionRecord) -> None:
    given = settle_latest(
        configured(
            active,
            environment={"A": "b"},
            description="d",
            kms_key_arn="arn:aws:kms:us-east-1:000000000000:key/k",
            without_effect={"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"}},
        )
    )
    kept = settle_latest(configured(given, timeout_s=9)).latest
    assert kept.environment == {"A": "b"}
    assert kept.description == "d"
    assert kept.kms_key_arn == "arn:aws:kms:us-east-1:000000000000:key/k"
    assert "DeadLetterConfig" in kept.without_effect
    cleared = configured(
        given, environment={}, description="", kms_key_arn="", without_effect={"DeadLetterConfig": None}
    ).latest
    assert (cleared.environment, cleared.description, cleared.kms_key_arn) == ({}, "", None)
    assert cleared.without_effect == {}


def test_logging(active: FunctionRecord) -> None:
    as_json = settle_latest(configured(active, logging=LoggingSettings(log_format="JSON")))
    assert as_json.latest.logging == LoggingConfig("JSON", "/aws/lambda/greet", "INFO", "INFO")
    louder = settle_latest(configured(as_json, logging=LoggingSettings(application_log_level="DEBUG")))
    assert louder.latest.logging == LoggingConfig("JSON", "/aws/lambda/greet", "DEBUG", "INFO")
    as_text = configured(louder, logging=LoggingSettings(log_format="Text", log_group="/mine"))
    assert as_text.latest.logging == LoggingConfig("Text", "/mine")
    with pytest.raises(InvalidParameterValueException):
        configured(active, logging=LoggingSettings(system_log_level="DEBUG"))


def updated(
    record: FunctionRecord, package: StoredPackage, *, publish: bool = False, revision_id: str | None = None
) -> UpdateCodeRequest:
    return UpdateCodeRequest(record.function, b"zip", publish=publish, revision_id=revision_id)


def test_new_code(active: FunctionRecord, package: StoredPackage) -> None:
    other = replace(package, digest="cd" * 32, code_sha256="zc3N", code_size=1, unzipped_size=2)
    change = decide_update_code(active, None, updated(active, other), other, NOW)
    latest = change.answer
    assert change.published is None
    assert (latest.code_digest, latest.code_sha256, latest.code_size) == ("cd" * 32, "zc3N", 1)
    assert latest.environment_revision != active.latest.environment_revision


def test_the_same_code_again_leaves_environments_alone(active: FunctionRecord, package: StoredPackage) -> None:
    latest = decide_update_code(active, None, updated(active, package), package, NOW).answer
    assert latest.revision_id != active.latest.revision_id
    assert latest.environment_revision == active.latest.environment_revision


def test_publishing_with_new_code(active: FunctionRecord, package: StoredPackage) -> None:
    change = decide_update_code(active, None, updated(active, package, publish=True), package, NOW)
    assert change.published is change.answer
    assert (change.answer.version, status_of(change.answer)) == ("1", PENDING)
    assert status_of(change.record.latest) == UPDATING
    settled = settle_latest(change.record)
    again = decide_update_code(settled, change.published, updated(active, package, publish=True), package, NOW)
    assert again.published is None
    assert again.answer.version == "1"
    deleted = decide_update_code(settled, None, updated(active, package, publish=True), package, NOW)
    assert deleted.answer.version == "2"


def test_a_wrong_revision(active: FunctionRecord, package: StoredPackage, function: FunctionId) -> None:
    with pytest.raises(PreconditionFailedException):
        decide_update_code(active, None, updated(active, package, revision_id="wrong"), package, NOW)
    request = UpdateConfigurationRequest(function, ConfigurationSettings(), "wrong")
    with pytest.raises(PreconditionFailedException):
        decide_update_configuration(active, request, NOW)


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000+0000"),
        (1_763_892_000.9996, "2025-11-23T10:00:00.999+0000"),
        (1_763_892_000.007, "2025-11-23T10:00:00.007+0000"),
    ],
)
def test_timestamps_have_milliseconds(now: float, text: str) -> None:
    assert timestamp(now) == text
