"""Function URLs as configured: https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html.

Stored; nothing answers at these URLs yet.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from lambent.control_plane.attachments import Attachments
from lambent.control_plane.queries import FunctionQueries
from lambent.control_plane.tenancy import check_no_tenants
from lambent.model.arn import LATEST, FunctionId, FunctionReference
from lambent.model.clock import Clock
from lambent.model.errors import ResourceConflictException, ResourceNotFoundException
from lambent.store.api import FUNCTION_URLS

BUFFERED: Final = "BUFFERED"
_ID_ALPHABET: Final = string.ascii_lowercase + string.digits
_ID_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class FunctionUrl:
    """A function's or alias's URL. `cors` as the API's Cors; `created` and `modified` in epoch seconds.

    `invoke_mode` is None as long as nobody asked for one.
    """

    url_id: str
    auth_type: str
    created: float
    modified: float
    cors: Mapping[str, Any] | None = None
    invoke_mode: str | None = None


@dataclass(frozen=True, slots=True)
class FunctionUrlPage:
    """Part of a list, with the qualifiers; see `attachments.AttachmentPage`."""

    urls: list[tuple[str, FunctionUrl]]
    following: str | None


class FunctionUrls:
    """CreateFunctionUrlConfig and its like."""

    def __init__(self, queries: FunctionQueries, attachments: Attachments, clock: Clock) -> None:
        self._queries = queries
        self._attachments = attachments
        self._clock = clock

    async def create(
        self, reference: FunctionReference, auth_type: str, cors: Mapping[str, Any] | None, invoke_mode: str | None
    ) -> FunctionUrl:
        """Raises ResourceNotFoundException (the function or alias), ResourceConflictException."""
        await self._check_exists(reference)
        now = self._clock.now()
        url_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
        created = FunctionUrl(url_id, auth_type, now, now, cors, invoke_mode)

        def decide(stored: Mapping[str, Any] | None) -> dict[str, Any]:
            if stored is not None:
                raise ResourceConflictException(
                    f"Failed to create function url config for [functionArn = {reference.arn}]. "
                    "Error message:  FunctionUrlConfig exists for this Lambda function"
                )
            return asdict(created)

        await self._attachments.change(FUNCTION_URLS, reference.function, reference.qualifier or LATEST, decide)
        return created

    async def update(
        self,
        reference: FunctionReference,
        auth_type: str | None,
        cors: Mapping[str, Any] | None,
        invoke_mode: str | None,
    ) -> FunctionUrl:
        """What is None stays; Cors is replaced as a whole. Raises ResourceNotFoundException."""
        after: list[FunctionUrl] = []

        def decide(stored: Mapping[str, Any] | None) -> dict[str, Any]:
            before = _known(stored)
            changed = replace(
                before,
                auth_type=auth_type or before.auth_type,
                cors=before.cors if cors is None else cors,
                invoke_mode=invoke_mode or before.invoke_mode,
                modified=self._clock.now(),
            )
            after.append(changed)
            return asdict(changed)

        await self.get(reference)
        await self._attachments.change(FUNCTION_URLS, reference.function, reference.qualifier or LATEST, decide)
        return after[-1]

    async def get(self, reference: FunctionReference) -> FunctionUrl:
        """Raises ResourceNotFoundException."""
        return _known(await self._attachments.get(FUNCTION_URLS, reference.function, reference.qualifier or LATEST))

    async def delete(self, reference: FunctionReference) -> None:
        """Raises ResourceNotFoundException."""

        def decide(stored: Mapping[str, Any] | None) -> None:
            _known(stored)

        await self.get(reference)
        await self._attachments.change(FUNCTION_URLS, reference.function, reference.qualifier or LATEST, decide)

    async def list_urls(self, function: FunctionId, after: str | None, limit: int) -> FunctionUrlPage:
        """The function's own and those of its aliases. Raises ResourceNotFoundException."""
        await self._check_exists(FunctionReference(function, None))
        page = await self._attachments.page(FUNCTION_URLS, function, after, limit)
        return FunctionUrlPage([(one.qualifier, FunctionUrl(**one.value)) for one in page.attachments], page.following)

    async def _check_exists(self, reference: FunctionReference) -> None:
        try:
            _, version = await self._queries.resolve(reference)
        except ResourceNotFoundException as error:
            raise ResourceNotFoundException("Function does not exist") from error
        check_no_tenants(version, "Function URL")


def _known(stored: Mapping[str, Any] | None) -> FunctionUrl:
    if stored is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return FunctionUrl(**stored)
