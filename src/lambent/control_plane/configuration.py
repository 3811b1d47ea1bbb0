"""What CreateFunction, UpdateFunctionCode and UpdateFunctionConfiguration make of what is stored. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from lambent.control_plane.blocks import check_blocks
from lambent.control_plane.images import IMAGE
from lambent.control_plane.layer_rules import check_unzipped_size
from lambent.control_plane.requests import (
    Code,
    ConfigurationSettings,
    ContainerImage,
    CreateRequest,
    LoggingSettings,
    UpdateCodeRequest,
    UpdateConfigurationRequest,
)
from lambent.control_plane.states import PENDING, FunctionEvent, transit, with_status
from lambent.control_plane.validation import check_revision
from lambent.control_plane.versions import (
    environment_digest,
    is_published,
    new_environment_revision,
    publish,
)
from lambent.model.arn import LATEST
from lambent.model.errors import InvalidParameterValueException, ResourceConflictException
from lambent.model.function import FunctionRecord, FunctionVersion, LoggingConfig
from lambent.model.ids import new_revision_id
from lambent.model.layer import AttachedLayer
from lambent.model.limits import AWS_LIMITS, Limits
from lambent.packaging.code_store import StoredPackage

TEXT: Final = "Text"
JSON: Final = "JSON"
_DEFAULT_LEVEL: Final = "INFO"  # of both levels, in JSON format


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be stored: the function, and the version published with it if one was asked for and is new.

    `answer` is the version the caller is told about.
    """

    record: FunctionRecord
    published: FunctionVersion | None
    answer: FunctionVersion


def decide_create(
    request: CreateRequest,
    package: StoredPackage,
    existing: FunctionRecord | None,
    now: float,
    layers: tuple[AttachedLayer, ...] | None = None,
    limits: Limits = AWS_LIMITS,
) -> Change:
    """CreateFunction, its settings already checked, with the layers they name. Raises ResourceConflictException if the
    function exists, InvalidParameterValueException.

    With Publish the answer is version 1 under the unqualified ARN, which is what AWS answers; the version stored is a
    proper one.
    """
    if existing is not None:
        raise already_exists(request)
    settings = request.settings
    if settings.role is None:  # the service model requires it
        raise InvalidParameterValueException("Role is required.")
    blank = FunctionVersion(
        function=request.function,
        version=LATEST,
        role=settings.role,
        code_digest=package.digest,
        code_sha256=package.code_sha256,
        code_size=package.code_size,
        code_unzipped_size=package.unzipped_size,
        revision_id=new_revision_id(),
        environment_revision=new_environment_revision(),
        last_modified=timestamp(now),
        logging=LoggingConfig(TEXT, f"/aws/lambda/{request.function.name}"),
        architectures=request.architectures,
        package_type=IMAGE if isinstance(request.code, ContainerImage) else "Zip",
        image_uri=_image_uri(request.code),
        tenant_isolation_mode=request.tenant_isolation_mode,
    )
    record = FunctionRecord(
        with_status(_with_settings(blank, settings, layers, limits), PENDING), tags=dict(request.tags)
    )
    if not request.publish:
        return Change(record, None, record.latest)
    publication = publish(record, PENDING)
    answer = replace(publication.version, revision_id=record.latest.revision_id)
    return Change(publication.record, publication.version, answer)


def decide_update_code(
    record: FunctionRecord,
    last: FunctionVersion | None,
    request: UpdateCodeRequest,
    package: StoredPackage,
    now: float,
    limits: Limits = AWS_LIMITS,
) -> Change:
    """UpdateFunctionCode. `last` as in `versions.decide_publish`; used only with Publish.

    Raises PreconditionFailedException, ResourceConflictException.
    """
    check_revision(record.latest, request.revision_id)
    after = record.with_latest(_updated(record.latest, with_code(record.latest, request, package, limits), now))
    if not request.publish:
        return Change(after, None, after.latest)
    if last is not None and is_published(after):
        return Change(after, None, last)
    publication = publish(after, PENDING)
    return Change(publication.record, publication.version, publication.version)


