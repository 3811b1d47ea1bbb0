"""Which runtimes this host can run, and how each is mounted and started.

An interpreter counts only at exactly the version the identifier names; there is never another one in its place.
Looking is lazy: nothing is probed before a runtime is asked for, and what was learnt about an interpreter is kept until
its file changes. Runtimes installed later are found without a restart.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lambent.worker.runtimes import guest_files, prefixes, search
from lambent.worker.runtimes.identifiers import KNOWN, Language, RuntimeIdentifier
from lambent.worker.runtimes.layout import RuntimesLayout
from lambent.worker.runtimes.probe import Interpreter, Prober
from lambent.worker.sandbox.api import Bind, HeadStart, Zygote
from lambent.worker.variables import CHANNEL_FD

# Where the bootstrap of a provided runtime is looked for, in AWS's order.
PROVIDED_BOOTSTRAPS = ("/var/task/bootstrap", "/opt/bootstrap")

EXEC_WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"

_COMMON_ENV = {
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": (
        "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
    ),
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
}


# Variables that a process looks at when it starts, by their beginnings: with one of them of its own, a function's
# environments are executed. TZ is not among them: a fork can take up a new one.
_START_VARIABLES = ("GLIBC_", "LANG", "LC_", "LD_", "LOCPATH", "MALLOC_", "OPENSSL_", "PYTHON", EXEC_WRAPPER)


# The same for Node.js. NODE_ENV is only for what is written in JavaScript.
_NODE_START_VARIABLES = (
    "GLIBC_", "ICU_", "LANG", "LC_", "LD_", "LOCPATH", "MALLOC_", "NODE_", "OPENSSL_", "SSL_", "UV_", EXEC_WRAPPER,
)  # fmt: skip
_NODE_LATER = ("NODE_ENV",)


@dataclass(frozen=True)
class Runtime:
    """A runtime that can be run here.

    `binds` and `directories` go into the sandbox template, before the function's code and layers. `argv` starts the
    runtime (empty for provided runtimes: see `provided_argv`); `command` adds what depends on the function. `env` are
    the variables that depend on the runtime only; `sdk_dir` is where the SDK comes from, None when it is missing.
    `zygote`: what environments may be forked from; `head_start`: how they may be started ahead. `no_layers`: what is
    at /opt then, when a function has no layers.
    """

    identifier: str
    language: Language
    interpreter_version: str
    prefix: Path | None
    binds: tuple[Bind, ...]
    directories: tuple[str, ...]
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    needs_init: bool = True
    sdk_dir: Path | None = None
    zygote: Zygote | None = None
    head_start: HeadStart | None = None
    no_layers: Bind | None = None

    @property
    def execution_env(self) -> str | None:
        """AWS_EXECUTION_ENV; not defined in provided runtimes."""
        return None if self.language == "provided" else f"AWS_Lambda_{self.identifier}"

    @property
    def version_label(self) -> str:
        """The runtime version as INIT_START shows it, e.g. "python:3.12.v1"."""
        return f"{KNOWN[self.identifier].label}.v1"

    @property
    def version_hash(self) -> str:
        """The 64 hex digits at the end of the runtime version's ARN: another interpreter, another version."""
        return hashlib.sha256(f"{self.identifier}\n{self.interpreter_version}".encode()).hexdigest()

    def may_fork(self, environment: Mapping[str, str]) -> bool:
        """Whether environments of a function with these variables can be forks of the zygote, which was started with
        those of the runtime."""
        return self.zygote is not None and not any(
            name.startswith(_START_VARIABLES) and value != self.env.get(name) for name, value in environment.items()
        )

    def may_start_ahead(self, environment: Mapping[str, str]) -> bool:
        """Whether environments of a function with these variables can be ones that were started with those of the
        runtime, before it was known that they are its."""
        return self.head_start is not None and not any(
            name.startswith(_NODE_START_VARIABLES) and name not in _NODE_LATER and value != self.env.get(name)
            for name, value in environment.items()
        )

    def command(self, memory_mb: int, node_options: str = "") -> tuple[str, ...]:
        """`argv` for a function of `memory_mb`. Node.js gets heap limits below it, unless the function's NODE_OPTIONS
        set their own."""
        options = node_options.replace("_", "-")
        if self.language != "nodejs" or "-space-size" in options:
            return self.argv
        young = memory_mb // 10  # a tenth for the young generation, which is three semi-spaces
        limits = (f"--max-semi-space-size={max(1, young // 3)}", f"--max-old-space-size={memory_mb - young}")
        return (*self.argv[:-1], *limits, self.argv[-1])


