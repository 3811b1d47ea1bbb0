"""A function and its versions, as stored.

Names follow the API's FunctionConfiguration
(https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html); the shapes of requests and answers are
the business of `services.lambda_`. The control plane writes these, the data plane reads them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from lambent.model import limits
from lambent.model.arn import LATEST, FunctionId
from lambent.model.ids import AccountId, Region, RevisionId
from lambent.model.layer import AttachedLayer

_VERSION_NUMBER = re.compile("[1-9][0-9]{0,9}")


class State(StrEnum):
    """Of a version: may it be invoked?"""

    PENDING = "Pending"
    ACTIVE = "Active"
    INACTIVE = "Inactive"
    FAILED = "Failed"


class LastUpdateStatus(StrEnum):
    """Of the last update of `$LATEST`."""

    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    IN_PROGRESS = "InProgress"


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    """Where and how a function logs. Levels are None in text format."""

    log_format: str
    log_group: str
    application_log_level: str | None = None
    system_log_level: str | None = None


@dataclass(frozen=True, slots=True)
class FunctionVersion:
    """One version of a function (`$LATEST` or a number): everything that describes and runs it.

    `code_digest` names the tree and archive in the code store (`packaging`); `code_sha256` is its base64 form on the
    wire; `code_size` is the archive's size and `code_unzipped_size` the tree's, in bytes. `environment_revision`
    changes exactly when running environments no longer fit (code, configuration), unlike `revision_id`, which changes
    with every stored change. `without_effect` keeps, under their API names, the blocks that are accepted, stored and
    answered but change nothing yet.
    """

    function: FunctionId
    version: str
    role: str
    code_digest: str
    code_sha256: str
    code_size: int
    revision_id: RevisionId
    environment_revision: str
    last_modified: str  # 2026-11-23T10:00:00.000+0000
    logging: LoggingConfig
    runtime: str | None = None
    handler: str | None = None
    description: str = ""
    timeout_s: int = limits.TIMEOUT_DEFAULT_S
    memory_mb: int = limits.MEMORY_DEFAULT_MB
    ephemeral_storage_mb: int = limits.EPHEMERAL_STORAGE_MIN_MB
    environment: Mapping[str, str] | None = None
    architectures: tuple[str, ...] = ("x86_64",)
    package_type: str = "Zip"
    tracing_mode: str = "PassThrough"
    code_unzipped_size: int = 0
    image_uri: str | None = None  # of a container image; then there is no code in the code store, its digest is empty
    kms_key_arn: str | None = None
    tenant_isolation_mode: str | None = None  # PER_TENANT: an environment is for one tenant only. Set at creation
    layers: tuple[AttachedLayer, ...] = ()  # merged into /opt in this order, a later one over an earlier
    without_effect: Mapping[str, Any] = field(default_factory=dict)
    state: State = State.ACTIVE
    state_reason: str | None = None
    state_reason_code: str | None = None
    last_update_status: LastUpdateStatus | None = None
    last_update_status_reason: str | None = None
    last_update_status_reason_code: str | None = None

    @property
    def is_latest(self) -> bool:
        return self.version == LATEST

    @property
    def arn(self) -> str:
        """Unqualified for `$LATEST`, qualified for a number."""
        return self.function.arn if self.is_latest else self.function.qualified_arn(self.version)

    @property
    def qualified_arn(self) -> str:
        """With the version, `$LATEST` included."""
        return self.function.qualified_arn(self.version)

    @property
    def runtime_version_arn(self) -> str | None:
        """What RuntimeVersionConfig and INIT_START name: the same for every function of a runtime in a region."""
        if self.runtime is None:
            return None
        fingerprint = hashlib.sha256(f"lambent runtime {self.runtime}".encode()).hexdigest()
        return f"arn:aws:lambda:{self.function.region}::runtime:{fingerprint}"

    def to_document(self) -> dict[str, Any]:
        """A JSON object for the store."""
        return asdict(self)

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> FunctionVersion:
        """The inverse of `to_document`. Members added later take their defaults."""
        values = dict(document)
        values["function"] = _function_id(values["function"])
        values["logging"] = LoggingConfig(**values["logging"])
        values["architectures"] = tuple(values["architectures"])
        values["layers"] = tuple(AttachedLayer(**layer) for layer in values.get("layers", ()))
        values["state"] = State(values["state"])
        status = values.get("last_update_status")
        values["last_update_status"] = LastUpdateStatus(status) if status is not None else None
        return FunctionVersion(**values)


@dataclass(frozen=True, slots=True)
class FunctionRecord:
    """A function: its `$LATEST`, the number its next published version gets, and its tags.

    `published_content` is the digest of what was last published (code and configuration of `$LATEST` then): publishing
    the same again makes no new version.
    """

    latest: FunctionVersion
    next_version: int = 1
    tags: Mapping[str, str] = field(default_factory=dict)
    published_content: str | None = None

    @property
    def function(self) -> FunctionId:
        return self.latest.function

    def with_latest(self, latest: FunctionVersion) -> FunctionRecord:
        """The same function with another `$LATEST`."""
        return replace(self, latest=latest)

    def to_document(self) -> dict[str, Any]:
        """A JSON object for the store."""
        return {
            "latest": self.latest.to_document(),
            "next_version": self.next_version,
            "tags": dict(self.tags),
            "published_content": self.published_content,
        }

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> FunctionRecord:
        """The inverse of `to_document`."""
        return FunctionRecord(
            latest=FunctionVersion.from_document(document["latest"]),
            next_version=document["next_version"],
            tags=document["tags"],
            published_content=document.get("published_content"),
        )


def version_key(function: FunctionId, version: str) -> str:
    """The store key of a published version: numbers padded, so that keys sort as versions do."""
    return f"{versions_prefix(function)}{int(version):010d}"


def versions_prefix(function: FunctionId) -> str:
    """The prefix of the store keys of all published versions of a function."""
    return f"{function.key}/"


def is_version_number(qualifier: str) -> bool:
    """Could this qualifier name a published version? (`01` is no version, and `$LATEST` is not published.)"""
    return _VERSION_NUMBER.fullmatch(qualifier) is not None


def _function_id(document: Mapping[str, str]) -> FunctionId:
    return FunctionId(AccountId(document["account"]), Region(document["region"]), document["name"])
