"""An alias: a name for a function version, perhaps two with a share of the invocations each. As stored.

https://docs.aws.amazon.com/lambda/latest/api/API_AliasConfiguration.html. The control plane writes these, the data
plane reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lambent.model.arn import FunctionId
from lambent.model.ids import RevisionId

_ALIAS_NAME = re.compile("(?![0-9]+$)[a-zA-Z0-9-_]+")


@dataclass(frozen=True, slots=True)
class AliasConfiguration:
    """An alias. `additional_version_weights`: another version → the share (0 to 1) of invocations it gets; the rest
    is for `function_version`."""

    function: FunctionId
    name: str
    function_version: str
    revision_id: RevisionId
    description: str = ""
    additional_version_weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """The AliasArn."""
        return self.function.qualified_arn(self.name)

    def routes_to(self, version: str) -> bool:
        """May an invocation of the alias run this version?"""
        return version == self.function_version or version in self.additional_version_weights

    def version_for(self, draw: float) -> str:
        """The version an invocation runs, for a number drawn evenly from 0 to 1 (1 excluded)."""
        for version, weight in self.additional_version_weights.items():
            if draw < weight:
                return version
            draw -= weight
        return self.function_version

    def to_document(self) -> dict[str, Any]:
        """A JSON object for the store."""
        return asdict(self)

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> AliasConfiguration:
        """The inverse of `to_document`."""
        return AliasConfiguration(**{**document, "function": FunctionId(**document["function"])})


def alias_key(function: FunctionId, name: str) -> str:
    """The store key of an alias."""
    return f"{aliases_prefix(function)}{name}"


def aliases_prefix(function: FunctionId) -> str:
    """The prefix of the store keys of all aliases of a function."""
    return f"{function.key}/"


def is_alias_name(qualifier: str) -> bool:
    """Could this qualifier name an alias?"""
    return _ALIAS_NAME.fullmatch(qualifier) is not None
