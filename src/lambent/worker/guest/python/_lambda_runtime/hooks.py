"""Where monitoring tools hook in.

Some (Sentry's, for one) look for AWS's `bootstrap` module in `__main__` and replace functions of it while the handler's
module is imported. These are the functions they replace; the loop calls them at the points where AWS's does.
"""


class LambdaRuntimeClient:
    """The methods do nothing: the loop sends by itself, and calls them just before if they were replaced."""

    def post_init_error(self, error_response_data, error_type_override=None):
        pass

    def post_invocation_result(self, invoke_id, result_data, content_type="application/json", invocation_id=None):
        pass

    def post_invocation_error(self, invoke_id, error_response_data, xray_fault, invocation_id=None):
        pass


def handle_event_request(lambda_runtime_client, request_handler, *args, **kwargs):
    """The handler to call. Replacements wrap it and pass it on to this."""
    return request_handler


_client = LambdaRuntimeClient()
_original = dict(vars(LambdaRuntimeClient))


def wrapped(handler):
    """The handler as whoever hooked in wants it called."""
    return handle_event_request(_client, handler)


def replaced(name):
    """The replacement of a method of the client, bound, or None."""
    method = getattr(_client, name)
    return None if getattr(method, "__func__", method) is _original[name] else method