def with_code(
    latest: FunctionVersion, request: UpdateCodeRequest, package: StoredPackage, limits: Limits = AWS_LIMITS
) -> FunctionVersion:
    """`$LATEST` with other code and nothing else changed: also what a DryRun answers.

    Raises InvalidParameterValueException if it is too large together with the layers.
    """
    after = replace(
        latest,
        code_digest=package.digest,
        code_sha256=package.code_sha256,
        code_size=package.code_size,
        code_unzipped_size=package.unzipped_size,
        architectures=request.architectures or latest.architectures,
        image_uri=_image_uri(request.code),
    )
    check_unzipped_size(after, limits)
    return after


def decide_update_configuration(
    record: FunctionRecord,
    request: UpdateConfigurationRequest,
    now: float,
    layers: tuple[AttachedLayer, ...] | None = None,
    limits: Limits = AWS_LIMITS,
) -> Change:
    """UpdateFunctionConfiguration, its settings already checked, with the layers they name.

    Raises PreconditionFailedException, ResourceConflictException, InvalidParameterValueException.
    """
    check_revision(record.latest, request.revision_id)
    after = record.with_latest(
        _updated(record.latest, _with_settings(record.latest, request.settings, layers, limits), now)
    )
    return Change(after, None, after.latest)


def already_exists(request: CreateRequest) -> ResourceConflictException:
    """The answer to the second CreateFunction of one name."""
    return ResourceConflictException(f"Function already exist: {request.function.name}")


def timestamp(now: float) -> str:
    """LastModified: 2026-11-23T10:00:00.000+0000."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(now * 1000) % 1000:03d}+0000"


def _updated(before: FunctionVersion, after: FunctionVersion, now: float) -> FunctionVersion:
    """`$LATEST` with an update under way. Environments are renewed only if they would not fit any more."""
    fits = environment_digest(before) == environment_digest(after)
    return replace(
        transit(after, FunctionEvent.UPDATE),
        revision_id=new_revision_id(),
        environment_revision=before.environment_revision if fits else new_environment_revision(),
        last_modified=timestamp(now),
    )


def _image_uri(code: Code) -> str | None:
    return code.uri if isinstance(code, ContainerImage) else None


def _with_settings(
    version: FunctionVersion,
    settings: ConfigurationSettings,
    layers: tuple[AttachedLayer, ...] | None,
    limits: Limits,
) -> FunctionVersion:
    given = {
        "role": settings.role,
        "runtime": settings.runtime,
        "handler": settings.handler,
        "description": settings.description,
        "timeout_s": settings.timeout_s,
        "memory_mb": settings.memory_mb,
        "ephemeral_storage_mb": settings.ephemeral_storage_mb,
        "tracing_mode": settings.tracing_mode,
        "environment": None if settings.environment is None else dict(settings.environment),
        "layers": layers,
    }
    present: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if settings.kms_key_arn is not None:
        present["kms_key_arn"] = settings.kms_key_arn or None
    after = replace(
        version,
        **present,
        logging=_logging(version.logging, settings.logging),
        without_effect=_merged(version.without_effect, settings.without_effect),
    )
    check_unzipped_size(after, limits)
    check_blocks(after)
    return after


def _logging(current: LoggingConfig, given: LoggingSettings | None) -> LoggingConfig:
    if given is None:
        return current
    log_format = given.log_format or current.log_format
    log_group = given.log_group or current.log_group
    if log_format == TEXT:
        if given.application_log_level or given.system_log_level:
            raise InvalidParameterValueException(
                "ApplicationLogLevel and SystemLogLevel can be set only when LogFormat is JSON."
            )
        return LoggingConfig(TEXT, log_group)
    return LoggingConfig(
        log_format,
        log_group,
        given.application_log_level or current.application_log_level or _DEFAULT_LEVEL,
        given.system_log_level or current.system_log_level or _DEFAULT_LEVEL,
    )


def _merged(current: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**current, **given}.items() if value is not None}
