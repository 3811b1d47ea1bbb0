"""The sandboxes there are, and the user of the host that each of them is. For the server."""

from __future__ import annotations

from collections.abc import Iterator

from lambent.worker.sandbox.api import SandboxError, SandboxTemplate
from lambent.worker.sandbox.linux.sandbox import LinuxSandbox


class Roster:
    """`host_ids`: the users there are to be given, no two sandboxes the same; None: all are user 0, of a user namespace
    that holds nobody else."""

    def __init__(self, host_ids: range | None) -> None:
        self._free = None if host_ids is None else _over_and_over(host_ids)
        self._taken: dict[str, int] = {}
        self._sandboxes: dict[str, LinuxSandbox] = {}
        self._owners: dict[str, SandboxTemplate] = {}

    def check_new(self, sandbox_id: str) -> None:
        """Raises `SandboxError` when there is one of that name."""
        if sandbox_id in self._sandboxes:
            raise SandboxError(f"sandbox {sandbox_id} is there already")

    def free_host_id(self) -> int:
        """One that no sandbox is."""
        if self._free is None:
            return 0
        taken = set(self._taken.values())
        return next(host_id for host_id in self._free if host_id not in taken)

    def add(self, sandbox: LinuxSandbox, host_id: int) -> None:
        self._sandboxes[sandbox.sandbox_id] = sandbox
        self._taken[sandbox.sandbox_id] = host_id

    def host_id(self, sandbox_id: str) -> int:
        return self._taken[sandbox_id]

    def give(self, sandbox: LinuxSandbox, sandbox_id: str, template: SandboxTemplate) -> None:
        """`sandbox` was started without an owner, and is named `sandbox_id` from now on."""
        host_id = self._taken[sandbox.sandbox_id]
        self.forget(sandbox)
        sandbox.rename(sandbox_id)
        self.add(sandbox, host_id)
        self._owners[sandbox_id] = template

    def given_to(self, template: SandboxTemplate) -> list[LinuxSandbox]:
        """Those of that template that were started without an owner."""
        return [self._sandboxes[name] for name, owner in self._owners.items() if owner == template]

    def all(self) -> list[LinuxSandbox]:
        return list(self._sandboxes.values())

    def forget(self, sandbox: LinuxSandbox) -> None:
        for kept in (self._sandboxes, self._taken, self._owners):
            kept.pop(sandbox.sandbox_id, None)


def _over_and_over(numbers: range) -> Iterator[int]:
    """As `itertools.cycle`, which would keep every number."""
    while True:
        yield from numbers
