"""What is done ahead of the SDK's work, beyond loading its modules: what it does when the first client is made.

Its JSON files are parsed and a session's handlers registered ahead: the first who wants them gets them, so that no two
share what either may change. Nothing here depends on a function's variables or files.
"""

import os

_CO_VARARGS, _CO_VARKEYWORDS = 4, 8  # as in `inspect`
_SERVICES = ("dynamodb", "lambda", "s3", "secretsmanager", "sns", "sqs", "ssm", "sts")


def prepare():
    """Raises ImportError where there is no SDK, or an older one."""
    _know_kwargs()
    _use_once()
    _register_handlers()
    _parse_files()


class ParsedFiles:
    """Parsed JSON files of the SDK; each is given away once, so that nobody shares what others may change."""

    def __init__(self):
        self._parsed = {}

    def install(self, loader_class):
        """Have `loader_class` (botocore's) take files from here."""
        load_file, parsed = loader_class.load_file, self._parsed

        def load_file_once(self, file_path):
            data = parsed.pop(file_path, None)
            return load_file(self, file_path) if data is None else data

        _look_like(load_file_once, load_file)
        loader_class.load_file = load_file_once

    def parse(self, loader, path):
        data = loader.load_file(path)
        if data is not None:
            self._parsed[path] = data


def _use_once():
    """Make a client and forget it: what is loaded and compiled at first use is then there."""
    from botocore.session import Session

    client = Session().create_client(
        "sqs", "us-east-1", aws_access_key_id="-", aws_secret_access_key="-", endpoint_url="http://127.0.0.1"
    )
    client.close()


def _know_kwargs():
    """Have botocore find a handler's **kwargs in its code: `inspect` takes longer than all else about a handler."""
    from botocore import hooks

    accepts_kwargs = hooks.accepts_kwargs
    function, method = type(prepare), type(ParsedFiles().parse)

    def accepts_kwargs_by_code(func):
        plain = func.__func__ if type(func) is method else func
        if type(plain) is not function or "__signature__" in vars(plain):
            return accepts_kwargs(func)
        code = plain.__code__
        if not code.co_flags & _CO_VARKEYWORDS:
            return None
        return code.co_varnames[code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & _CO_VARARGS)]

    hooks.accepts_kwargs = accepts_kwargs_by_code


def _register_handlers():
    """Have the handlers that every session begins with registered. The first session gets them, if they are still the
    same and it would register them as usual; all else is as if there were none."""
    from botocore import handlers, hooks
    from botocore.session import Session

    builtin, register = list(handlers.BUILTIN_HANDLERS), Session.register
    ready = [Session()._events]
    original = Session._register_builtin_handlers

    def register_builtin_handlers(self, events):
        emitter = getattr(events, "_emitter", None)
        if (
            ready
            and handlers.BUILTIN_HANDLERS == builtin
            and type(self).register is register
            and type(events) is hooks.EventAliaser
            and type(emitter) is hooks.HierarchicalEmitter
            and not emitter._unique_id_handlers
            and not emitter._handlers._root["children"]
        ):
            registered = ready.pop()
            vars(emitter).update(vars(registered._emitter))
            events._alias_name_cache.update(registered._alias_name_cache)
        else:
            original(self, events)

    _look_like(register_builtin_handlers, original)
    Session._register_builtin_handlers = register_builtin_handlers


def _look_like(function, original):
    function.__name__ = original.__name__
    function.__qualname__ = original.__qualname__
    function.__doc__ = original.__doc__


def _parse_files():
    import boto3
    from botocore import loaders

    data, resources = [os.path.join(os.path.dirname(module.__file__), "data") for module in (loaders, boto3)]
    _list_services(loaders.Loader, (data, resources))
    files = ParsedFiles()
    loader = loaders.JSONFileLoader()
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        files.parse(loader, os.path.join(data, name))
    for service in _SERVICES:
        directory = os.path.join(data, service)
        version = max(os.listdir(directory))
        for name in ("service-2", "service-2.sdk-extras", "endpoint-rule-set-1"):
            files.parse(loader, os.path.join(directory, version, name))
    files.install(loaders.JSONFileLoader)


def _list_services(loader_class, directories):
    """Have botocore know what is in the SDK's own directories, which have a thousand directories below them."""
    original = loader_class.list_available_services
    known = {directory: _services_in(directory) for directory in directories}

    def list_available_services(self, type_name):
        services = set()
        for place in self._potential_locations():
            if place not in known:
                return original(self, type_name)
            services.update(known[place].get(type_name, ()))
        return sorted(services)

    _look_like(list_available_services, original)
    loader_class.list_available_services = list_available_services


def _services_in(directory):
    """{type of file: names of the services that have one}"""
    services = {}
    for path, _, names in os.walk(directory):
        parts = path[len(directory) :].split(os.sep)
        if len(parts) == 3:  # "", service, version
            for name in names:
                services.setdefault(name.partition(".json")[0], set()).add(parts[1])
    return services
