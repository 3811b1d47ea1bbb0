"""When publishing makes a new version."""

from __future__ import annotations

import pytest

from lambent.control_plane.configuration import decide_update_configuration
from lambent.control_plane.requests import ConfigurationSettings, PublishRequest, UpdateConfigurationRequest
from lambent.control_plane.states import ACTIVE, status_of
from lambent.control_plane.versions import decide_publish, settle_latest
from lambent.model.errors import (
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
)
from lambent.model.function import FunctionRecord

NOW = 1_763_892_000.123


@pytest.fixture
def active(record: FunctionRecord) -> FunctionRecord:
    return settle_latest(record)


def described(record: FunctionRecord, description: str) -> FunctionRecord:
    request = UpdateConfigurationRequest(record.function, ConfigurationSettings(description=description))
    return settle_latest(decide_update_configuration(record, request, NOW).record)


def test_the_first_version(active: FunctionRecord) -> None:
    publication = decide_publish(active, None, PublishRequest(active.function, description="first"))
    assert publication is not None
    version, after = publication.version, publication.record
    assert (version.version, version.description, status_of(version)) == ("1", "first", ACTIVE)
    assert version.arn.endswith(":greet:1")
    assert after.next_version == 2
    assert after.latest.description == ""
    assert len({version.revision_id, after.latest.revision_id, active.latest.revision_id}) == 3
    assert after.latest.environment_revision == active.latest.environment_revision


def test_the_same_again_is_no_new_version_whatever_its_description(active: FunctionRecord) -> None:
    first = decide_publish(active, None, PublishRequest(active.function, description="first"))
    assert first is not None
    again = decide_publish(first.record, first.version, PublishRequest(active.function, description="second"))
    assert again is None


def test_a_change_of_description_is_a_change(active: FunctionRecord) -> None:
    first = decide_publish(active, None, PublishRequest(active.function))
    assert first is not None
    second = decide_publish(described(first.record, "new"), first.version, PublishRequest(active.function))
    assert second is not None
    assert (second.version.version, second.version.description) == ("2", "new")


def test_there_and_back_is_no_change(active: FunctionRecord) -> None:
    first = decide_publish(active, None, PublishRequest(active.function))
    assert first is not None
    back = described(described(first.record, "new"), "")
    assert decide_publish(back, first.version, PublishRequest(active.function)) is None


def test_a_deleted_version_is_not_answered_again_and_its_number_not_reused(active: FunctionRecord) -> None:
    first = decide_publish(active, None, PublishRequest(active.function))
    assert first is not None
    second = decide_publish(first.record, None, PublishRequest(active.function))
    assert second is not None
    assert second.version.version == "2"


def test_preconditions(active: FunctionRecord, record: FunctionRecord) -> None:
    with pytest.raises(PreconditionFailedException):
        decide_publish(active, None, PublishRequest(active.function, revision_id="wrong"))
    with pytest.raises(InvalidParameterValueException) as refused:
        decide_publish(active, None, PublishRequest(active.function, code_sha256="wrong"))
    assert refused.value.message == (
        "CodeSHA256 (wrong) is different from current CodeSHA256 in $LATEST (q6ur). "
        "Please try again with the CodeSHA256 in $LATEST."
    )
    with pytest.raises(ResourceConflictException):
        decide_publish(record, None, PublishRequest(record.function))
    assert decide_publish(active, None, PublishRequest(active.function, code_sha256="q6ur")) is not None
