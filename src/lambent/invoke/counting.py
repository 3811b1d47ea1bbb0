"""Admission: may another invocation run now? From in-memory counters, before any environment is touched.

`Counting` is synchronous and knows no I/O. A `Permit` is held exactly as long as an invocation occupies concurrency;
releasing twice is a programming error. Follows
https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html: a function with reserved concurrency has that much
and no more, all others share what is left of the account's (provisioned concurrency is to be added here).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lambent.model.arn import FunctionId

Pool = tuple[str, str]  # account, region: what the account limit applies to


class ThrottleReason(StrEnum):
    """The `Reason` of a TooManyRequestsException."""

    CONCURRENT_INVOCATION_LIMIT_EXCEEDED = "ConcurrentInvocationLimitExceeded"
    RESERVED_CONCURRENT_INVOCATION_LIMIT_EXCEEDED = "ReservedFunctionConcurrentInvocationLimitExceeded"


class Permit:
    """One unit of concurrency, held.

    What was in use when it was given, itself included: `function_in_use` by its function, `account_in_use` by all of
    the account in the region, `unreserved_in_use` by those of them without a reservation.
    """

    __slots__ = (
        "_counting", "_function", "_released", "account_in_use", "function_in_use", "unreserved_in_use",
    )  # fmt: skip

    def __init__(
        self,
        counting: Counting,
        function: FunctionId,
        function_in_use: int,
        account_in_use: int,
        unreserved_in_use: int,
    ) -> None:
        self._counting = counting
        self._function = function
        self._released = False
        self.function_in_use = function_in_use
        self.account_in_use = account_in_use
        self.unreserved_in_use = unreserved_in_use

    def release(self) -> None:
        """Give the unit back. Raises RuntimeError the second time."""
        if self._released:
            raise RuntimeError("a concurrency permit was released twice")
        self._released = True
        self._counting._give_back(self._function)  # noqa: SLF001 - the permit is the counter's own handle


@dataclass(frozen=True, slots=True)
class Throttled:
    """Refused, and why."""

    reason: ThrottleReason


class Counting:
    """The concurrency in use, by account and region (the pool) and by function."""

    def __init__(self, account_limit: int) -> None:
        self.account_limit = account_limit
        self._by_pool: Counter[Pool] = Counter()
        self._unreserved: Counter[Pool] = Counter()  # of that, by functions without a reservation
        self._by_function: Counter[FunctionId] = Counter()
        self._reserved: dict[Pool, Mapping[FunctionId, int]] = {}
        self._unreserved_limit: dict[Pool, int] = {}

    def reserve(self, pool: Pool, reserved: Mapping[FunctionId, int]) -> None:
        """All that the functions of an account and region reserve from now on, in place of what they did.

        Invocations that run go on, and are counted where their function belongs now.
        """
        self._reserved[pool] = dict(reserved)
        self._unreserved_limit[pool] = self.account_limit - sum(reserved.values())
        self._unreserved[pool] = self._by_pool[pool] - sum(self._by_function[function] for function in reserved)

    def try_acquire(self, function: FunctionId) -> Permit | Throttled:
        """A permit, or why not."""
        pool = _pool(function)
        share = self._reserved.get(pool, _NOTHING).get(function)
        if share is not None:
            if self._by_function[function] >= share:
                return Throttled(ThrottleReason.RESERVED_CONCURRENT_INVOCATION_LIMIT_EXCEEDED)
        elif self._unreserved[pool] >= self._unreserved_limit.get(pool, self.account_limit):
            return Throttled(ThrottleReason.CONCURRENT_INVOCATION_LIMIT_EXCEEDED)
        else:
            self._unreserved[pool] += 1
        self._by_pool[pool] = in_account = self._by_pool[pool] + 1
        self._by_function[function] = of_function = self._by_function[function] + 1
        return Permit(self, function, of_function, in_account, self._unreserved[pool])

    def functions_in_use(self) -> dict[FunctionId, int]:
        """Concurrent invocations of every function that has any."""
        return dict(self._by_function)

    def unreserved_in_use(self, account: str, region: str) -> int:
        """Concurrent invocations of an account in a region of functions without a reservation."""
        return self._unreserved[account, region]

    def reserved(self, function: FunctionId) -> int | None:
        """What the function reserves; None for nothing."""
        return self._reserved.get(_pool(function), _NOTHING).get(function)

    def reserved_total(self, account: str, region: str) -> int:
        """What the functions of an account and region reserve together."""
        return sum(self._reserved.get((account, region), _NOTHING).values())

    def in_use(self, function: FunctionId) -> int:
        """Concurrent invocations of one function."""
        return self._by_function[function]

    def in_use_by_account(self, account: str, region: str) -> int:
        """Concurrent invocations of an account in a region."""
        return self._by_pool[account, region]

    def _give_back(self, function: FunctionId) -> None:
        pool = _pool(function)
        if function not in self._reserved.get(pool, _NOTHING):
            self._unreserved[pool] -= 1
        self._by_pool[pool] -= 1
        self._by_function[function] -= 1
        if not self._by_function[function]:
            del self._by_function[function]


_NOTHING: Mapping[FunctionId, int] = {}


def _pool(function: FunctionId) -> Pool:
    return (function.account, function.region)
