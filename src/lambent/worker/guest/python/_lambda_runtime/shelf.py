"""Modules that are loaded ahead and stay out of sight until they are imported.

A zygote loads the SDK and what it needs, and puts those modules on a shelf: out of `sys.modules`, behind a finder. An
import takes a module from there, if the one that an import would find at that moment is the same: if no directory that
comes earlier in `sys.path` (the function's, its layers', one that it added) has a module of any name on the shelf. Else
the shelf is cleared, and all is as if it had never been there. So a packaged SDK wins over the runtime's, and code that
replaces parts of the standard library before it imports the SDK gets one that uses them.
"""

import _frozen_importlib as bootstrap
import importlib
import os
import sys
from _frozen_importlib import ModuleSpec

from _lambda_runtime import sdk

ModuleType = type(sys)  # importing `types` for it would not go unnoticed

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
_MODULES = 800  # more than are loaded
_emptied = []  # shelves: to free what they compare with would be to write to all of it


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
        if name == "multiprocessing.process":
            _freshen(module)
        if name.partition(".")[0] in _LIBRARIES:
            self._take_all()

    def clear(self):
        """Imports find what they would have found without a shelf."""
        self._modules.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            _emptied.append(self)

    def _take_all(self):
        """Who imports the SDK gets all that it needs in sys.modules: the shelf holds little else."""
        if "multiprocessing.process" in self._modules:
            _freshen(self._modules["multiprocessing.process"])
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
            try:
                found = os.listdir(entry or ".")
            except NotADirectoryError:
                return False  # an archive, perhaps: not worth looking into
            except OSError:
                continue
            if any(_has_one(names, found) for names in missing.values()):
                return False
        return False

    def _patched(self):
        for name, original in self._original.items():
            module = sys.modules.get(name)
            if module is not None and any(vars(module).get(key) is not value for key, value in original.items()):
                return True
        return False


def blank_modules():
    """For `fill`, made one after the other, so that they are in one place. Who imports the SDK gets all its modules
    into sys.modules, which counts references to each, and so has the pages copied that they are on."""
    return [ModuleType("") for _ in range(_MODULES)]


def fill(loaded, hidden, blank):
    """Load what environments may want. `loaded` stays in sys.modules, `hidden` packages are dropped for good. `blank`:
    modules to use."""

    def new_module(name):
        module = blank.pop() if blank else ModuleType(name)
        module.__init__(name)
        return module

    original = getattr(bootstrap, "_new_module", ModuleType)
    bootstrap._new_module = new_module
    paths = _site_packages()
    finders = list(sys.meta_path)
    sys.path[len(sys.path) :] = paths
    try:
        for name in _STANDARD:
            importlib.import_module(name)
        try:
            for name in _SDK:
                importlib.import_module(name)
            sdk.prepare()
        except ImportError:
            pass  # there is no SDK, or an older one: what there is is loaded
    finally:
        bootstrap._new_module = original
        for path in paths:
            sys.path.remove(path)
    names = [name.encode().decode() for name in sys.modules if name not in loaded]  # of their own, for the same reason
    modules = {name: sys.modules[name] for name in names}
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


def _freshen(process):
    """What multiprocessing drew at random when it was loaded. `random` and OpenSSL see to that themselves, and nothing
    else that is loaded ahead keeps anything random, or of its process."""
    process.current_process().authkey = os.urandom(32)


def _site_packages():
    path = "%s/lib/python%d.%d/site-packages" % ((sys.prefix,) + sys.version_info[:2])
    return [path] if os.path.isdir(path) else []


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


def _has_one(names, files):
    """Whether one of `files` is a module of `names`. What is in `names` is not touched: an object that is looked at is
    written to, and its page copied."""
    return any(name.partition(".")[0] in names for name in files)


def _changed(entry):
    try:
        return os.stat(entry or ".").st_mtime_ns
    except OSError:
        return None
