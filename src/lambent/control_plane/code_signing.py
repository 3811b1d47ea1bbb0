"""Code signing configurations: https://docs.aws.amazon.com/lambda/latest/dg/configuration-codesigning.html.

Stored and attached to functions. Signatures are not verified yet, so a configuration that enforces them is refused;
one that only warns promises nothing that is not kept.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from lambent.control_plane.attachments import Attachments, attachment_key
from lambent.control_plane.commits import ATTEMPTS, committed
from lambent.control_plane.scan import each
from lambent.control_plane.validation import check_tags
from lambent.model.arn import LATEST, FunctionId
from lambent.model.clock import Clock
from lambent.model.errors import (
    CodeSigningConfigNotFoundException,
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.model.ids import AccountId, Region
from lambent.store.api import CODE_SIGNING_CONFIGS, FUNCTION_CODE_SIGNING, Change, Delete, Put, Store

WARN: Final = "Warn"
ENFORCE: Final = "Enforce"
_ID_ALPHABET: Final = string.ascii_lowercase + string.digits
_ID_LENGTH: Final = 17


@dataclass(frozen=True, slots=True)
class CodeSigningConfig:
    """A configuration. `modified` in epoch seconds; `description` is None if none was ever given."""

    config_id: str
    arn: str
    publishers: Sequence[str]
    policy: str
    modified: float
    description: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CodeSigningPage:
    """Part of a list. `following` is what to ask for next (`after`), None at the end."""

    configs: list[CodeSigningConfig]
    following: str | None


@dataclass(frozen=True, slots=True)
class SignedFunctionsPage:
    """Part of the list of the functions that use a configuration."""

    functions: list[FunctionId]
    following: str | None


class CodeSigning:
    """Configurations of all accounts, and which function uses which."""

    def __init__(self, store: Store, attachments: Attachments, clock: Clock) -> None:
        self._store = store
        self._attachments = attachments
        self._clock = clock

    async def create(
        self,
        account: AccountId,
        region: Region,
        publishers: Sequence[str],
        policy: str | None,
        description: str | None,
        tags: Mapping[str, str],
    ) -> CodeSigningConfig:
        """Raises InvalidParameterValueException."""
        _check_policy(policy)
        check_tags(tags)
        config_id = "csc-" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
        arn = f"arn:aws:lambda:{region}:{account}:code-signing-config:{config_id}"
        created = CodeSigningConfig(
            config_id, arn, tuple(publishers), policy or WARN, self._clock.now(), description, dict(tags)
        )
        await self._store.commit([Put(CODE_SIGNING_CONFIGS, _key(arn), asdict(created), expect=0)])
        return created

    async def get(self, arn: str) -> CodeSigningConfig:
        """Raises ResourceNotFoundException."""
        return (await self._read(arn))[0]

    async def update(
        self, arn: str, publishers: Sequence[str] | None, policy: str | None, description: str | None
    ) -> CodeSigningConfig:
        """What is None stays. Raises ResourceNotFoundException, InvalidParameterValueException."""
        for _ in range(ATTEMPTS):
            before, revision = await self._read(arn)
            _check_policy(policy)
            after = replace(
                before,
                publishers=before.publishers if publishers is None else tuple(publishers),
                policy=policy or before.policy,
                description=before.description if description is None else description,
                modified=self._clock.now(),
            )
            if await committed(self._store, [Put(CODE_SIGNING_CONFIGS, _key(arn), asdict(after), expect=revision)]):
                return after
        raise _busy(arn)

    async def change_tags(self, arn: str, *, add: Mapping[str, str], remove: Sequence[str]) -> None:
        """Raises ResourceNotFoundException, InvalidParameterValueException."""
        for _ in range(ATTEMPTS):
            before, revision = await self._read(arn)
            tags = {key: value for key, value in before.tags.items() if key not in remove} | dict(add)
            check_tags(tags)
            after = replace(before, tags=tags)
            if await committed(self._store, [Put(CODE_SIGNING_CONFIGS, _key(arn), asdict(after), expect=revision)]):
                return
        raise _busy(arn)

    async def delete(self, arn: str) -> None:
        """Raises ResourceNotFoundException, ResourceConflictException (functions use it)."""
        for _ in range(ATTEMPTS):
            _, revision = await self._read(arn)
            if (await self.functions(arn, None, 1)).functions:
                raise ResourceConflictException(
                    f"The code signing configuration {arn} cannot be deleted while functions use it."
                )
            if await committed(self._store, [Delete(CODE_SIGNING_CONFIGS, _key(arn), expect=revision)]):
                return
        raise _busy(arn)

    async def list_configs(self, account: AccountId, region: Region, after: str | None, limit: int) -> CodeSigningPage:
        """All of an account in a region. `after` is the id of the last one had."""
        prefix = f"{account}/{region}/"
        start = None if after is None else prefix + after
        stored = await self._store.scan(CODE_SIGNING_CONFIGS, prefix, after=start, limit=limit + 1)
        configs = [CodeSigningConfig(**one.value) for one in stored]
        return CodeSigningPage(configs[:limit], configs[limit - 1].config_id if len(configs) > limit else None)

    async def functions(self, arn: str, after: str | None, limit: int) -> SignedFunctionsPage:
        """The functions that use a configuration, by name. Raises ResourceNotFoundException."""
        await self._read(arn)
        account, region, _ = _key(arn).split("/")
        names: list[str] = []
        async for stored in each(self._store, FUNCTION_CODE_SIGNING, f"{account}/{region}/"):
            name = stored.key.split("/")[2]
            if stored.value["arn"] == arn and (after is None or name > after):
                names.append(name)
            if len(names) > limit:
                break
        functions = [FunctionId(AccountId(account), Region(region), name) for name in names[:limit]]
        return SignedFunctionsPage(functions, names[limit - 1] if len(names) > limit else None)

    async def attach(self, function: FunctionId, arn: str) -> None:
        """PutFunctionCodeSigningConfig. Raises CodeSigningConfigNotFoundException, ResourceNotFoundException."""

        async def kept() -> list[Change]:
            return [await self._kept(function, arn)]

        await self._attachments.change(FUNCTION_CODE_SIGNING, function, LATEST, lambda _: {"arn": arn}, also=kept)

    async def attachment(self, function: FunctionId, arn: str | None) -> list[Change]:
        """The changes that attach a configuration (None: none) to a function in the commit that creates it. Raises
        CodeSigningConfigNotFoundException."""
        if arn is None:
            return []
        attached = Put(FUNCTION_CODE_SIGNING, attachment_key(function), {"arn": arn}, expect=0)
        return [await self._kept(function, arn), attached]

    async def _kept(self, function: FunctionId, arn: str) -> Change:
        """The change that writes a configuration again, so that it cannot be deleted in the same moment."""
        stored = await self._store.get(CODE_SIGNING_CONFIGS, _key(arn))
        if stored is None or not _is_of(arn, function):
            raise CodeSigningConfigNotFoundException(_not_found_text(arn), Type=None)
        return Put(CODE_SIGNING_CONFIGS, stored.key, stored.value, expect=stored.revision)

    async def detach(self, function: FunctionId) -> None:
        """DeleteFunctionCodeSigningConfig; without one there is nothing to do. Raises ResourceNotFoundException."""
        await self._attachments.change(FUNCTION_CODE_SIGNING, function, LATEST, lambda _: None)

    async def attached(self, function: FunctionId) -> str | None:
        """The ARN of the configuration a function uses."""
        stored = await self._attachments.get(FUNCTION_CODE_SIGNING, function)
        return None if stored is None else str(stored["arn"])

    async def _read(self, arn: str) -> tuple[CodeSigningConfig, int]:
        stored = await self._store.get(CODE_SIGNING_CONFIGS, _key(arn))
        if stored is None:
            raise ResourceNotFoundException(_not_found_text(arn), Type=None)
        return CodeSigningConfig(**stored.value), stored.revision


def _check_policy(policy: str | None) -> None:
    if policy == ENFORCE:
        raise InvalidParameterValueException(
            "CodeSigningPolicies.UntrustedArtifactOnDeployment Enforce is not offered by Lambent yet: it does not "
            "verify the signatures of deployment packages. Use Warn."
        )


def _key(arn: str) -> str:
    """account/region/id; of an ARN that the service model's pattern has accepted."""
    fields: list[Any] = arn.split(":")
    return f"{fields[4]}/{fields[3]}/{fields[6]}"


def _is_of(arn: str, function: FunctionId) -> bool:
    return _key(arn).startswith(f"{function.account}/{function.region}/")


def _not_found_text(arn: str) -> str:
    return f"The Lambda code signing configuration {arn} can not be found."


def _busy(arn: str) -> ServiceError:
    return ResourceConflictException(
        f"The operation cannot be performed at this time. An update is in progress for resource: {arn}"
    )
