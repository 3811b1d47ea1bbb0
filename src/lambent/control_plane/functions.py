"""The lifecycle of functions and versions: decide on what is stored, commit if it is still so, complete later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from lambent.aws_client.s3_objects import GetObject
from lambent.control_plane.aliases import Aliases, aliases_of_version
from lambent.control_plane.attachments import Attachments
from lambent.control_plane.code import CodeCollector
from lambent.control_plane.code_signing import CodeSigning
from lambent.control_plane.concurrency import Concurrency
from lambent.control_plane.configuration import (
    Change,
    already_exists,
    decide_create,
    decide_update_code,
    decide_update_configuration,
    with_code,
)
from lambent.control_plane.event_invoke_configs import EventInvokeConfigs
from lambent.control_plane.event_source_mappings import CheckNew, EventSourceMappings, no_check
from lambent.control_plane.event_sources import SourceKind
from lambent.control_plane.function_urls import FunctionUrls
from lambent.control_plane.images import check_code_kind, image_package
from lambent.control_plane.layer_permissions import LayerPermissions
from lambent.control_plane.layers import AttachedLayers, Layers
from lambent.control_plane.packages import Packages
from lambent.control_plane.permissions import Permissions
from lambent.control_plane.provisioned_concurrency import Progress, ProvisionedConcurrency
from lambent.control_plane.queries import FunctionQueries, StoredFunction
from lambent.control_plane.requests import (
    Code,
    ContainerImage,
    CreateRequest,
    PublishRequest,
    UpdateCodeRequest,
    UpdateConfigurationRequest,
)
from lambent.control_plane.runtime_settings import RuntimeSettings
from lambent.control_plane.settling import Settling
from lambent.control_plane.states import is_settled, refusal, update_in_progress
from lambent.control_plane.usage import Usage
from lambent.control_plane.validation import check_create, check_revision, check_settings, check_tags
from lambent.control_plane.versions import decide_publish
from lambent.model import limits
from lambent.model.alias import aliases_prefix
from lambent.model.arn import FunctionId
from lambent.model.clock import Clock
from lambent.model.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ServiceError,
)
from lambent.model.execution import ProvisionedProgress, ProvisionedStatus
from lambent.model.function import FunctionVersion, version_key, versions_prefix
from lambent.model.limits import AWS_LIMITS, Limits
from lambent.model.resource_policy import function_policies_prefix, function_policy_key
from lambent.packaging.code_store import CodeStore, StoredPackage
from lambent.store.api import (
    ALIASES,
    FUNCTIONS,
    RESOURCE_POLICIES,
    VERSIONS,
    ConflictError,
    Delete,
    Expect,
    Put,
    Store,
)
from lambent.store.api import Change as StoreChange

logger = logging.getLogger(__name__)

RoleCheck = Callable[[str], Awaitable[bool]]
"""Does the role with this ARN exist, and does it trust lambda.amazonaws.com?"""

_ATTEMPTS = 20  # a lost race means that somebody else's change went in: losing this often is not normal


@dataclass(frozen=True, slots=True)
class Settings:
    """`require_roles`: refuse execution roles that cannot be assumed. Times in seconds of real time.

    `settle_delay_s`: how long a function stays Pending, or an update InProgress. `settle_wait_s`: how long a change
    waits for an earlier one before it is refused as AWS refuses it. `collect_again_s`: a little more than the code
    store spares what was just added. `account_concurrency`: what an account has in a region. `limits`:
    quotas that are not AWS's.
    """

    require_roles: bool = False
    settle_delay_s: float = 0.005
    settle_wait_s: float = 1.0
    collect_again_s: float = 65.0
    account_concurrency: int = limits.ACCOUNT_CONCURRENCY
    limits: Limits = AWS_LIMITS


async def _any_role(role: str) -> bool:
    return bool(role)


def _not_yet(_function: FunctionId, _qualifier: str, _requested: int) -> ProvisionedProgress:
    return ProvisionedProgress(ProvisionedStatus.IN_PROGRESS)


class FunctionsControlPlane:
    """Functions of all accounts. `start` before use, `close` after; reading is `queries`
    and `usage`."""

    def __init__(
        self,
        store: Store,
        code_store: CodeStore,
        clock: Clock,
        *,
        settings: Settings | None = None,
        role_check: RoleCheck | None = None,
        digests_in_use: Callable[[], Set[str]] = frozenset,
        get_object: GetObject | None = None,
        provisioned_progress: Progress = _not_yet,
        polled: Set[SourceKind] = frozenset(),
        check_source: CheckNew = no_check,
    ) -> None:
        """`digests_in_use`: code that execution environments may still run from, whatever the store says.
        `get_object`: the S3 in force, if there is one. `provisioned_progress`: what the data plane says there is of
        provisioned concurrency. `polled`, `check_source`: see `EventSourceMappings`."""
        self._settings = settings or Settings()
        self.limits = self._settings.limits
        if self._settings.require_roles and role_check is None:
            raise ValueError("require_roles needs a role_check")
        self._store = store
        self._code_store = code_store
        self._clock = clock
        self._role_check = role_check or _any_role
        self._digests_in_use = digests_in_use
        self._settling = Settling(store, self._settings.settle_delay_s)
        self._collector = CodeCollector(code_store, self._all_digests, self._settings.collect_again_s)
        self.queries = FunctionQueries(store)
        attachments = Attachments(store, self.queries)
        self.aliases = Aliases(store, self.queries, attachments)
        self.permissions = Permissions(store, self.queries)
        limit = self._settings.account_concurrency
        self._attachments = attachments
        self.concurrency = Concurrency(store, self.queries, attachments, limit)
        self.provisioned_concurrency = ProvisionedConcurrency(
            self.queries, attachments, self.concurrency, clock, provisioned_progress
        )
        self.event_invoke_configs = EventInvokeConfigs(self.queries, attachments, clock)
        self.function_urls = FunctionUrls(self.queries, attachments, clock)
        self.code_signing = CodeSigning(store, attachments, clock)
        self.runtime_settings = RuntimeSettings(self.queries, attachments)
        self.event_source_mappings = EventSourceMappings(store, self.queries, clock, polled, check_source)
        self.usage = Usage(store)
        self._packages = Packages(code_store, self.usage, get_object, self._collector.want, self.limits)
        self.layers = Layers(store, self._packages, clock, self._collector.want, self.limits)
        self.layer_permissions = LayerPermissions(store)

    async def start(self) -> None:
        """Complete what a stop or a crash left under way, and collect the code it left behind."""
        for function in await self.queries.unsettled():
            self._settling.begin(function)
        self._collector.start()

    async def close(self) -> None:
        """Stop. Nothing that was answered is lost."""
        self.usage.close()
        await self._settling.close()
        await self._collector.close()

    def collect_code(self) -> None:
        """Have unused code removed soon: for who ends an environment that ran from old code."""
        self._collector.want()

    async def create(self, request: CreateRequest) -> FunctionVersion:
        """CreateFunction. Raises InvalidParameterValueException, ResourceConflictException (the name is taken),
        CodeStorageExceededException, and what the code store says about the archive."""
        check_create(request, self.limits)
        await self._check_role(request.settings.role)
        if await self.queries.find(request.function) is not None:
            raise already_exists(request)
        # What is wrong with what it names is said before any code is looked at.
        await self._attach(request)
        await self.code_signing.attachment(request.function, request.code_signing_config_arn)
        package = await self._add(request.function, request.code)
        try:
            return await self._create(request, package)
        except ServiceError:
            self._collector.want()
            raise

    async def _create(self, request: CreateRequest, package: StoredPackage) -> FunctionVersion:
        for _ in range(_ATTEMPTS):
            attached = await self._attach(request)
            layers = None if attached is None else attached.layers
            change = decide_create(request, package, None, self._clock.now(), layers, self.limits)
            signing = await self.code_signing.attachment(request.function, request.code_signing_config_arn)
            try:
                await self._commit(change, 0, [*_expected(attached), *signing])
            except ConflictError:
                if await self.queries.find(request.function) is not None:
                    raise already_exists(request) from None
                continue  # one of the layers, or the code signing configuration, is gone or another
            return change.answer
        raise already_exists(request)

    async def update_code(self, request: UpdateCodeRequest) -> FunctionVersion:
        """UpdateFunctionCode. Raises ResourceNotFoundException, PreconditionFailedException,
        ResourceConflictException, CodeStorageExceededException, and what the code store says about the archive."""
        found = await self._settled(request.function)
        check_revision(found.record.latest, request.revision_id)
        check_code_kind(found.record.latest, request.code)
        try:
            package = await self._add(request.function, request.code)
            if request.dry_run:
                return with_code(found.record.latest, request, package, self.limits)
            return await self._update_code(request, package)
        finally:
            self._collector.want()

    async def _update_code(self, request: UpdateCodeRequest, package: StoredPackage) -> FunctionVersion:
        for _ in range(_ATTEMPTS):
            found = await self._settled(request.function)
            last = await self.queries.last_published(found.record) if request.publish else None
            change = decide_update_code(found.record, last, request, package, self._clock.now(), self.limits)
            if await self._committed(change, found):
                return change.answer
        raise update_in_progress(found.record.latest)

    async def update_configuration(self, request: UpdateConfigurationRequest) -> FunctionVersion:
        """UpdateFunctionConfiguration. Raises ResourceNotFoundException, InvalidParameterValueException,
        PreconditionFailedException, ResourceConflictException."""
        await self.queries.function(request.function)
        check_settings(request.settings, self.limits)
        await self._check_role(request.settings.role)
        for _ in range(_ATTEMPTS):
            found = await self._settled(request.function)
            attached = await self._attach(request)
            layers = None if attached is None else attached.layers
            change = decide_update_configuration(found.record, request, self._clock.now(), layers, self.limits)
            if await self._committed(change, found, _expected(attached)):
                return change.answer
        raise update_in_progress(found.record.latest)

    async def publish(self, request: PublishRequest) -> FunctionVersion:
        """PublishVersion. Raises ResourceNotFoundException, PreconditionFailedException,
        InvalidParameterValueException, ResourceConflictException."""
        for _ in range(_ATTEMPTS):
            found = await self._settled(request.function)
            last = await self.queries.last_published(found.record)
            publication = decide_publish(found.record, last, request)
            if publication is None and last is not None:
                return last
            if publication is not None:
                change = Change(publication.record, publication.version, publication.version)
                if await self._committed(change, found):
                    return change.answer
        raise update_in_progress(found.record.latest)

    async def delete(self, function: FunctionId) -> None:
        """DeleteFunction: the function, its versions, and all that is stored under it. Raises
        ResourceNotFoundException."""
        for _ in range(_ATTEMPTS):
            found = await self.queries.function(function)
            versions = await self._store.scan(VERSIONS, versions_prefix(function))
            changes: list[StoreChange] = [Delete(FUNCTIONS, function.key, expect=found.revision)]
            changes += [Delete(VERSIONS, version.key) for version in versions]
            changes += await self._dependents(function)
            if await self._try(changes):
                logger.info("Function is deleted", extra={"function_arn": function.arn})
                self._collector.want()
                return
        raise update_in_progress(found.record.latest)

    async def delete_version(self, function: FunctionId, number: str) -> None:
        """DeleteFunction of a published version; one that does not exist is fine. Raises
        ResourceNotFoundException if the function does not exist, ResourceConflictException if an alias may run it."""
        for _ in range(_ATTEMPTS):
            found = await self.queries.function(function)
            if names := aliases_of_version(await self.queries.aliases(function), number):
                raise ResourceConflictException(
                    f"Unable to delete version because the following aliases reference it: [{', '.join(names)}]"
                )
            changes: list[StoreChange] = [
                Expect(FUNCTIONS, function.key, found.revision),
                Delete(VERSIONS, version_key(function, number)),
                Delete(RESOURCE_POLICIES, function_policy_key(function, number)),
                *await self._attachments.removal(function, number),
            ]
            if await self._try(changes):
                self._collector.want()
                return
        raise update_in_progress(found.record.latest)

    async def change_tags(
        self, function: FunctionId, *, add: Mapping[str, str] | None = None, remove: Sequence[str] = ()
    ) -> None:
        """TagResource and UntagResource. Raises ResourceNotFoundException, InvalidParameterValueException."""
        for _ in range(_ATTEMPTS):
            found = await self.queries.function(function)
            kept = {key: value for key, value in found.record.tags.items() if key not in remove}
            tags = {**kept, **(add or {})}
            check_tags(tags)
            changed = replace(found.record, tags=tags)
            if await self._try([Put(FUNCTIONS, function.key, changed.to_document(), expect=found.revision)]):
                return
        raise update_in_progress(found.record.latest)

    async def _settled(self, function: FunctionId) -> StoredFunction:
        """The function once no creation or update of it is under way, which takes milliseconds.

        Raises ResourceNotFoundException, or ResourceConflictException after `settle_wait_s`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.settle_wait_s
        while True:
            found = await self.queries.function(function)
            if is_settled(found.record.latest):
                return found
            left_s = deadline - loop.time()
            if left_s <= 0:
                raise refusal(found.record.latest)
            await self._settling.wait(function, left_s)

    async def _dependents(self, function: FunctionId) -> list[StoreChange]:
        """What goes with a function. Whatever is stored under these keys touches the function in the same commit."""
        places = ((ALIASES, aliases_prefix(function)), (RESOURCE_POLICIES, function_policies_prefix(function)))
        return [
            *[
                Delete(table, stored.key)
                for table, prefix in places
                for stored in await self._store.scan(table, prefix)
            ],
            *await self._attachments.removal(function),
            *await self.concurrency.removal(function),
        ]

    async def _attach(self, request: CreateRequest | UpdateConfigurationRequest) -> AttachedLayers | None:
        """The layers it names; None if it says nothing of layers."""
        arns = request.settings.layers
        return None if arns is None else await self.layers.attach(arns, request.function, request.caller)

    async def _add(self, function: FunctionId, code: Code) -> StoredPackage:
        if isinstance(code, ContainerImage):
            return image_package(code)
        return await self._packages.add(function.account, function.region, code)

    async def _check_role(self, role: str | None) -> None:
        if role is None or not self._settings.require_roles:
            return
        if not await self._role_check(role):
            raise InvalidParameterValueException("The role defined for the function cannot be assumed by Lambda.")

    async def _commit(self, change: Change, revision: int, also: Sequence[StoreChange] = ()) -> None:
        function = change.record.function
        changes: list[StoreChange] = [
            Put(FUNCTIONS, function.key, change.record.to_document(), expect=revision),
            *also,
        ]
        if change.published is not None:
            key = version_key(function, change.published.version)
            changes.append(Put(VERSIONS, key, change.published.to_document(), expect=0))
        await self._store.commit(changes)
        logger.info(
            "Function is stored",
            extra={"function_arn": function.arn, "revision_id": change.record.latest.revision_id},
        )
        if not is_settled(change.record.latest):
            self._settling.begin(function)

    async def _committed(self, change: Change, found: StoredFunction, also: Sequence[StoreChange] = ()) -> bool:
        try:
            await self._commit(change, found.revision, also)
        except ConflictError:
            return False
        return True

    async def _try(self, changes: Sequence[StoreChange]) -> bool:
        try:
            await self._store.commit(changes)
        except ConflictError:
            return False
        return True

    async def _all_digests(self) -> set[str]:
        return await self.queries.code_digests() | self._digests_in_use()


def _expected(attached: AttachedLayers | None) -> Sequence[StoreChange]:
    return () if attached is None else attached.expected
