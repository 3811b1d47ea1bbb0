"""From a stored version to the API's FunctionConfiguration. Absent members are absent: never None, never empty text.

https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html
"""

from __future__ import annotations

from typing import Any

from lambent.aws.context import Params
from lambent.model.function import FunctionVersion, LoggingConfig


def function_configuration(version: FunctionVersion, *, arn: str | None = None) -> Params:
    """Everything about a version. `arn`: where AWS answers with another form of the ARN than the version's own."""
    return listed_configuration(version, arn=arn) | _present(
        {
            "State": version.state.value,
            "StateReason": version.state_reason,
            "StateReasonCode": version.state_reason_code,
            "LastUpdateStatus": version.last_update_status.value if version.last_update_status else None,
            "LastUpdateStatusReason": version.last_update_status_reason,
            "LastUpdateStatusReasonCode": version.last_update_status_reason_code,
            "RuntimeVersionConfig": (
                {"RuntimeVersionArn": version.runtime_version_arn} if version.runtime_version_arn else None
            ),
        }
    )


def listed_configuration(version: FunctionVersion, *, arn: str | None = None) -> Params:
    """What lists tell: without the states and the runtime's version."""
    environment = None if version.environment is None else {"Variables": dict(version.environment)}
    optional = {
        "Runtime": version.runtime,
        "Handler": version.handler,
        "Environment": environment,
        "KMSKeyArn": version.kms_key_arn,
        "TenancyConfig": (
            {"TenantIsolationMode": version.tenant_isolation_mode} if version.tenant_isolation_mode else None
        ),
        "CodeSha256": version.code_sha256 or None,
        "Layers": [{"Arn": layer.arn, "CodeSize": layer.code_size} for layer in version.layers] or None,
        **version.without_effect,
    }
    return {
        "FunctionName": version.function.name,
        "FunctionArn": arn or version.arn,
        "Role": version.role,
        "CodeSize": version.code_size,
        "Description": version.description,
        "Timeout": version.timeout_s,
        "MemorySize": version.memory_mb,
        "LastModified": version.last_modified,
        "Version": version.version,
        "TracingConfig": {"Mode": version.tracing_mode},
        "RevisionId": version.revision_id,
        "PackageType": version.package_type,
        "Architectures": list(version.architectures),
        "EphemeralStorage": {"Size": version.ephemeral_storage_mb},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": _logging(version.logging),
    } | _present(optional)


def _logging(logging: LoggingConfig) -> Params:
    return _present(
        {
            "LogFormat": logging.log_format,
            "ApplicationLogLevel": logging.application_log_level,
            "SystemLogLevel": logging.system_log_level,
            "LogGroup": logging.log_group,
        }
    )


def _present(members: dict[str, Any]) -> Params:
    return {name: value for name, value in members.items() if value is not None}
