"""What a function says of its batch with ReportBatchItemFailures. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
"""

from __future__ import annotations

from collections.abc import Set

import orjson


def failed_items(payload: bytes, ids: Set[str]) -> Set[str]:
    """Which of the batch's ids failed, by the function's answer.

    Nothing, an empty answer, and none or null failures are a success; an answer that cannot be understood, or that
    names an id which is none of the batch, fails all of it.
    """
    try:
        answer = orjson.loads(payload) if payload.strip() else None
    except orjson.JSONDecodeError:
        return ids
    if answer is None or answer in ("", [], {}):
        return frozenset()
    if not isinstance(answer, dict):
        return ids
    failures = answer.get("batchItemFailures")
    if failures is None:
        return frozenset()
    if not isinstance(failures, list):
        return ids
    named = [one.get("itemIdentifier") if isinstance(one, dict) else None for one in failures]
    known = frozenset(one for one in named if isinstance(one, str) and one in ids)
    return known if len(named) == sum(one in known for one in named if isinstance(one, str)) else ids
