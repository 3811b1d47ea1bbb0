"""Reserved concurrency: how the account's concurrency is shared out among its functions.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html. What the functions of an account reserve in
a region is one document, as the sum of it is what has to hold; the data plane reads it and watches it
(`invoke.reservations`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lambent.control_plane.attachments import Attachments, touched
from lambent.control_plane.commits import ATTEMPTS, committed
from lambent.control_plane.queries import FunctionQueries
from lambent.control_plane.states import update_in_progress
from lambent.model import limits
from lambent.model.arn import FunctionId
from lambent.model.errors import InvalidParameterValueException
from lambent.model.ids import AccountId, Region
from lambent.store.api import FUNCTION_CONCURRENCY, PROVISIONED_CONCURRENCY, Change, Delete, Put, Store


@dataclass(frozen=True, slots=True)
class Shares:
    """What the functions of an account in a region have reserved, by name, and what it has in all."""

    limit: int
    reserved: Mapping[str, int]

    @property
    def unreserved(self) -> int:
        """What is left for functions without a reservation."""
        return self.limit - sum(self.reserved.values())

    @property
    def unreserved_minimum(self) -> int:
        """What must be left; an account with less than that cannot reserve anything."""
        return min(limits.UNRESERVED_CONCURRENCY_MIN, self.limit)

    def with_reserved(self, name: str, executions: int) -> Shares:
        """After a PutFunctionConcurrency. Raises InvalidParameterValueException (one of those without a Type)."""
        after = Shares(self.limit, {**self.reserved, name: executions})
        if after.unreserved < after.unreserved_minimum and executions > self.reserved.get(name, 0):
            raise InvalidParameterValueException(
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
                f"below its minimum value of [{self.unreserved_minimum}].",
                Type=None,
            )
        return after

    def without(self, name: str) -> Shares:
        """After a DeleteFunctionConcurrency."""
        return Shares(self.limit, {other: share for other, share in self.reserved.items() if other != name})


class Concurrency:
    """PutFunctionConcurrency and its like. `account_limit`: what an account has in a region."""

    def __init__(self, store: Store, queries: FunctionQueries, attachments: Attachments, account_limit: int) -> None:
        self._store = store
        self._queries = queries
        self._attachments = attachments
        self._account_limit = account_limit

    async def shares(self, account: AccountId, region: Region) -> Shares:
        """What is reserved now."""
        return (await self._read(account, region))[0]

    async def reserved(self, function: FunctionId) -> int | None:
        """Of one function, None if it has no reservation."""
        return (await self.shares(function.account, function.region)).reserved.get(function.name)

    async def reserve(self, function: FunctionId, executions: int) -> None:
        """PutFunctionConcurrency. Raises ResourceNotFoundException, InvalidParameterValueException."""
        await self._change(function, executions)

    async def release(self, function: FunctionId) -> None:
        """DeleteFunctionConcurrency; without a reservation there is nothing to do. Raises
        ResourceNotFoundException."""
        await self._change(function, None)

    async def removal(self, function: FunctionId) -> list[Change]:
        """The changes that give back what a function reserved: for the commit that deletes it."""
        before, revision = await self._read(function.account, function.region)
        if function.name not in before.reserved:
            return []
        return [_stored(function, before.without(function.name), revision)]

    async def _change(self, function: FunctionId, executions: int | None) -> None:
        for _ in range(ATTEMPTS):
            found = await self._queries.function(function)
            before, revision = await self._read(function.account, function.region)
            if executions is None:
                after = before.without(function.name)
            else:
                await self._check_provisioned(function, executions)
                after = before.with_reserved(function.name, executions)
            if await committed(self._store, [touched(found), _stored(function, after, revision)]):
                return
        raise update_in_progress(found.record.latest)

    async def _check_provisioned(self, function: FunctionId, executions: int) -> None:
        provisioned = await self._attachments.page(PROVISIONED_CONCURRENCY, function)
        total = sum(one.value["requested"] for one in provisioned.attachments)
        if executions < total:
            raise InvalidParameterValueException(
                f"ReservedConcurrentExecutions {executions} should not be lower than function's total provisioned "
                f"concurrency [{total}]."
            )

    async def _read(self, account: AccountId, region: Region) -> tuple[Shares, int]:
        stored = await self._store.get(FUNCTION_CONCURRENCY, f"{account}/{region}")
        if stored is None:
            return Shares(self._account_limit, {}), 0
        return Shares(self._account_limit, stored.value["reserved"]), stored.revision


def _stored(function: FunctionId, shares: Shares, revision: int) -> Put | Delete:
    key = f"{function.account}/{function.region}"
    if not shares.reserved:
        return Delete(FUNCTION_CONCURRENCY, key, expect=revision)
    return Put(FUNCTION_CONCURRENCY, key, {"reserved": dict(shares.reserved)}, expect=revision)
