"""What surrounds a function: its variables, the runtimes there are, the limits; and where a server keeps things."""

from __future__ import annotations

import re
import textwrap
from dataclasses import replace

from markdown import code, table

from lambent.model import limits
from lambent.model.arn import FunctionId
from lambent.model.execution import EnvironmentSpec, RoleCredentials
from lambent.model.ids import AccountId, EnvironmentId, Region
from lambent.store import data_directory
from lambent.worker import variables
from lambent.worker.runtimes import catalog, identifiers

_SPEC = EnvironmentSpec(
    environment_id=EnvironmentId("0123456789abcdef"),
    template="template",
    function=FunctionId(AccountId("000000000000"), Region("us-east-1"), "hello"),
    version="$LATEST",
    runtime="python3.12",
    handler="app.handler",
    code_digest="0" * 64,
    memory_mb=128,
    timeout_s=3,
    ephemeral_storage_mb=512,
    architecture="x86_64",
    environment={},
    credentials=RoleCredentials("ASIA…", "…", "…", 0.0, "arn:…", "AROA…"),
    log_group="/aws/lambda/hello",
    log_stream="2026/11/23/[$LATEST]0123456789abcdef0123456789abcdef",
)
_OF_PYTHON = {"PYTHONPATH": "/var/runtime"}
_OF_NODE = {"NODE_PATH": "…/node_modules"}


def function_variables() -> str:
    """Every variable of an environment, with the value it has for a function `hello`."""
    runtime_env = {**catalog._COMMON_ENV, **_OF_PYTHON, **_OF_NODE}  # noqa: SLF001
    found = variables.environment_variables(
        _SPEC, runtime_env=runtime_env, execution_env="AWS_Lambda_python3.12", endpoint_port=4566
    )
    own = replace(_SPEC, environment=dict.fromkeys(found, "mine"))
    kept = variables.environment_variables(
        own, runtime_env=runtime_env, execution_env="AWS_Lambda_python3.12", endpoint_port=4566
    )
    rows = [(code(name), code(found[name]), "yes" if kept[name] == "mine" else "no") for name in sorted(found)]
    return table(("Variable", "Value, for example", "Your function may set it"), rows)


def runtimes() -> str:
    """Every identifier that can be run."""
    needs = {"python": "CPython {}", "nodejs": "Node.js {}", "provided": "nothing: your package brings `bootstrap`"}
    rows = [
        (code(known.name), needs[known.language].format(".".join(map(str, known.version))))
        for known in identifiers.KNOWN.values()
    ]
    return table(("Runtime", "Needs on the host"), rows)


_LIMITS = (
    ("Memory", f"{limits.MEMORY_MIN_MB} to {limits.MEMORY_MAX_MB:,} MB; {limits.MEMORY_DEFAULT_MB} by default"),
    ("Timeout", f"up to {limits.TIMEOUT_MAX_S} s; {limits.TIMEOUT_DEFAULT_S} by default"),
    ("Init phase", f"{limits.INIT_TIMEOUT_S:g} s, then once more within the first invocation's timeout"),
    (
        "Init phase, with provisioned concurrency",
        f"{limits.PROVISIONED_INIT_TIMEOUT_MIN_S:g} s, or the function's timeout if that is longer",
    ),
    ("CPU", f"one vCPU at {limits.MEMORY_MB_PER_VCPU:,} MB, in proportion below and above"),
    ("`/tmp`", f"{limits.EPHEMERAL_STORAGE_MIN_MB} to {limits.EPHEMERAL_STORAGE_MAX_MB:,} MB"),
    ("Environment variables", f"{limits.ENVIRONMENT_VARIABLES_MAX_BYTES // 1024} KB in all"),
    ("Deployment package, zipped", f"{limits.ZIPPED_DIRECT_MAX_BYTES // limits.MIB} MB"),
    ("Deployment package, unzipped", f"{limits.UNZIPPED_MAX_BYTES // limits.MIB} MB"),
    ("Event of an invocation", f"{limits.SYNC_REQUEST_MAX_BYTES // limits.MIB} MB"),
    ("Result of an invocation", f"{limits.SYNC_RESPONSE_MAX_BYTES:,} bytes"),
    ("Log tail (`LogType=Tail`)", f"the last {limits.LOG_TAIL_MAX_BYTES // 1024} KB"),
    ("Concurrent executions", f"{limits.ACCOUNT_CONCURRENCY:,} per account and region (`--account-concurrency`)"),
    (
        "Requests",
        f"{limits.REQUESTS_PER_SECOND_PER_CONCURRENCY} a second for each unit of concurrency",
    ),
    (
        "Environments that a function starts",
        f"{limits.SCALING_BURST:,} at once, and {limits.SCALING_PER_SECOND} more each second",
    ),
    (
        "Environments of tenants",
        f"{limits.TENANT_ENVIRONMENTS_PER_CONCURRENCY:g} for each unit of the account's concurrency",
    ),
    ("File descriptors", f"{limits.FILE_DESCRIPTORS_MAX:,} per process"),
    ("Processes and threads", f"{limits.PROCESSES_AND_THREADS_MAX:,} per environment"),
)


def all_limits() -> str:
    """The quotas in force, from `model.limits`."""
    return table(("What", "Limit"), _LIMITS)


def layout() -> str:
    """The data directory, as its module describes it."""
    lines = [line for line in (data_directory.__doc__ or "").splitlines() if re.match(r"DATA/", line)]
    return textwrap.dedent("```text\n" + "\n".join(lines) + "\n```")


BLOCKS = {
    "function variables": function_variables,
    "runtimes": runtimes,
    "limits": all_limits,
    "data directory": layout,
}
