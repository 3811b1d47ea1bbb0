"""Users and groups: what is stored about them, and the rules of changing it. Knows the store port.

What they share with roles is in `lambent.iam.policy_holders`. A user's access keys are `lambent.iam.identities`'s. The
store keeps a user's groups with the user, so that all that lets a user do something is read in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from lambent.iam.access_key_ids import new_unique_id
from lambent.iam.policy_holders import (
    HolderKind,
    PolicyHolder,
    PolicyHolders,
    delete_conflict,
    limit_exceeded,
    store_key,
)
from lambent.iam.tags import tagged
from lambent.model.ids import AccountId
from lambent.store.api import GROUPS, USERS, ConflictError, Expect, Put

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (sizes in characters without white space)
GROUPS_PER_USER_MAX: Final = 10  # Groups an IAM user can be a member of
USER_INLINE_POLICIES_MAX_CHARACTERS: Final = 2048
GROUP_INLINE_POLICIES_MAX_CHARACTERS: Final = 5120


@dataclass(frozen=True, slots=True, kw_only=True)
class User(PolicyHolder):
    """A user. `groups` are the names of those it is in."""

    user_id: str
    groups: tuple[str, ...] = ()

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:user{self.path}{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(PolicyHolder):
    """A group. It has neither tags nor a permissions boundary."""

    group_id: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:group{self.path}{self.name}"


def _user(value: Mapping[str, Any]) -> User:
    return User(**{**value, "groups": tuple(value["groups"])})


class Groups(PolicyHolders[Group]):
    """The groups of this installation."""

    kind = HolderKind("group", GROUPS, lambda value: Group(**value), GROUP_INLINE_POLICIES_MAX_CHARACTERS)

    async def create(self, account: AccountId, name: str, *, path: str = "/") -> Group:
        """Make a group. Raises EntityAlreadyExists."""
        group_id = new_unique_id("AGPA")
        return await self._create(
            Group(account=account, name=name, path=path, group_id=group_id, created_at=self._now())
        )

    async def delete(self, account: AccountId, name: str, users: Users) -> None:
        """Remove a group. Raises NoSuchEntity, and DeleteConflict while it has users or policies."""
        group = await self.get(account, name)
        if await users.members(account, group.name):
            raise delete_conflict("Cannot delete entity, must remove users from group first.")
        await self._delete(account, name, lambda group: None)


class Users(PolicyHolders[User]):
    """The users of this installation."""

    kind = HolderKind("user", USERS, _user, USER_INLINE_POLICIES_MAX_CHARACTERS)

    async def create(
        self,
        account: AccountId,
        name: str,
        *,
        path: str = "/",
        permissions_boundary: str | None = None,
        tags: Iterable[tuple[str, str]] = (),
    ) -> User:
        """Make a user. Raises EntityAlreadyExists."""
        return await self._create(
            User(
                account=account,
                name=name,
                path=path,
                user_id=new_unique_id("AIDA"),
                created_at=self._now(),
                permissions_boundary=permissions_boundary,
                tags=tagged({}, tags),
            )
        )

    async def delete(self, account: AccountId, name: str, check: Callable[[User], None]) -> None:
        """Remove a user once `check` raises nothing. Raises NoSuchEntity, and DeleteConflict while it has policies or
        is in a group."""

        def check_all(user: User) -> None:
            if user.groups:
                raise delete_conflict("Cannot delete entity, must remove user from group first.")
            check(user)

        await self._delete(account, name, check_all)

    async def members(self, account: AccountId, group: str) -> list[User]:
        """The users in a group, by name."""
        return [user for user in await self.list_all(account) if _is_in(user, group)]

    async def add_to_group(self, account: AccountId, name: str, group: str, groups: Groups) -> None:
        """Put a user in a group; no matter if it is there already. Raises NoSuchEntity for either, LimitExceeded."""
        while True:
            found = await self._store.get(GROUPS, store_key(account, group))
            if found is None:
                raise groups.no_such(group)
            record = await self._record(account, name)
            user = self._loaded(record)
            if _is_in(user, group):
                return
            if len(user.groups) >= GROUPS_PER_USER_MAX:
                raise limit_exceeded(f"Cannot exceed quota for GroupsPerUser: {GROUPS_PER_USER_MAX}")
            value = {**record.value, "groups": [*user.groups, found.value["name"]]}
            try:
                # the group must still be there: a name in `groups` must not wait for a group of that name
                await self._store.commit(
                    [Expect(GROUPS, found.key, found.revision), Put(USERS, record.key, value, expect=record.revision)]
                )
            except ConflictError:
                continue
            return

    async def remove_from_group(self, account: AccountId, name: str, group: str, groups: Groups) -> None:
        """Take a user out of a group; no matter if it is not there. Raises NoSuchEntity for either."""
        await groups.get(account, group)
        await self._change(
            account,
            name,
            lambda user: replace(user, groups=tuple(one for one in user.groups if one.lower() != group.lower())),
        )


def _is_in(user: User, group: str) -> bool:
    return group.lower() in (one.lower() for one in user.groups)
