"""Modules that are loaded ahead and stay out of sight until they are imported.

A zygote loads the SDK and what it needs, and puts those modules on a shelf: out of `sys.modules`, behind a finder. An
import takes a module from there, if the one that an import would find at that moment is the same: if no directory that
comes earlier in `sys.path` (the function's, its layers', one that it added) has a module of any name on the shelf. Else
the shelf is cleared, and all is as if it had never been there. So a packaged SDK wins over the runtime's, and code that
replaces parts of the standard library before it imports the SDK gets one that uses them.

The SDK's JSON files are parsed ahead in the same way: the first who asks for one gets what was parsed.
"""

import importlib
import os
import sys
from _frozen_importlib import ModuleSpec

# Names that no function has, so that the order is of no consequence.
_LIBRARIES = ("six", "dateutil", "jmespath", "urllib3", "botocore", "s3transfer", "boto3")
_STANDARD = (
    "datetime", "decimal", "uuid", "hashlib", "base64", "random", "copy", "socket", "ssl", "http.client", "queue",
    "urllib.request", "concurrent.futures", "dataclasses", "xml.etree.ElementTree", "email.message", "tempfile",
)  # fmt: skip
_SDK = (
    "boto3.session", "boto3.s3.inject", "boto3.s3.transfer", "boto3.dynamodb.conditions", "boto3.dynamodb.table",
    "boto3.dynamodb.transform", "boto3.dynamodb.types", "boto3.resources.factory", "boto3.resources.collection",
    "botocore.client", "botocore.config", "botocore.endpoint", "botocore.exceptions", "botocore.httpsession",
    "botocore.parsers", "botocore.regions", "botocore.retries.standard", "botocore.retries.adaptive",
    "botocore.session", "botocore.signers", "botocore.tokens", "botocore.waiter", "botocore.paginate", "encodings.idna",
)  # fmt: skip
# What monitoring and concurrency tools replace parts of, and the SDK took parts from when it was loaded.
_OFTEN_PATCHED = ("http.client", "queue", "select", "selectors", "socket", "ssl", "threading", "time")
_SERVICES = ("dynamodb", "lambda", "s3", "secretsmanager", "sns", "sqs", "ssm", "sts")


class Shelf:
    """A finder and loader of `modules`; `finders`: those that they added to `sys.meta_path`."""

    def __init__(self, modules, finders):
        self._modules = modules
        self._finders = finders
        self._origins = _origins(modules)
        self._specs = {}
        self._untouched_in = None
        self._original = {name: _callables(modules.get(name) or sys.modules[name]) for name in _OFTEN_PATCHED}

    def find_spec(self, name, path=None, target=None):
        module = self._modules.get(name)
        if getattr(module, "__spec__", None) is None:
            return None
        parent = name.rpartition(".")[0]
        if parent:
            # Below a package that was replaced, everything is.
            if path is not getattr(sys.modules.get(parent), "__path__", None):
                return None
        elif not self._untouched():
            self.clear()
            return None
        if name.partition(".")[0] in _LIBRARIES and self._patched():
            self.clear()
            return None
        self._specs[name] = module.__spec__
        return ModuleSpec(name, self, is_package=hasattr(module, "__path__"))

    def create_module(self, spec):
        return self._modules.pop(spec.name)

    def exec_module(self, module):
        name = module.__spec__.name
        module.__spec__ = self._specs.pop(name)
        if name.partition(".")[0] in _LIBRARIES:
            self._take_all()

    def freshen(self):
        """See below."""
        process = self._modules.get("multiprocessing.process")
        if process is not None:
            process.current_process().authkey = os.urandom(32)

    def clear(self):
        """Imports find what they would have found without a shelf."""
        self._modules.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def _take_all(self):
        """Who imports the SDK gets all that it needs in sys.modules: the shelf holds little else."""
        for name, module in list(self._modules.items()):
            sys.modules.setdefault(name, module)
        sys.meta_path += self._finders
        self.clear()

    def _untouched(self):
        """Whether imports of all names on the shelf find what is on it. Only `sys.path` counts: a finder that somebody
        else put first has been asked before."""
        state = tuple([(entry, _changed(entry)) for entry in sys.path])
        if state != self._untouched_in:
            if not self._first_in_path():
                return False
            self._untouched_in = state
        return True

    def _first_in_path(self):
        missing = dict(self._origins)
        for entry in sys.path:
            missing.pop(entry, None)
            if not missing:
                return True
            wanted = set().union(*missing.values())
            try:
                found = os.listdir(entry or ".")
            except NotADirectoryError:
                return False  # an archive, perhaps: not worth looking into
            except OSError:
                continue
            if any(name.partition(".")[0] in wanted for name in found):
                return False
        return False

    def _patched(self):
        for name, original in self._original.items():
            module = sys.modules.get(name)
            if module is not None and any(vars(module).get(key) is not value for key, value in original.items()):
                return True
        return False


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


def fill(loaded, hidden):
    """Load what environments may want. `loaded` stays in sys.modules, `hidden` packages are dropped for good."""
    paths = _site_packages()
    finders = list(sys.meta_path)
    sys.path[len(sys.path) :] = paths
    try:
        for name in _STANDARD:
            importlib.import_module(name)
        try:
            for name in _SDK:
                importlib.import_module(name)
            _use_once()
            _parse_files()
        except ImportError:
            pass  # there is no SDK, or an older one: what there is is loaded
    finally:
        for path in paths:
            sys.path.remove(path)
    modules = {name: sys.modules[name] for name in list(sys.modules) if name not in loaded}
    for name in modules:
        del sys.modules[name]
    for name in list(modules):
        if name.partition(".")[0] in hidden:
            del modules[name]
    added = [finder for finder in sys.meta_path if finder not in finders]
    sys.meta_path[:] = finders
    sys.meta_path.insert(0, Shelf(modules, added))
    for path in [path for path in sys.path_importer_cache if path not in sys.path]:
        del sys.path_importer_cache[path]


def freshen():
    """In a new environment: what modules on the shelf drew at random, or learnt of the process, when they were loaded.
    `random` and OpenSSL see to it themselves."""
    for finder in sys.meta_path:
        if isinstance(finder, Shelf):
            finder.freshen()


def _site_packages():
    path = "%s/lib/python%d.%d/site-packages" % ((sys.prefix,) + sys.version_info[:2])
    return [path] if os.path.isdir(path) else []


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


def _origins(modules):
    """{directory: top-level names that came from it}. Built-in and frozen modules cannot be replaced by files."""
    origins = {}
    for name, module in modules.items():
        spec = getattr(module, "__spec__", None)
        if "." not in name and spec is not None and spec.has_location:
            place = os.path.dirname(spec.origin)
            if os.path.basename(spec.origin).startswith("__init__."):
                place = os.path.dirname(place)
            origins.setdefault(place, set()).add(name)
    return origins


def _callables(module):
    return {name: value for name, value in vars(module).items() if callable(value)}


def _changed(entry):
    try:
        return os.stat(entry or ".").st_mtime_ns
    except OSError:
        return None
