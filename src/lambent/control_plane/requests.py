"""What is asked of the control plane, free of the wire's shapes. An absent setting is None; empty means "cleared"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lambent.model.arn import FunctionId


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """The members of LoggingConfig that were given."""

    log_format: str | None = None
    log_group: str | None = None
    application_log_level: str | None = None
    system_log_level: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationSettings:
    """The settings that CreateFunction and UpdateFunctionConfiguration share.

    `without_effect` holds, under their API names, the blocks that are stored and answered only; one given as None is
    removed.
    """

    role: str | None = None
    runtime: str | None = None
    handler: str | None = None
    description: str | None = None
    timeout_s: int | None = None
    memory_mb: int | None = None
    ephemeral_storage_mb: int | None = None
    environment: Mapping[str, str] | None = None
    logging: LoggingSettings | None = None
    tracing_mode: str | None = None
    kms_key_arn: str | None = None
    without_effect: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """CreateFunction. `zip_file` is the archive itself."""

    function: FunctionId
    settings: ConfigurationSettings
    zip_file: bytes
    architectures: tuple[str, ...] = ("x86_64",)
    tags: Mapping[str, str] = field(default_factory=dict)
    publish: bool = False


@dataclass(frozen=True, slots=True)
class UpdateCodeRequest:
    """UpdateFunctionCode."""

    function: FunctionId
    zip_file: bytes
    architectures: tuple[str, ...] | None = None
    publish: bool = False
    dry_run: bool = False
    revision_id: str | None = None


@dataclass(frozen=True, slots=True)
class UpdateConfigurationRequest:
    """UpdateFunctionConfiguration."""

    function: FunctionId
    settings: ConfigurationSettings
    revision_id: str | None = None


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """PublishVersion. Without a description the version gets `$LATEST`'s."""

    function: FunctionId
    description: str | None = None
    code_sha256: str | None = None
    revision_id: str | None = None