def provided_argv(code: Path, layers: Sequence[Path] = ()) -> tuple[str, ...] | None:
    """How a provided runtime starts: its bootstrap, in the code (what is at /var/task) or in the layers (what is at
    /opt). None when there is none: the invocation fails with Runtime.InvalidEntrypoint
    (`worker.failures`)."""
    places = ((PROVIDED_BOOTSTRAPS[0], [code]), (PROVIDED_BOOTSTRAPS[1], list(layers)))
    for inside, trees in places:
        if any((tree / "bootstrap").is_file() for tree in trees):
            return (inside,)
    return None


def wrapped_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """How a managed runtime starts when the function sets AWS_LAMBDA_EXEC_WRAPPER: the wrapper gets the runtime's
    command as its arguments (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html). As on AWS a shell
    starts it, which says why it cannot, and ends with status 126 or 127."""
    return ("/bin/sh", "-c", f'exec "${EXEC_WRAPPER}" "$@"', "sh", *argv)


class RuntimeCatalog:
    """The runtimes of this host. `runtimes_dir` is where installed ones are, `environ` the server's environment (PATH,
    HOME, PYENV_ROOT, …).

    Methods block (files; the first time an interpreter is met, some 10-100 ms for running it) and may be called from
    any thread.
    """

    def __init__(self, runtimes_dir: Path, environ: Mapping[str, str]) -> None:
        self.layout = RuntimesLayout(runtimes_dir)
        self._environ = environ
        self._prober = Prober(self.layout.probes)
        self._lock = threading.Lock()
        self._found: dict[str, tuple[tuple[object, ...], Interpreter | None, Runtime]] = {}

    def known(self) -> tuple[str, ...]:
        """All identifiers that could be run, installed or not."""
        return tuple(KNOWN)

    def find(self, identifier: str) -> Runtime | None:
        """The runtime, or None when it is not known or its interpreter is not on this host."""
        known = KNOWN.get(identifier)
        if known is None:
            return None
        with self._lock:
            kept = self._found.get(identifier)
            if kept is not None and kept[0] == self._state(known, kept[1]):
                return kept[2]
            return self._find(known)

    def installed(self) -> list[Runtime]:
        """All runtimes that can be run now."""
        return [runtime for runtime in map(self.find, KNOWN) if runtime is not None]

    def missing_message(self, identifier: str) -> str:
        """What is missing for `identifier` and the command that adds it."""
        known = KNOWN.get(identifier)
        if known is None:
            return f"The runtime {identifier} cannot be run here; the runtimes that can are: {', '.join(KNOWN)}."
        what = "Python" if known.language == "python" else "Node.js"
        version = ".".join(map(str, known.version))
        return f"No {what} {version} was found on this host. Add it with: lambent runtimes install {identifier}"

    def _find(self, known: RuntimeIdentifier) -> Runtime | None:
        interpreter: Interpreter | None = None
        if known.language != "provided":
            interpreter = self._interpreter(known)
            if interpreter is None:
                self._found.pop(known.name, None)
                return None
        state = self._state(known, interpreter)
        runtime = self._runtime(known, interpreter)
        self._found[known.name] = (state, interpreter, runtime)
        return runtime

    def _interpreter(self, known: RuntimeIdentifier) -> Interpreter | None:
        for path in search.candidates(known, self.layout, self._environ):
            interpreter = self._prober.ask(known.language, path)
            if interpreter is not None and interpreter.is_version(known.version):
                return interpreter
        return None

    def _runtime(self, known: RuntimeIdentifier, interpreter: Interpreter | None) -> Runtime:
        if interpreter is None:
            return _provided(known)
        if known.language == "python":
            return self._python(known, interpreter)
        return self._node(known, interpreter)

    def _state(self, known: RuntimeIdentifier, interpreter: Interpreter | None) -> tuple[object, ...]:
        """What a found runtime depends on; another state means looking again."""
        binary = _stamp(interpreter.path) if interpreter is not None else None
        own = (self.layout.pythons, self.layout.node_prefix(known.name))  # an installed interpreter goes first
        return (binary, _sdk(self.layout, known), *map(_stamp, own))

    def _has_own_prefix(self, known: RuntimeIdentifier, interpreter: Interpreter) -> bool:
        return search.has_own_prefix(known, interpreter.path, self.layout, self._environ)

    def _python(self, known: RuntimeIdentifier, interpreter: Interpreter) -> Runtime:
        name = ".".join(map(str, ("python" + str(known.version[0]), known.version[1])))
        sdk = _sdk(self.layout, known)
        prefix_binds = prefixes.of_python(self.layout, interpreter, name, own=self._has_own_prefix(known, interpreter))
        argv = (f"/var/lang/bin/{name}", "-S", "/var/runtime/bootstrap.py")
        env = {**_COMMON_ENV, "PYTHONPATH": "/var/runtime", "_LAMBENT_LAYERS": "/opt"}
        packages = Bind(sdk or guest_files.empty_directory(self.layout), f"/var/lang/lib/{name}/site-packages")
        guest = Bind(guest_files.python_guest(self.layout, interpreter), "/var/runtime")
        return Runtime(
            identifier=known.name,
            language="python",
            interpreter_version=interpreter.version,
            prefix=prefix_binds[0].source,
            binds=(*prefix_binds, packages, guest),
            directories=("/opt",),
            argv=argv,
            env=env,
            sdk_dir=sdk,
            zygote=Zygote(
                name=known.name,
                argv=argv,
                env=tuple(env.items()),
                binds=(*prefix_binds, packages, guest),
                # What LD_LIBRARY_PATH names: the loader remembers which directories were not there.
                directories=("/opt/lib", "/var/task/lib"),
            ),
        )

    def _node(self, known: RuntimeIdentifier, interpreter: Interpreter) -> Runtime:
        prefix_binds = prefixes.of_node(self.layout, interpreter, own=self._has_own_prefix(known, interpreter))
        sdk = _sdk(self.layout, known)
        env = {**_COMMON_ENV, "NODE_PATH": f"{_node_path(known.version[0])}:/var/runtime:/var/task"}
        binds = [*prefix_binds, Bind(guest_files.node_guest(self.layout), "/var/runtime")]
        if sdk is not None:
            # Twice: NODE_PATH leads require() to the first; import finds the second by walking up from /var/task.
            modules = sdk / "node_modules"
            binds += [Bind(modules, "/var/runtime/node_modules"), Bind(modules, "/var/node_modules")]
        return Runtime(
            identifier=known.name,
            language="nodejs",
            interpreter_version=interpreter.version,
            prefix=prefix_binds[0].source,
            binds=tuple(binds),
            directories=("/opt",),
            argv=(
                "/var/lang/bin/node",
                "--expose-gc",
                "--max-http-header-size=81920",
                "/var/runtime/index.cjs",
            ),
            env=env,
            sdk_dir=sdk,
            head_start=HeadStart(
                name=known.name,
                env=(*env.items(), ("_LAMBENT_CHANNEL_FD", str(CHANNEL_FD))),
                binds=tuple(binds),
                # And what LD_LIBRARY_PATH names: the loader remembers which directories were not there.
                directories=("/opt", "/var/task", "/opt/lib", "/var/task/lib"),
            ),
            no_layers=Bind(guest_files.empty_directory(self.layout), "/opt"),
        )


def _node_path(major: int) -> str:
    return f"/opt/nodejs/node{major}/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules"


def _provided(known: RuntimeIdentifier) -> Runtime:
    return Runtime(
        identifier=known.name,
        language="provided",
        interpreter_version="",
        prefix=None,
        binds=(),
        directories=("/opt", "/var/runtime"),
        argv=(),
        env={**_COMMON_ENV, "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin"},
    )


def _sdk(layout: RuntimesLayout, known: RuntimeIdentifier) -> Path | None:
    if known.language == "provided":
        return None
    path = layout.site_packages(known.name) if known.language == "python" else layout.node_sdk(known.name)
    return path.resolve() if path.is_dir() else None


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
