"""From process start to the endless loop of invocations."""

import logging
import os
import sys

from _lambda_runtime import channel, hooks, search_path
from _lambda_runtime.client import RuntimeApiClient
from _lambda_runtime.context import Function, LambdaContext
from _lambda_runtime.errors import FaultError, describe_exception, describe_fault
from _lambda_runtime.handler import load
from _lambda_runtime.logs import FunctionLog, current
from _lambda_runtime.marshal import Marshaller
from _lambda_runtime.trace_variable import TraceVariable

_MAX_XRAY_CAUSE = 1024 * 1024  # bytes; a larger one is left out
_INIT_WARNING = (
    "LAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the function code. "
    "However, in rare cases, a Lambda runtime update can cause unexpected function behavior. "
    "For functions using managed runtimes, runtime updates can be triggered by a function change, or can be applied "
    "automatically. To determine if the runtime has been updated, check the runtime version in the INIT_START log "
    "entry. If this error correlates with a change in the runtime version, you may be able to mitigate this error by "
    "temporarily rolling back to the previous runtime version. For more information, see "
    "https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html\r"
)


def main():
    """Become the execution environment the environment variables describe. Returns only by an exception."""
    environ = os.environ
    runtime_dir = environ.get("LAMBDA_RUNTIME_DIR", "/var/runtime")
    task_root = environ.get("LAMBDA_TASK_ROOT", "/var/task")
    layers_dir = environ.pop("_LAMBENT_LAYERS", "/opt")  # elsewhere without isolation
    log = FunctionLog(environ)
    client = channel.connect(environ) or RuntimeApiClient(environ["AWS_LAMBDA_RUNTIME_API"])
    marshaller = Marshaller()
    handler = _initialise(environ, task_root, runtime_dir, layers_dir, log, client, marshaller)
    _serve(handler, Function(environ), log, client, marshaller)


def _initialise(environ, task_root, runtime_dir, layers_dir, log, client, marshaller):
    """The handler. When there is none, tell so and exit with status 1."""
    try:
        search_path.prepare(task_root, runtime_dir, layers_dir)
        return hooks.wrapped(load(environ.get("_HANDLER", "")))
    except FaultError as fault:
        failure, _ = describe_fault(fault, None)
    except Exception:
        failure, _ = describe_exception(None)
    finally:
        log.finish_records()
    logging.getLogger().warning(_INIT_WARNING)
    log.error(failure, marshaller.error)
    hook = hooks.replaced("post_init_error")
    if hook is not None:
        hook(failure)
    client.init_error(marshaller.error(failure), failure["errorType"])
    sys.exit(1)


def _serve(handler, function, log, client, marshaller):
    before_result = hooks.replaced("post_invocation_result")
    before_error = hooks.replaced("post_invocation_error")
    trace_variable = TraceVariable()
    _, invocation, body, content_type = client.next()
    while True:
        request_id, _, _, trace_id, tenant_id, _, _ = invocation
        current.request_id = request_id
        current.tenant_id = tenant_id
        trace_variable.set(trace_id)
        failure = None
        try:
            event = marshaller.event(body, content_type)
            result, result_type = marshaller.result(handler(event, LambdaContext(function, invocation)))
        except FaultError as fault:
            failure, cause = describe_fault(fault, request_id)
        except Exception:
            failure, cause = describe_exception(request_id)
        log.finish_records()
        if failure is None:
            if before_result is not None:
                before_result(request_id, result, result_type)
            status, invocation, body, content_type = client.respond(request_id, result, result_type)
            outcome = "success"
        else:
            log.error(failure, marshaller.error)
            encoded_cause = marshaller.error(cause).decode("utf-8")
            if len(encoded_cause) >= _MAX_XRAY_CAUSE:
                encoded_cause = ""
            if before_error is not None:
                before_error(request_id, failure, encoded_cause)
            status, invocation, body, content_type = client.fail(
                request_id, marshaller.error(failure), failure["errorType"], encoded_cause
            )
            outcome = "failure"
        if status != 202:
            text = "[ERROR] LAMBDA_RUNTIME Failed to post handler %s response. Http response code: %d.\n"
            log.sink.log(text % (outcome, status))
