"""Identifiers, each a type of its own so that one cannot be passed for another."""

from __future__ import annotations

import os
import uuid
from typing import NewType

AccountId = NewType("AccountId", str)  # 12 digits
Region = NewType("Region", str)
RequestId = NewType("RequestId", str)  # UUID, lower case
EnvironmentId = NewType("EnvironmentId", str)  # 32 hex digits
RevisionId = NewType("RevisionId", str)  # UUID


def new_request_id() -> RequestId:
    """A fresh request id: a version 4 UUID, as AWS's are."""
    return RequestId(str(uuid.UUID(bytes=os.urandom(16), version=4)))


def new_revision_id() -> RevisionId:
    """A fresh revision id (every stored change of a resource gets one)."""
    return RevisionId(str(uuid.UUID(bytes=os.urandom(16), version=4)))


def new_environment_id() -> EnvironmentId:
    """A fresh execution environment id, unique across hosts; also the hex part of its log stream's name."""
    return EnvironmentId(os.urandom(16).hex())
