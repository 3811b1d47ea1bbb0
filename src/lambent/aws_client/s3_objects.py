"""Fetching an object from S3, as who wants one sees it. The client itself is `s3`, whose imports take 80 ms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lambent.model.ids import Region


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object, or one version of it."""

    bucket: str
    key: str
    version: str | None = None


class S3Error(Exception):
    """S3 refused; its own words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class ObjectTooLargeError(Exception):
    """The object has more bytes than are wanted; it was not read to its end."""


class S3UnreachableError(Exception):
    """The endpoint gave no answer that S3 could have given; the message says which and why."""


GetObject = Callable[[S3Object, Region, int], Awaitable[bytes]]
"""The object's content, at most so many bytes. Raises S3Error, ObjectTooLargeError, S3UnreachableError."""
