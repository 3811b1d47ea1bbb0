"""Function version → the spec of an environment for it: identity, credentials, log stream. Pure but for randomness."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from lambent.model.clock import Clock
from lambent.model.execution import EnvironmentSpec, RoleCredentials, TemplateSpec
from lambent.model.function import FunctionVersion
from lambent.model.ids import new_environment_id

MintCredentials = Callable[[str, str], RoleCredentials]
"""Role ARN, session name → credentials of the execution role."""


class EnvironmentSpecs:
    """Makes specs. Names follow AWS: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html"""

    def __init__(self, mint_credentials: MintCredentials, clock: Clock) -> None:
        self._mint_credentials = mint_credentials
        self._clock = clock

    def __call__(self, version: FunctionVersion) -> EnvironmentSpec:
        """A new environment's spec."""
        environment_id = new_environment_id()
        day = dt.datetime.fromtimestamp(self._clock.now(), dt.UTC).strftime("%Y/%m/%d")
        return EnvironmentSpec(
            environment_id=environment_id,
            template=_template_name(version),
            function=version.function,
            version=version.version,
            runtime=version.runtime or "",
            handler=version.handler or "",
            code_digest=version.code_digest,
            memory_mb=version.memory_mb,
            timeout_s=version.timeout_s,
            ephemeral_storage_mb=version.ephemeral_storage_mb,
            architecture=version.architectures[0],
            environment=dict(version.environment or {}),
            credentials=self._mint_credentials(version.role, version.function.name),
            log_group=version.logging.log_group,
            log_stream=f"{day}/[{version.version}]{environment_id}",
            layer_digests=tuple(layer.digest for layer in version.layers),
            log_format=version.logging.log_format,
            application_log_level=version.logging.application_log_level,
            system_log_level=version.logging.system_log_level,
        )


def template_spec(version: FunctionVersion) -> TemplateSpec:
    """What environments of the version share."""
    return TemplateSpec(
        name=_template_name(version),
        function=version.function,
        runtime=version.runtime or "",
        architecture=version.architectures[0],
        code_digest=version.code_digest,
        memory_mb=version.memory_mb,
        ephemeral_storage_mb=version.ephemeral_storage_mb,
        environment=dict(version.environment or {}),
        layer_digests=tuple(layer.digest for layer in version.layers),
    )


def _template_name(version: FunctionVersion) -> str:
    return f"{version.qualified_arn}@{version.environment_revision}"
