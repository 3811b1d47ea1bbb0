"""All operations of the Lambda API that are answered."""

from __future__ import annotations

from lambent.async_invoke.accepting import Acceptance
from lambent.aws.context import Operations
from lambent.aws.service import ServiceDefinition
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.invoke.frontend import Frontend
from lambent.services.lambda_ import constraints
from lambent.services.lambda_.account import Account
from lambent.services.lambda_.aliases import Aliases
from lambent.services.lambda_.code_signing import CodeSigning
from lambent.services.lambda_.concurrency import Concurrency
from lambent.services.lambda_.download import CodeDownloads
from lambent.services.lambda_.event_invoke_configs import EventInvokeConfigs
from lambent.services.lambda_.event_source_mappings import EventSourceMappings
from lambent.services.lambda_.function_urls import FunctionUrls
from lambent.services.lambda_.functions import Functions
from lambent.services.lambda_.invoke import Invocations
from lambent.services.lambda_.layers import Layers
from lambent.services.lambda_.permissions import Permissions
from lambent.services.lambda_.runtime_settings import RuntimeSettings
from lambent.services.lambda_.tags import Tags
from lambent.services.lambda_.versions import Versions


def definition(
    control_plane: FunctionsControlPlane, frontend: Frontend, acceptance: Acceptance, downloads: CodeDownloads
) -> ServiceDefinition:
    """The service, for the request chain."""
    return ServiceDefinition(
        "lambda",
        operations(control_plane, frontend, acceptance, downloads),
        overrides=constraints.overrides(control_plane.limits),
        body_limits=constraints.BODY_LIMITS,
        direct=Invocations(frontend, acceptance, control_plane.permissions).direct(),
    )


def operations(
    control_plane: FunctionsControlPlane, frontend: Frontend, acceptance: Acceptance, downloads: CodeDownloads
) -> Operations:
    """Operation name → handler. `downloads.handler` must be served under `download.CODE_PATH` besides."""
    return {
        **Functions(control_plane, downloads).operations(),
        **Versions(control_plane).operations(),
        **Aliases(control_plane).operations(),
        **Permissions(control_plane).operations(),
        **Concurrency(control_plane).operations(),
        **EventInvokeConfigs(control_plane).operations(),
        **FunctionUrls(control_plane).operations(),
        **CodeSigning(control_plane).operations(),
        **RuntimeSettings(control_plane).operations(),
        **EventSourceMappings(control_plane).operations(),
        **Layers(control_plane, downloads).operations(),
        **Account(control_plane).operations(),
        **Tags(control_plane).operations(),
        **Invocations(frontend, acceptance, control_plane.permissions).operations(),
    }
