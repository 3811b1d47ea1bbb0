"""The queue of a mapping, read and settled as the function's execution role: calls, and how often they are repeated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from lambent.aws_client.client import AwsCaller
from lambent.aws_client.errors import AwsCallError
from lambent.aws_client.sqs import BATCH_MAX, Message, Sqs
from lambent.model.clock import Clock

logger = logging.getLogger(__name__)

SETTLE_ATTEMPTS: Final = 4
_FIRST_PAUSE_S: Final = 0.5


class SqsQueue:
    """`caller`: the role as it is now; asked before every call, since credentials end."""

    def __init__(self, sqs: Sqs, url: str, caller: Callable[[], AwsCaller], clock: Clock) -> None:
        self.url = url
        self._sqs = sqs
        self._caller = caller
        self._clock = clock

    async def receive(self, limit: int, wait_s: int) -> list[Message]:
        """Raises AwsCallError."""
        return await self._sqs.receive(self._caller(), self.url, limit=min(limit, BATCH_MAX), wait_s=wait_s)

    async def visibility_timeout_s(self) -> int | None:
        """What the queue is set to; None if it does not tell."""
        try:
            attributes = await self._sqs.get_queue_attributes(self._caller(), self.url, ["VisibilityTimeout"])
            return int(attributes["VisibilityTimeout"])
        except (AwsCallError, KeyError, ValueError):
            logger.warning("a queue does not tell its visibility timeout", extra={"queue": self.url}, exc_info=True)
            return None

    async def delete(self, handles: Sequence[str]) -> int:
        """How many were deleted. What cannot be, after some tries, comes again: that is logged, and no failure."""
        left, refused = list(handles), list[str]()
        for attempt in range(SETTLE_ATTEMPTS):
            if attempt:
                await self._clock.sleep(_FIRST_PAUSE_S * 2**attempt)
            results = await asyncio.gather(*[self._delete_part(part) for part in _parts(left)])
            left = [handle for later, _ in results for handle in later]
            refused += [handle for _, never in results for handle in never]
            if not left:
                break
        lost = len(left) + len(refused)
        if lost:
            logger.error("messages were handled but not deleted", extra={"queue": self.url, "messages": lost})
        return len(handles) - lost

    async def give_back(self, handles: Sequence[str]) -> None:
        """Make messages visible at once; those for which it fails will be when their time is over."""
        for part in _parts(handles):
            try:
                await self._sqs.change_visibility(self._caller(), self.url, part, 0)
            except (AwsCallError, ValueError) as error:
                logger.warning("messages were not given back", extra={"queue": self.url, "reason": str(error)})
                return

    async def _delete_part(self, part: dict[str, str]) -> tuple[list[str], list[str]]:
        """Those worth another try, and those that are not."""
        try:
            failed = await self._sqs.delete(self._caller(), self.url, part)
        except (AwsCallError, ValueError) as error:
            logger.warning("messages were not deleted", extra={"queue": self.url, "reason": str(error)})
            if isinstance(error, AwsCallError) and error.retryable:
                return list(part.values()), []
            return [], list(part.values())
        return [part[one.id] for one in failed], []


def _parts(handles: Sequence[str]) -> Iterator[dict[str, str]]:
    for start in range(0, len(handles), BATCH_MAX):
        yield {str(number): handle for number, handle in enumerate(handles[start : start + BATCH_MAX])}
