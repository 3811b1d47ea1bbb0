"""Who asks, as policies name them, and how a Principal or NotPrincipal element names somebody. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

from lambent.iam.principal import Principal

_ASSUMED_ROLE = re.compile(r"arn:aws[a-z-]*:sts::(?P<account>[0-9]{12}):assumed-role/(?P<role>[^/]+)/(?P<session>.+)")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>[0-9]{12}):role/(?:.*/)?(?P<role>[^/]+)")
_ROOT = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>[0-9]{12}):root")
_ACCOUNT = re.compile(r"[0-9]{12}")


class Naming(IntEnum):
    """How closely a policy names somebody; more is closer."""

    NOT = 0
    ANYONE = 1  # "*"
    ACCOUNT = 2  # the account, which decides itself whom it lets
    ROLE = 3  # the role of the session
    EXACTLY = 4  # the user, the session, the service


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks: a principal of an account, a service, a federated identity, or nobody in particular.

    `account` is None for services and anonymous callers. `role` is the name of the role of a role session.
    """

    arn: str
    account: str | None = None
    unique_id: str | None = None
    role: str | None = None
    service: str | None = None
    federated: str | None = None
    is_root: bool = False


ANONYMOUS = Subject("anonymous")


@lru_cache(maxsize=1024)
def subject_of(principal: Principal) -> Subject:
    """A caller of the API as a subject of policies."""
    if principal.arn == "anonymous":
        return ANONYMOUS
    session = _ASSUMED_ROLE.fullmatch(principal.arn)
    unique_id = principal.user_id.partition(":")[0]
    is_root = _ROOT.fullmatch(principal.arn) is not None
    return Subject(principal.arn, principal.account, unique_id, session["role"] if session else None, is_root=is_root)


def service_subject(service: str) -> Subject:
    """An AWS service that acts by itself, e.g. events.amazonaws.com."""
    return Subject(service, service=service)


@dataclass(frozen=True, slots=True)
class PrincipalElement:
    """A Principal element: kind (AWS, Service, Federated, CanonicalUser) → values. `"*"` is {"AWS": ["*"]}."""

    values: Mapping[str, tuple[str, ...]]

    def names(self, subject: Subject) -> Naming:
        """How closely it names somebody."""
        return max((_names(kind, value, subject) for kind, values in self.values.items() for value in values),
                   default=Naming.NOT)  # fmt: skip

    def excepts(self, subject: Subject) -> bool:
        """As the NotPrincipal of a Deny: whether it excepts somebody.

        It does only when it lists all that the caller is: the account, and the user, or the role and its session.
        """
        namings = {_names(kind, value, subject) for kind, values in self.values.items() for value in values}
        if Naming.ANYONE in namings:
            return True
        needed = {Naming.EXACTLY}
        if subject.account is not None:
            needed |= {Naming.ACCOUNT} if subject.role is None else {Naming.ACCOUNT, Naming.ROLE}
        return needed <= namings or (subject.is_root and Naming.ACCOUNT in namings)


def parse_principal(element: Any) -> PrincipalElement:
    """The element of a checked policy. Raises ValueError for what is none."""
    if element == "*":
        return PrincipalElement({"AWS": ("*",)})
    if not isinstance(element, Mapping) or not element:
        raise ValueError("a Principal must be * or an object")
    return PrincipalElement({str(kind): tuple(_texts(values)) for kind, values in element.items()})


def _texts(values: Any) -> Iterable[str]:
    texts = values if isinstance(values, list) else [values]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a Principal must be text")
    return texts


def _names(kind: str, value: str, subject: Subject) -> Naming:
    match kind:
        case "AWS":
            return _names_in_account(value, subject)
        case "Service":
            return Naming.EXACTLY if subject.service == value and value else Naming.NOT
        case "Federated":
            return Naming.EXACTLY if subject.federated == value and value else Naming.NOT
        case _:
            return Naming.NOT


def _names_in_account(value: str, subject: Subject) -> Naming:
    if value == "*":
        return Naming.ANYONE
    if subject.account is None:
        return Naming.NOT
    root = _ROOT.fullmatch(value)
    if root is not None or _ACCOUNT.fullmatch(value):
        return Naming.ACCOUNT if (root["account"] if root else value) == subject.account else Naming.NOT
    if value == subject.arn or (value == subject.unique_id and subject.role is None):
        return Naming.EXACTLY
    role = _ROLE.fullmatch(value)
    if role is not None and subject.role is not None:
        same = (role["account"], role["role"]) == (subject.account, subject.role)
        return Naming.ROLE if same else Naming.NOT
    return Naming.ROLE if value == subject.unique_id else Naming.NOT
