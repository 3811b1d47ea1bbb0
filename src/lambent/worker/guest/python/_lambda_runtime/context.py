"""The `context` argument of handlers.

https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
"""

import json
import logging
import sys
import time

from _lambda_runtime.errors import FaultError

_W3C_FIELDS = ("traceparent", "tracestate", "baggage")


class _Record:
    """An object with the given slots, None where the source has nothing."""

    __slots__ = ()

    def __init__(self, source):
        for name in self.__slots__:
            setattr(self, name, source.get(name))

    def __repr__(self):
        members = ",".join(["%s=%s" % (name, getattr(self, name)) for name in self.__slots__])
        return "%s([%s])" % (type(self).__name__, members)


class CognitoIdentity(_Record):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, source):
        self.cognito_identity_id = source.get("cognitoIdentityId") if source else None
        self.cognito_identity_pool_id = source.get("cognitoIdentityPoolId") if source else None


class Client(_Record):
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext(_Record):
    __slots__ = ("custom", "env", "client")


class Function:
    """What is the same in the contexts of all invocations."""

    def __init__(self, environ):
        self.log_group_name = environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = environ.get("AWS_LAMBDA_FUNCTION_VERSION")


class LambdaContext:
    """`invocation`: what a client's `next` returns of it."""

    def __init__(self, function, invocation):
        self.aws_request_id, deadline_ms, self.invoked_function_arn, _, self.tenant_id, client, identity = invocation
        self.log_group_name = function.log_group_name
        self.log_stream_name = function.log_stream_name
        self.function_name = function.function_name
        self.memory_limit_in_mb = function.memory_limit_in_mb
        self.function_version = function.function_version
        self._w3c_fields = {}
        self.client_context = self._client_context(client) if client else None
        self.identity = CognitoIdentity(_parse(identity, "Cognito Identity") if identity else None)
        self._epoch_deadline_time_in_ms = deadline_ms

    def _client_context(self, text):
        source = _parse(text, "Client Context")
        if source is None:
            return None
        trace = source.pop("w3c", None)
        if isinstance(trace, dict):
            self._w3c_fields = {name: trace[name] for name in _W3C_FIELDS if isinstance(trace.get(name), str)}
        context = ClientContext(source)
        if context.client is not None:
            context.client = Client(context.client)
        return context

    def get_remaining_time_in_millis(self):
        """Milliseconds until the invocation times out, not below 0."""
        return max(0, self._epoch_deadline_time_in_ms - int(time.time() * 1000))

    def w3c(self):
        """The W3C trace context the caller sent, if any."""
        return dict(self._w3c_fields)

    def log(self, msg):
        """Write `msg` to the function's log as it is, as one record."""
        for handler in logging.getLogger().handlers:
            sink = getattr(handler, "log_sink", None)
            if sink is not None:
                sink.log(str(msg))
                return
        sys.stdout.write(str(msg))

    def __repr__(self):
        names = (
            "aws_request_id",
            "log_group_name",
            "log_stream_name",
            "function_name",
            "memory_limit_in_mb",
            "function_version",
            "invoked_function_arn",
            "client_context",
            "identity",
            "tenant_id",
        )
        return "LambdaContext([%s])" % ",".join(["%s=%s" % (name, getattr(self, name)) for name in names])


def _parse(text, name):
    try:
        return json.loads(text)
    except ValueError as error:
        message = "Unable to parse %s JSON: %s" % (name, error)
        raise FaultError("Runtime.LambdaContextUnmarshalError", message) from error
