"""What the data plane and a worker say to each other: specs, invocations, outcomes. All of it could cross a network.

The port itself is `lambent.invoke.ports.Worker`; `lambent.worker` implements it without importing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lambent.model.arn import FunctionId
from lambent.model.ids import EnvironmentId, RequestId
from lambent.model.values import value

ON_DEMAND: Final = "on-demand"
PROVISIONED_CONCURRENCY: Final = "provisioned-concurrency"
"""What AWS_LAMBDA_INITIALIZATION_TYPE says."""


@dataclass(frozen=True, slots=True)
class RoleCredentials:
    """The execution role's temporary credentials, as an environment gets them. `expires_at`: epoch seconds."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: float
    principal_arn: str
    user_id: str


@dataclass(frozen=True, slots=True)
class TemplateSpec:
    """What environments of one function version (at one revision) share, known before there is any. `name`: see
    `EnvironmentSpec.template`, and there for the rest."""

    name: str
    function: FunctionId
    runtime: str
    architecture: str
    code_digest: str
    memory_mb: int
    ephemeral_storage_mb: int
    environment: Mapping[str, str]
    layer_digests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """Everything needed to make one execution environment, anywhere.

    `template` names what environments of one function version (at one revision) share; `code_digest` and
    `layer_digests` (in the order they are merged in) name trees in the code store. `environment` are the function's own
    variables. `log_format` is LoggingConfig's (Text or JSON); the levels are None in text format.
    """

    environment_id: EnvironmentId
    template: str
    function: FunctionId
    version: str
    runtime: str
    handler: str
    code_digest: str
    memory_mb: int
    timeout_s: int
    ephemeral_storage_mb: int
    architecture: str
    environment: Mapping[str, str]
    credentials: RoleCredentials
    log_group: str
    log_stream: str
    initialization_type: str = ON_DEMAND
    layer_digests: tuple[str, ...] = ()
    log_format: str = "Text"
    application_log_level: str | None = None
    system_log_level: str | None = None


@value
class Invocation:
    """One event to be handled. `payload` is JSON as the caller sent it; `client_context` decoded JSON.

    `log_tail`: whether the caller wants the last 4 KB of the log. `tenant_id`: whose it is, for a function with tenant
    isolation: no other tenant's environment may handle it.
    """

    request_id: RequestId
    payload: bytes
    invoked_function_arn: str
    trace_header: str
    timeout_s: int
    client_context: bytes | None = None
    cognito_identity: str | None = None
    log_tail: bool = False
    tenant_id: str | None = None


class FunctionError(StrEnum):
    """The value of X-Amz-Function-Error."""

    UNHANDLED = "Unhandled"


@value
class Completed:
    """The function answered, or failed as functions fail (`function_error` set, `payload` its error object).

    The durations are those of the REPORT line, before it rounds them.
    """

    payload: bytes
    function_error: FunctionError | None = None
    log_tail: bytes | None = None
    duration_ms: float = field(default=0.0, compare=False)
    billed_duration_ms: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class NotHandedOff:
    """The environment ended before the runtime had the event: another environment may be tried."""

    reason: str


@dataclass(frozen=True, slots=True)
class PlatformFailed:
    """The runtime had the event and the platform failed. Never retried by the platform for a synchronous call."""

    reason: str


Outcome = Completed | NotHandedOff | PlatformFailed


class LaunchFailureKind(StrEnum):
    """Why an environment could not be made at all."""

    RUNTIME_MISSING = "RuntimeMissing"  # not installed on this host
    ARCHITECTURE = "Architecture"  # the function is built for another one
    NO_CAPACITY = "NoCapacity"  # the host has no memory left for it
    SANDBOX = "Sandbox"  # the sandbox could not be made
    INIT = "Init"  # its init phase failed, and nobody waits who could try again (provisioned concurrency)


@dataclass(frozen=True, slots=True)
class LaunchFailure:
    """An environment could not be made; `message` is for the caller, and says what to do where that is known."""

    kind: LaunchFailureKind
    message: str


class ProvisionedStatus(StrEnum):
    """The `Status` of a provisioned concurrency configuration."""

    IN_PROGRESS = "IN_PROGRESS"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class ProvisionedProgress:
    """What there is of the provisioned concurrency that was asked for, and why not more."""

    status: ProvisionedStatus
    allocated: int = 0
    available: int = 0
    reason: str | None = None
