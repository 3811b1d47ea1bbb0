"""A package and requests to decide on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lambent.control_plane.configuration import decide_create
from lambent.control_plane.requests import ConfigurationSettings, CreateRequest
from lambent.model.arn import FunctionId
from lambent.model.function import FunctionRecord
from lambent.model.ids import AccountId, Region
from lambent.packaging.code_store import StoredPackage

NOW = 1_763_892_000.123  # 2025-11-23T10:00:00.123Z


@pytest.fixture
def package() -> StoredPackage:
    return StoredPackage(code_sha256="q6ur", digest="ab" * 32, code_size=100, unzipped_size=250)


@pytest.fixture
def function() -> FunctionId:
    return FunctionId(AccountId("000000000000"), Region("us-east-1"), "greet")


@pytest.fixture
def create_request(function: FunctionId) -> Callable[..., CreateRequest]:
    """A CreateFunction that is accepted, with what is given changed."""

    def make(*, publish: bool = False, tags: dict[str, str] | None = None, **settings: Any) -> CreateRequest:
        given = {
            "role": "arn:aws:iam::000000000000:role/r",
            "runtime": "python3.12",
            "handler": "index.handler",
        } | settings
        return CreateRequest(function, ConfigurationSettings(**given), b"zip", tags=tags or {}, publish=publish)

    return make


@pytest.fixture
def record(create_request: Callable[..., CreateRequest], package: StoredPackage) -> FunctionRecord:
    """A function just created: Pending."""
    return decide_create(create_request(), package, None, NOW).record
