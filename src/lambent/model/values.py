"""Value types that are made for every request.

`value` is `dataclass(frozen=True, slots=True)` to the type checker, which finds every assignment to a field. At run
time the fields are plain: a frozen dataclass sets each by way of `object.__setattr__`, which made up a twentieth of
what an invocation cost. Equality and hash are those of a frozen dataclass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """Make `cls` a value type."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
