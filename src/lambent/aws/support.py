"""What a member of an operation's input does here: the words of the tables beside each service. Pure.

The coverage page (`docs/reference/coverage.md`) is made from those tables; a test holds them against the service
models, so that a member that AWS adds is looked at before it is claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Effect(Enum):
    """What giving a member does."""

    EFFECTIVE = "effective"
    WITHOUT_EFFECT = "stored or accepted, without effect"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Member:
    """`harmless`: values of a refused member that ask for nothing (empty ones never do). `note`: what to do instead."""

    effect: Effect
    note: str = ""
    harmless: tuple[object, ...] = ()


Support = Mapping[str, Mapping[str, Member]]
"""Operation → member of its input (with dots into structures) → what it does."""

YES: Final = Member(Effect.EFFECTIVE)


def effective(*names: str) -> dict[str, Member]:
    """Members that do what they do on AWS."""
    return dict.fromkeys(names, YES)


def without_effect(note: str) -> Member:
    """A member that is taken and changes nothing; `note` says why that does no harm."""
    return Member(Effect.WITHOUT_EFFECT, note)


def refused(note: str = "", *harmless: object) -> Member:
    """A member whose use is an error."""
    return Member(Effect.REFUSED, note, harmless)
