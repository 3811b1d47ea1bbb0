"""What is done ahead of the SDK's work, beyond loading its modules: what it does when the first client is made.

Its JSON files are parsed ahead: the first who asks for one gets what was parsed.
"""

import os

_SERVICES = ("dynamodb", "lambda", "s3", "secretsmanager", "sns", "sqs", "ssm", "sts")


def prepare():
    """Raises ImportError where there is no SDK, or an older one."""
    _use_once()
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

        load_file_once.__name__ = load_file.__name__
        load_file_once.__qualname__ = load_file.__qualname__
        load_file_once.__doc__ = load_file.__doc__
        loader_class.load_file = load_file_once

    def parse(self, loader, path):
        data = loader.load_file(path)
        if data is not None:
            self._parsed[path] = data


def _use_once():
    """Make a client and forget it: what is loaded and compiled at first use is then there."""
    from botocore import compat, hooks
    from botocore.session import Session

    memo = {}
    accepts_kwargs = compat.accepts_kwargs

    def accepts_kwargs_once(func):
        try:
            return memo[func]
        except (KeyError, TypeError):
            return accepts_kwargs(func)

    def learn(func):
        answer = accepts_kwargs(func)
        if getattr(func, "__closure__", func) is None:  # a function of a module: there is one of it
            memo[func] = answer
        return answer

    hooks.accepts_kwargs = learn
    client = Session().create_client(
        "sqs", "us-east-1", aws_access_key_id="-", aws_secret_access_key="-", endpoint_url="http://127.0.0.1"
    )
    client.close()
    hooks.accepts_kwargs = accepts_kwargs_once


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

    list_available_services.__qualname__ = original.__qualname__
    list_available_services.__doc__ = original.__doc__
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
