"""Publishing: when a new version comes to be, and what it holds. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html: "Lambda doesn't create a new version if the
function's configuration and code hasn't changed since the last version."
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass, replace

from lambent.control_plane.requests import PublishRequest
from lambent.control_plane.states import FunctionEvent, Status, is_settled, refusal, status_of, transit, with_status
from lambent.control_plane.validation import check_revision
from lambent.model.errors import InvalidParameterValueException
from lambent.model.function import FunctionRecord, FunctionVersion
from lambent.model.ids import new_revision_id

_NOT_CONTENT = frozenset(
    {
        "version",
        "revision_id",
        "environment_revision",
        "last_modified",
        "state",
        "state_reason",
        "state_reason_code",
        "last_update_status",
        "last_update_status_reason",
        "last_update_status_reason_code",
    }
)
_NOT_OF_ENVIRONMENTS = _NOT_CONTENT | {"description", "without_effect"}


@dataclass(frozen=True, slots=True)
class Publication:
    """A published version, and the function's record after it."""

    version: FunctionVersion
    record: FunctionRecord


def content_digest(version: FunctionVersion) -> str:
    """Equal for versions with the same code and configuration."""
    return _digest(version, _NOT_CONTENT)


def environment_digest(version: FunctionVersion) -> str:
    """Equal for versions whose execution environments could serve each other."""
    return _digest(version, _NOT_OF_ENVIRONMENTS)


def new_environment_revision() -> str:
    """A value for `FunctionVersion.environment_revision` that no environment has seen."""
    return uuid.uuid4().hex


def decide_publish(record: FunctionRecord, last: FunctionVersion | None, request: PublishRequest) -> Publication | None:
    """PublishVersion; None if nothing changed since `last`: the highest number ever given, if it still exists.

    A new version gives `$LATEST` a new revision id too. Raises PreconditionFailedException,
    InvalidParameterValueException (CodeSha256), ResourceConflictException.
    """
    latest = record.latest
    check_revision(latest, request.revision_id)
    if request.code_sha256 is not None and request.code_sha256 != latest.code_sha256:
        raise InvalidParameterValueException(
            f"CodeSHA256 ({request.code_sha256}) is different from current CodeSHA256 in $LATEST "
            f"({latest.code_sha256}). Please try again with the CodeSHA256 in $LATEST."
        )
    if not is_settled(latest):
        raise refusal(latest)
    if last is not None and is_published(record):
        return None
    publication = publish(record, status_of(latest), description=request.description)
    renewed = replace(publication.record.latest, revision_id=new_revision_id())
    return Publication(publication.version, publication.record.with_latest(renewed))


def is_published(record: FunctionRecord) -> bool:
    """Has `$LATEST` not changed since it was last published?"""
    return record.published_content == content_digest(record.latest)


def publish(record: FunctionRecord, status: Status, *, description: str | None = None) -> Publication:
    """The next version, made of `$LATEST` as it is, in the given status."""
    number = str(record.next_version)
    version = replace(
        with_status(record.latest, status),
        version=number,
        revision_id=new_revision_id(),
        environment_revision=new_environment_revision(),
        description=record.latest.description if description is None else description,
    )
    after = replace(record, next_version=record.next_version + 1, published_content=content_digest(record.latest))
    return Publication(version, after)


def settle(version: FunctionVersion) -> FunctionVersion:
    """A published version, completed: unlike `$LATEST` it keeps its revision id."""
    return transit(version, _completion(version))


def settle_latest(record: FunctionRecord) -> FunctionRecord:
    """The function with its `$LATEST` completed."""
    settled = transit(record.latest, _completion(record.latest))
    return record.with_latest(replace(settled, revision_id=new_revision_id()))


def _completion(version: FunctionVersion) -> FunctionEvent:
    return FunctionEvent.SETTLED if version.image_uri is None else FunctionEvent.REFUSED


def _digest(version: FunctionVersion, without: frozenset[str]) -> str:
    content = {name: value for name, value in asdict(version).items() if name not in without}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
