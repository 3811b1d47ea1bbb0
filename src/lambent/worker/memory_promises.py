"""How much memory of the host is spoken for: by environments that have begun, and do not use yet what they will. Pure.

What an environment uses shows in what the host has left; what it is still expected to use is promised to it. At first
that is a share of what its function may use, or what others of its version used; what it has once its runtime is ready
it needs no promise for; and after an invocation nobody expects more.
"""

from __future__ import annotations

from lambent.model.ids import EnvironmentId

_UNKNOWN_SHARE = 4  # an environment rarely uses all it may: a quarter, until one of its version has finished something
_KNOWN_SHARE = 8  # then as much as any of them did, but an eighth at least: the next event may be a larger one


class MemoryPromises:
    """In MB. `template` names a version's environments."""

    def __init__(self) -> None:
        self._promised: dict[EnvironmentId, int] = {}
        self._used: dict[str, int] = {}  # the most that an environment of it used
        self.total_mb = 0

    def begin(self, environment: EnvironmentId, template: str, memory_mb: int) -> None:
        """An environment is started that may use `memory_mb`."""
        used = self._used.get(template)
        expected = memory_mb // _UNKNOWN_SHARE if used is None else max(used, memory_mb // _KNOWN_SHARE)
        self._promise(environment, expected)

    def ready(self, environment: EnvironmentId, taken_mb: int) -> None:
        """Its runtime waits for the first event, and uses `taken_mb`."""
        promised = self._promised.get(environment, 0)
        self._promise(environment, max(0, promised - taken_mb))

    def finished(self, environment: EnvironmentId, template: str, used_mb: int) -> None:
        """It has finished an invocation, and used `used_mb` at most."""
        self.ended(environment)
        self._used[template] = max(self._used.get(template, 0), used_mb)

    def ended(self, environment: EnvironmentId) -> None:
        """It is gone, or needs no promise."""
        self.total_mb -= self._promised.pop(environment, 0)

    def forget(self, template: str) -> None:
        """No environment of it is expected any more."""
        self._used.pop(template, None)

    def with_another(self, memory_mb: int) -> int:
        """What there must be for one more that may use `memory_mb`, of a version of which nothing is known."""
        return self.total_mb + memory_mb // _UNKNOWN_SHARE

    def _promise(self, environment: EnvironmentId, promised: int) -> None:
        self.total_mb += promised - self._promised.get(environment, 0)
        self._promised[environment] = promised
