"""Requests with up to ten entries, each of which succeeds or fails by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from lambent.aws.context import Params
from lambent.model.errors import ServiceError
from lambent.services.sqs.errors import missing_parameter

T = TypeVar("T")

ENTRIES_MAX: Final = 10
_ID = re.compile(r"[a-zA-Z0-9_-]{1,80}")


def check_entries(params: Params, entry_name: str) -> list[Params]:
    """The entries of a batch request. Raises what is wrong with the request as a whole."""
    entries: list[Params] = params.get("Entries") or []
    if not entries:
        text = f"There should be at least one {entry_name} in the request."
        raise ServiceError("EmptyBatchRequest", text)
    if len(entries) > ENTRIES_MAX:
        text = f"Maximum number of entries per request are {ENTRIES_MAX}. You have sent {len(entries)}."
        raise ServiceError("TooManyEntriesInBatchRequest", text)
    ids: set[str] = set()
    for number, entry in enumerate(entries, 1):
        entry_id = entry.get("Id")
        if not entry_id:
            raise missing_parameter(f"{entry_name}.{number}.Id")
        if not _ID.fullmatch(entry_id):
            raise ServiceError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long.",
            )
        if entry_id in ids:
            raise ServiceError("BatchEntryIdsNotDistinct", f"Id {entry_id} repeated.")
        ids.add(entry_id)
    return entries


def sort_out(entries: Sequence[Params], prepare: Callable[[Params], T]) -> tuple[list[tuple[str, T]], list[Params]]:
    """What each entry is prepared to, by its id; and the failed ones."""
    good: list[tuple[str, T]] = []
    failed: list[Params] = []
    for entry in entries:
        try:
            good.append((entry["Id"], prepare(entry)))
        except ServiceError as error:
            failed.append(failure(entry["Id"], error))
    return good, failed


def failure(entry_id: str, error: ServiceError) -> dict[str, Any]:
    """A BatchResultErrorEntry."""
    return {"Id": entry_id, "SenderFault": error.status < 500, "Code": error.code, "Message": error.message}
