"""A resource-based policy as stored: of a function, a version, an alias, or a layer version.

https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html. The control plane writes these; whoever
lets a service or another account in reads them and asks `lambent.iam.resource_policies`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lambent.model.arn import LATEST, FunctionId
from lambent.model.ids import AccountId, Region, RevisionId

Statement = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    """A policy document, and the revision id its resource had when the policy last changed.

    For functions, versions and aliases the API answers with the resource's own revision id, which every change of the
    policy renews; for layer versions with this one.
    """

    document: Mapping[str, Any]
    revision_id: RevisionId

    @property
    def statements(self) -> Sequence[Statement]:
        """The statements, in order (a document may hold a single one without a list)."""
        found = self.document.get("Statement", [])
        return [found] if isinstance(found, Mapping) else found

    @property
    def text(self) -> str:
        """The document as the API answers it: JSON without white space."""
        return compact_json(self.document)

    def to_document(self) -> dict[str, Any]:
        """A JSON object for the store."""
        return {"document": dict(self.document), "revision_id": self.revision_id}

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> ResourcePolicy:
        """The inverse of `to_document`."""
        return ResourcePolicy(document["document"], RevisionId(document["revision_id"]))


def compact_json(value: Mapping[str, Any]) -> str:
    """JSON as Lambda writes policies: no white space, text as it is."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def function_policies_prefix(function: FunctionId) -> str:
    """The prefix of the store keys of all policies of a function, its versions and its aliases."""
    return f"{function.account}/{function.region}/function/{function.name}/"


def function_policy_key(function: FunctionId, qualifier: str | None) -> str:
    """The store key of a function's policy, or of one of its versions or aliases. `$LATEST` is the function."""
    return f"{function_policies_prefix(function)}{qualifier or LATEST}"


def layer_policy_key(account: AccountId, region: Region, layer: str, version: int) -> str:
    """The store key of a layer version's policy."""
    return f"{account}/{region}/layer/{layer}/{version}"
