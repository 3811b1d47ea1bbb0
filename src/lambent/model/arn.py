"""Function ARNs and the many ways of naming a function.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html (FunctionName): a name, `account:function:name`,
`function:name`, or a full ARN, each with an optional qualifier. Pure; the wording of refusals is AWS's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lambent.model.errors import (
    InvalidParameterValueException,
    ResourceNotFoundException,
    access_denied,
)
from lambent.model.ids import AccountId, Region
from lambent.model.values import value

LATEST = "$LATEST"

_FUNCTION = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?"
    r"(?:(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d):)?"
    r"(?:(?P<account>\d{12}):)?"
    r"(?:function:)?(?P<name>[a-zA-Z0-9-_.]+)"
    r"(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9-_]+))?\Z"
)


@dataclass(frozen=True, slots=True)
class FunctionId:
    """A function of one account in one region. The unqualified key of everything about it."""

    account: AccountId
    region: Region
    name: str

    def __hash__(self) -> int:
        return hash(self.name)  # almost unique by itself, and the hash of a text is kept by the text

    @property
    def arn(self) -> str:
        """The unqualified ARN."""
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}"

    def qualified_arn(self, qualifier: str) -> str:
        """The ARN with `:qualifier` appended."""
        return f"{self.arn}:{qualifier}"

    @property
    def key(self) -> str:
        """The store key: account/region/name."""
        return f"{self.account}/{self.region}/{self.name}"


@value
class FunctionReference:
    """What a request named: the function, and the qualifier it gave (None when it gave none)."""

    function: FunctionId
    qualifier: str | None

    @property
    def arn(self) -> str:
        """The ARN as the caller would read it back: qualified only when it gave a qualifier."""
        return self.function.arn if self.qualifier is None else self.function.qualified_arn(self.qualifier)


def parse_function_reference(
    name: str, qualifier: str | None, *, account: AccountId, region: Region, creating: bool = False
) -> FunctionReference:
    """Resolve a FunctionName parameter (already pattern-checked) and a Qualifier parameter.

    Raises InvalidParameterValueException when the two qualifiers disagree, ResourceNotFoundException for another
    region, AccessDeniedException (with AWS's empty message) when creating in another account.
    """
    match = _FUNCTION.match(name)
    if match is None:
        raise InvalidParameterValueException(f"Invalid function name: {name}")
    if match["region"] and match["region"] != region:
        raise ResourceNotFoundException(
            f"Functions from '{match['region']}' are not reachable in this region ('{region}')"
        )
    if match["account"] and match["account"] != account and creating:
        raise access_denied("")
    derived = match["qualifier"]
    if derived and qualifier and derived != qualifier:
        raise InvalidParameterValueException(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    owner = AccountId(match["account"] or account)
    return FunctionReference(FunctionId(owner, region, match["name"]), qualifier or derived)
