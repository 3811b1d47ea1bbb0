"""Which function gets which network, as the operator chose. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambent.worker.sandbox.api import NetworkPolicy


@dataclass(frozen=True, slots=True)
class FunctionNetworks:
    """`default`: of functions that are not in `functions`, which go by name. None is no network."""

    default: NetworkPolicy | None = None
    functions: Mapping[str, NetworkPolicy | None] = field(default_factory=dict)

    def of(self, function_name: str) -> NetworkPolicy | None:
        """What a function gets."""
        return self.functions.get(function_name, self.default)

    @property
    def all(self) -> frozenset[NetworkPolicy]:
        """Every policy that some function has."""
        return frozenset(policy for policy in (self.default, *self.functions.values()) if policy is not None)
