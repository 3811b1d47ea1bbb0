"""Tags of IAM entities: keys unlike in more than case, at most fifty. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from lambent.model.errors import ServiceError

TAGS_MAX: Final = 50  # Tags per IAM role


def tagged(tags: Mapping[str, str], added: Iterable[tuple[str, str]]) -> dict[str, str]:
    """These tags and the added ones, which replace those of the same key, whatever its case.

    Raises InvalidInput for a key given twice, LimitExceeded for more than fifty.
    """
    result = dict(tags)
    keys = {key.lower(): key for key in result}
    seen: set[str] = set()
    for key, value in added:
        folded = key.lower()
        if folded in seen:
            raise ServiceError(
                "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
            )
        seen.add(folded)
        result.pop(keys.get(folded, key), None)
        result[key] = value
    if len(result) > TAGS_MAX:
        raise ServiceError("LimitExceeded", "The number of tags has reached the maximum limit.", status=409)
    return result


def untagged(tags: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """These tags without those of the given keys."""
    removed = {key.lower() for key in keys}
    return {key: value for key, value in tags.items() if key.lower() not in removed}
