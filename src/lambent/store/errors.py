"""What else can go wrong with a store. `ConflictError` and `StoreFullError` are part of the port (`api`)."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot be used."""


class StoreClosedError(StoreError):
    """The store was closed, or its writer has died."""


class StoreCorruptError(StoreError):
    """The file is damaged, or is not a Lambent store. Restore it from a backup."""


class StoreTooNewError(StoreError):
    """The file was written by a newer version of Lambent than this one."""
