"""IAM's way of paging: Marker, MaxItems, IsTruncated. Pure.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoles.html. A marker is the key of the last item given, so
that items added or removed meanwhile neither shift nor break a listing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from lambent.aws.context import Params
from lambent.model.errors import ServiceError

MAX_ITEMS_DEFAULT: Final = 100

T = TypeVar("T")


def page(
    member: str, items: Sequence[T], params: Params, *, key: Callable[[T], str], shape: Callable[[T], object]
) -> Params:
    """The output of a listing: one page of `items` (in ascending order of `key`) under `member`.

    Raises ValidationError for a marker that was not given out.
    """
    marker = params.get("Marker")
    after = None if marker is None else _decoded(marker)
    rest = [item for item in items if after is None or key(item) > after]
    limit = params.get("MaxItems", MAX_ITEMS_DEFAULT)
    shown = rest[:limit]
    output: Params = {member: [shape(item) for item in shown], "IsTruncated": len(rest) > limit}
    if len(rest) > limit:
        output["Marker"] = base64.urlsafe_b64encode(key(shown[-1]).encode()).decode()
    return output


def _decoded(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise ServiceError("ValidationError", f"Invalid Marker: {marker}") from error
