"""The sandbox templates of this host: one per function version at one revision, kept while it is used and a little
longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from pathlib import Path

from lambent.model.execution import TemplateSpec
from lambent.worker.ports import CodeTrees
from lambent.worker.runtimes.catalog import Runtime
from lambent.worker.sandbox.api import Bind, SandboxBackend, SandboxError, SandboxTemplate

logger = logging.getLogger(__name__)

_PREPARED = 8  # templates: each is a process


class Templates:
    """Owns tasks: `close` it before the backend. `released`: told the name of a template that is given up."""

    def __init__(
        self, backend: SandboxBackend, code: CodeTrees, linger_s: float, released: Callable[[str], None]
    ) -> None:
        self._backend = backend
        self._code = code
        self._linger_s = linger_s
        self._released = released
        self._templates: dict[str, SandboxTemplate] = {}
        self._users: Counter[str] = Counter()
        self._releases: dict[str, asyncio.TimerHandle] = {}
        self._prepared: deque[str] = deque()  # those that were got ready ahead, the oldest first
        self._tasks: set[asyncio.Task[None]] = set()

    def prepare(self, spec: TemplateSpec, runtime: Runtime) -> None:
        """Get it ready ahead. It is kept for a while, and only the last few are."""
        if spec.name in self._templates:
            return
        self.hold(spec.name)
        self._prepared.append(spec.name)
        self._run(self._prepare(spec, runtime), f"prepare {spec.name}")

    def hold(self, name: str) -> None:
        """It is used from now on, until it is `let_go`."""
        self._users[name] += 1
        timer = self._releases.pop(name, None)
        if timer is not None:
            timer.cancel()

    def let_go(self, name: str) -> None:
        """One user less."""
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name]
            loop = asyncio.get_running_loop()
            self._releases[name] = loop.call_later(self._linger_s, self._release, name)

    def template(self, name: str, runtime: Runtime, code_digest: str, layers: Path | None) -> SandboxTemplate:
        """The template of that name. `layers`: see `merged_layers`."""
        tree = self._code.tree(code_digest)
        return self._templates.setdefault(name, _template(name, runtime, tree, layers))

    async def merged_layers(self, name: str, digests: tuple[str, ...]) -> Path | None:
        """What is at /opt, if anything. Raises SandboxError."""
        if not digests:
            return None
        try:
            return await self._code.merged(digests)
        except OSError as error:
            raise SandboxError(f"the layers of {name} cannot be merged: {error}") from error

    async def close(self) -> None:
        """Wait for what is under way. What is left is the backend's to release."""
        for timer in self._releases.values():
            timer.cancel()
        for task in list(self._tasks):
            await task

    async def _prepare(self, spec: TemplateSpec, runtime: Runtime) -> None:
        try:
            layers = await self.merged_layers(spec.name, spec.layer_digests)
            await self._backend.prepare(self.template(spec.name, runtime, spec.code_digest, layers))
        except SandboxError as error:
            logger.info("could not prepare for a function; its first invocation will try", extra={"reason": str(error)})
        finally:
            self.let_go(spec.name)
        while len(self._prepared) > _PREPARED:
            oldest = self._prepared.popleft()
            if oldest not in self._users and (timer := self._releases.pop(oldest, None)) is not None:
                timer.cancel()
                self._release(oldest)

    def _release(self, name: str) -> None:
        self._releases.pop(name, None)
        self._released(name)
        template = self._templates.pop(name, None)
        if template is not None:
            self._run(self._backend.release(template), f"release {name}")

    def _run(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """The supervision point of these tasks."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("could not %s", task.get_name(), exc_info=error)


def _template(name: str, runtime: Runtime, tree: Path, layers: Path | None) -> SandboxTemplate:
    at_opt = runtime.no_layers if layers is None else Bind(layers, "/opt")
    opt = () if at_opt is None else (at_opt,)
    return SandboxTemplate(
        name=name,
        binds=(*runtime.binds, Bind(tree, "/var/task"), *opt),
        directories=("/opt", *runtime.directories),
        zygote=runtime.zygote,
        head_start=runtime.head_start,
    )
