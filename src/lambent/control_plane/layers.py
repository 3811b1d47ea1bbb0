"""The lifecycle of layer versions: published, listed, deleted, never changed; and which of them a function may use.

A layer's number of the next version outlives its versions, so that no number is given twice. A layer version that
functions use may be deleted: they carry what they need of it, and `queries.code_digests` keeps its code.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lambent.control_plane.commits import ATTEMPTS, committed
from lambent.control_plane.configuration import timestamp
from lambent.control_plane.layer_rules import (
    check_layer_list,
    check_layer_version,
    matches,
    no_such_layer_version,
)
from lambent.control_plane.packages import Packages
from lambent.control_plane.policies import no_such_resource, read_policy
from lambent.control_plane.requests import LayerFilter, PublishLayerRequest
from lambent.control_plane.scan import each
from lambent.iam.principal import Principal
from lambent.iam.resource_policies import permits
from lambent.model.arn import FunctionId
from lambent.model.clock import Clock
from lambent.model.errors import ResourceConflictException, access_denied
from lambent.model.ids import AccountId, Region
from lambent.model.layer import (
    AttachedLayer,
    LayerId,
    LayerVersion,
    layer_version_key,
    layer_versions_prefix,
    parse_layer_arn,
)
from lambent.model.limits import AWS_LIMITS, Limits
from lambent.model.resource_policy import layer_policy_key
from lambent.store.api import LAYER_VERSIONS, LAYERS, RESOURCE_POLICIES, Delete, Expect, Put, Store

logger = logging.getLogger(__name__)

GET_LAYER_VERSION = "lambda:GetLayerVersion"


@dataclass(frozen=True, slots=True)
class LayerPage:
    """Part of a list. `following` is what to ask for next (`after`), None at the end."""

    versions: list[LayerVersion]
    following: str | None


@dataclass(frozen=True, slots=True)
class AttachedLayers:
    """What a function gets, and what must still be so when it is stored."""

    layers: tuple[AttachedLayer, ...]
    expected: tuple[Expect, ...]


class Layers:
    """Layers of all accounts. `unused` is called when code may have become unused."""

    def __init__(
        self,
        store: Store,
        packages: Packages,
        clock: Clock,
        unused: Callable[[], None],
        limits: Limits = AWS_LIMITS,
    ) -> None:
        self._limits = limits
        self._store = store
        self._packages = packages
        self._clock = clock
        self._unused = unused

    async def publish(self, request: PublishLayerRequest) -> LayerVersion:
        """PublishLayerVersion. Raises CodeStorageExceededException, and what `Packages.add` raises."""
        layer = request.layer
        package = await self._packages.add(layer.account, layer.region, request.content)
        for _ in range(ATTEMPTS):
            stored = await self._store.get(LAYERS, layer.key)
            number = 1 if stored is None else int(stored.value["next_version"])
            made = LayerVersion(
                layer=layer,
                version=number,
                created_date=timestamp(self._clock.now()),
                digest=package.digest,
                code_sha256=package.code_sha256,
                code_size=package.code_size,
                unzipped_size=package.unzipped_size,
                description=request.description,
                compatible_runtimes=request.compatible_runtimes,
                compatible_architectures=request.compatible_architectures,
                license_info=request.license_info,
            )
            revision = 0 if stored is None else stored.revision
            changes = [
                Put(LAYERS, layer.key, {"next_version": number + 1}, expect=revision),
                Put(LAYER_VERSIONS, layer_version_key(layer, number), made.to_document(), expect=0),
            ]
            if await committed(self._store, changes):
                logger.info("Layer version is stored", extra={"layer_version_arn": made.arn})
                return made
        raise ResourceConflictException(f"Too many versions of {layer.arn} are being published at once.")

    async def find(self, layer: LayerId, number: int) -> LayerVersion | None:
        """The layer version, or None."""
        stored = await self._store.get(LAYER_VERSIONS, layer_version_key(layer, number)) if number > 0 else None
        return None if stored is None else LayerVersion.from_document(stored.value)

    async def get(self, layer: LayerId, number: int, caller: Principal) -> LayerVersion:
        """GetLayerVersion. Raises InvalidParameterValueException, ResourceNotFoundException, AccessDeniedException."""
        check_layer_version(number)
        await self._check_access(layer, number, caller)
        found = await self.find(layer, number)
        if found is None:
            raise no_such_resource()
        return found

    async def list_layers(
        self, account: AccountId, region: Region, wanted: LayerFilter, after: str | None, limit: int
    ) -> LayerPage:
        """The newest version that matches, of each layer that has one, by name. `after` is the last one's name."""
        prefix = f"{account}/{region}/"
        newest: list[LayerVersion] = []
        start = None if after is None else prefix + after
        while len(newest) <= limit and (layers := await self._store.scan(LAYERS, prefix, after=start, limit=limit + 1)):
            for stored in layers:
                layer = LayerId(account, region, stored.key.removeprefix(prefix))
                versions = await self._matching(layer, wanted)
                newest += versions[-1:]
            start = layers[-1].key
        return LayerPage(newest[:limit], newest[limit - 1].layer.name if len(newest) > limit else None)

    async def list_versions(self, layer: LayerId, wanted: LayerFilter, after: str | None, limit: int) -> LayerPage:
        """The versions that match, newest first. `after` is the number of the last one had."""
        versions = [
            version
            for version in reversed(await self._matching(layer, wanted))
            if after is None or version.version < int(after)
        ]
        return LayerPage(versions[:limit], str(versions[limit - 1].version) if len(versions) > limit else None)

    async def delete(self, layer: LayerId, number: int) -> None:
        """DeleteLayerVersion; one that does not exist is fine. Raises InvalidParameterValueException."""
        check_layer_version(number)
        policy = layer_policy_key(layer.account, layer.region, layer.name, number)
        await self._store.commit(
            [Delete(LAYER_VERSIONS, layer_version_key(layer, number)), Delete(RESOURCE_POLICIES, policy)]
        )
        logger.info("Layer version is deleted", extra={"layer_version_arn": layer.version_arn(number)})
        self._unused()

    async def attach(self, arns: Sequence[str], function: FunctionId, caller: Principal | None) -> AttachedLayers:
        """What a function gets that asks for these layer versions. `caller`: who configures it, where another
        account's layers may be meant.

        Raises InvalidParameterValueException, AccessDeniedException (another account's layer that does not let the
        caller in).
        """
        check_layer_list(arns, function, self._limits)
        layers: list[AttachedLayer] = []
        expected: list[Expect] = []
        for arn in arns:
            layer, number = parse_layer_arn(arn) or (None, None)
            if layer is None or number is None:  # one of AWS's own
                raise no_such_layer_version(arn)
            if layer.account != function.account:
                await self._check_access(layer, number, caller)
            key = layer_version_key(layer, number)
            stored = await self._store.get(LAYER_VERSIONS, key)
            if stored is None:
                raise no_such_layer_version(arn)
            version = LayerVersion.from_document(stored.value)
            layers.append(AttachedLayer(version.arn, version.digest, version.code_size, version.unzipped_size))
            expected.append(Expect(LAYER_VERSIONS, key, stored.revision))
        return AttachedLayers(tuple(layers), tuple(expected))

    async def _matching(self, layer: LayerId, wanted: LayerFilter) -> list[LayerVersion]:
        """By number."""
        prefix = layer_versions_prefix(layer)
        versions = [LayerVersion.from_document(one.value) async for one in each(self._store, LAYER_VERSIONS, prefix)]
        return [version for version in versions if matches(version, wanted)]

    async def _check_access(self, layer: LayerId, number: int, caller: Principal | None) -> None:
        """Another account's layer versions are for those whom their policies let in."""
        if caller is not None and caller.account == layer.account:
            return
        arn = layer.version_arn(number)
        if caller is not None:
            stored = await read_policy(self._store, layer_policy_key(layer.account, layer.region, layer.name, number))
            if stored.policy is not None and permits(stored.policy.statements, caller, GET_LAYER_VERSION, arn):
                return
        who = caller.arn if caller is not None else "anonymous"
        raise access_denied(
            f"User: {who} is not authorized to perform: {GET_LAYER_VERSION} on resource: {arn} "
            f"because no resource-based policy allows the {GET_LAYER_VERSION} action"
        )
