"""The environment variables of an execution environment. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime. Nothing of the
host's environment gets in: the result is built from the spec and the runtime alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from lambent.model.execution import EnvironmentSpec

TELEMETRY_FD = 3
CHANNEL_FD = 4
RUNTIME_API_PORT = 9001
RUNTIME_API = f"127.0.0.1:{RUNTIME_API_PORT}"


def environment_variables(
    spec: EnvironmentSpec, *, runtime_env: Mapping[str, str], execution_env: str | None, endpoint_port: int
) -> dict[str, str]:
    """What the runtime process gets.

    `runtime_env` are the runtime's own (PATH, LD_LIBRARY_PATH, …): a function may override those, but not the
    reserved ones. `execution_env` is AWS_EXECUTION_ENV (None for the OS-only runtimes, as on AWS). The bootstraps of
    the others are ours, and find their channel at the descriptor that _LAMBENT_CHANNEL_FD names.
    `endpoint_port` is where the AWS API answers inside.
    """
    variables = {
        "PWD": "/var/task",
        "SHLVL": "0",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        "_AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1",
        "_AWS_XRAY_DAEMON_PORT": "2000",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{endpoint_port}",
    }
    variables |= runtime_env
    variables |= spec.environment
    variables |= _reserved(spec)
    if execution_env is not None:
        variables["AWS_EXECUTION_ENV"] = execution_env
        variables["_LAMBENT_CHANNEL_FD"] = str(CHANNEL_FD)
    return variables


def _reserved(spec: EnvironmentSpec) -> dict[str, str]:
    """Those that a function cannot set itself."""
    level = {} if spec.application_log_level is None else {"AWS_LAMBDA_LOG_LEVEL": spec.application_log_level}
    return level | {
        "_HANDLER": spec.handler,
        "_LAMBDA_TELEMETRY_LOG_FD": str(TELEMETRY_FD),
        "AWS_REGION": spec.function.region,
        "AWS_DEFAULT_REGION": spec.function.region,
        "AWS_LAMBDA_FUNCTION_NAME": spec.function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": spec.initialization_type,
        "AWS_LAMBDA_LOG_FORMAT": spec.log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": spec.log_stream,
        "AWS_LAMBDA_RUNTIME_API": RUNTIME_API,
        "AWS_ACCESS_KEY_ID": spec.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": spec.credentials.secret_access_key,
        "AWS_SESSION_TOKEN": spec.credentials.session_token,
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
    }
