"""What asynchronous invocation tells an observer: for metrics. All on the event loop; it returns at once."""

from __future__ import annotations

from typing import Protocol

from lambent.model.arn import FunctionReference


class AsyncObserver(Protocol):
    """`reference` is what the caller named."""

    def received(self, reference: FunctionReference) -> None:
        """An event is in its queue."""
        ...

    def aged(self, reference: FunctionReference, age_s: float) -> None:
        """An event so old is about to be run, or to be dropped."""
        ...

    def dropped(self, reference: FunctionReference) -> None:
        """An event ended without success."""
        ...
