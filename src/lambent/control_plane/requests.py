"""What is asked of the control plane, free of the wire's shapes. An absent setting is None; empty means "cleared"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lambent.aws_client.s3_objects import S3Object
from lambent.iam.principal import Principal
from lambent.model.arn import FunctionId
from lambent.model.layer import LayerId


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """Code that is a container image in a registry."""

    uri: str


Code = bytes | S3Object | ContainerImage
"""Code as it was given: the archive itself, where it is, or an image."""


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

    `layers` are ARNs of layer versions. `without_effect` holds, under their API names, the blocks that are stored and
    answered only; one given as None is removed.
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
    layers: tuple[str, ...] | None = None
    without_effect: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """CreateFunction. `caller`: who asks, where another account's layers may be meant."""

    function: FunctionId
    settings: ConfigurationSettings
    code: Code
    architectures: tuple[str, ...] = ("x86_64",)
    tags: Mapping[str, str] = field(default_factory=dict)
    publish: bool = False
    caller: Principal | None = None
    code_signing_config_arn: str | None = None
    tenant_isolation_mode: str | None = None


@dataclass(frozen=True, slots=True)
class UpdateCodeRequest:
    """UpdateFunctionCode."""

    function: FunctionId
    code: Code
    architectures: tuple[str, ...] | None = None
    publish: bool = False
    dry_run: bool = False
    revision_id: str | None = None


@dataclass(frozen=True, slots=True)
class UpdateConfigurationRequest:
    """UpdateFunctionConfiguration. `caller` as in `CreateRequest`."""

    function: FunctionId
    settings: ConfigurationSettings
    revision_id: str | None = None
    caller: Principal | None = None


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """PublishVersion. Without a description the version gets `$LATEST`'s."""

    function: FunctionId
    description: str | None = None
    code_sha256: str | None = None
    revision_id: str | None = None


@dataclass(frozen=True, slots=True)
class PublishLayerRequest:
    """PublishLayerVersion."""

    layer: LayerId
    content: bytes | S3Object
    description: str = ""
    compatible_runtimes: tuple[str, ...] = ()
    compatible_architectures: tuple[str, ...] = ()
    license_info: str | None = None


@dataclass(frozen=True, slots=True)
class LayerFilter:
    """What ListLayers and ListLayerVersions may be narrowed to."""

    compatible_runtime: str | None = None
    compatible_architecture: str | None = None
