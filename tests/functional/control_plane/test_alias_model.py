"""Random sequences of operations against a small model of AWS's rules for aliases and resource-based policies."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lambent.control_plane.alias_configuration import CreateAliasRequest, UpdateAliasRequest
from lambent.control_plane.functions import FunctionsControlPlane, Settings
from lambent.control_plane.policies import Permission
from lambent.control_plane.requests import (
    ConfigurationSettings,
    CreateRequest,
    PublishRequest,
    UpdateConfigurationRequest,
)
from lambent.invoke.directory import FunctionDirectory
from lambent.model.alias import AliasConfiguration
from lambent.model.arn import LATEST, FunctionId, FunctionReference
from lambent.model.errors import (
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.model.ids import AccountId, Region
from lambent.packaging.code_store import CodeStore
from lambent.store.memory import MemoryStore
from lambent.testing.clock import ManualClock

FUNCTION = FunctionId(AccountId("000000000000"), Region("us-east-1"), "greet")
NAMES = st.sampled_from(["a", "b"])
NUMBERS = st.integers(1, 4).map(str)
TARGETS = st.just(LATEST) | NUMBERS
WEIGHTS = st.dictionaries(NUMBERS, st.sampled_from([0.0, 0.5, 1.0]), max_size=2)
QUALIFIERS = st.none() | NUMBERS | NAMES
SIDS = st.sampled_from(["s", "t"])
Route = tuple[str, dict[str, float]]  # version, weights


@dataclass
class Model:
    """A function as AWS's rules have it: its versions, where its aliases lead, its policies' statement ids."""

    versions: set[str] = field(default_factory=lambda: {LATEST})
    given: int = 0
    aliases: dict[str, Route] = field(default_factory=dict)
    policies: dict[str, list[str]] = field(default_factory=dict)

    def error(self, route: Route) -> type[ServiceError] | None:
        """Why no alias may lead there."""
        version, weights = route
        if version not in self.versions:
            return ResourceNotFoundException
        if len(weights) > 1 or version in weights or (weights and version == LATEST):
            return InvalidParameterValueException
        return None if weights.keys() <= self.versions else ResourceNotFoundException

    def has(self, qualifier: str | None) -> bool:
        return qualifier is None or qualifier in self.versions or qualifier in self.aliases


class Life(RuleBasedStateMachine):
    """The control plane over a memory store, with the data plane's directory watching."""

    make_request: Callable[..., CreateRequest]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = tempfile.TemporaryDirectory()
        self.store = MemoryStore()
        self.code = CodeStore(Path(self.root.name))
        self.run(self.code.start())
        self.plane = FunctionsControlPlane(self.store, self.code, ManualClock(), settings=Settings(settle_delay_s=0.0))
        self.run(self.plane.start())
        self.draw = 0.0
        self.directory = FunctionDirectory(self.store, lambda: self.draw)
        self.create()

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.directory.close()
        self.run(self.plane.close())
        self.run(self.code.close())
        self.loop.close()
        self.root.cleanup()

    def create(self) -> None:
        self.run(self.plane.create(type(self).make_request()))
        self.model = Model()

    def expect(self, error: type[ServiceError] | None, work: Any) -> Any:
        if error is None:
            return self.run(work)
        with pytest.raises(error):
            self.run(work)
        return None

    @rule()
    def publish(self) -> None:
        self.model.given += 1
        described = ConfigurationSettings(description=str(self.model.given))
        self.run(self.plane.update_configuration(UpdateConfigurationRequest(FUNCTION, described)))
        number = self.run(self.plane.publish(PublishRequest(FUNCTION))).version
        assert number == str(self.model.given)
        self.model.versions.add(number)

    @rule(name=NAMES, version=TARGETS, weights=WEIGHTS)
    def create_alias(self, name: str, version: str, weights: dict[str, float]) -> None:
        route = (version, weights)
        error = ResourceConflictException if name in self.model.aliases else self.model.error(route)
        self.expect(error, self.plane.aliases.create(CreateAliasRequest(FUNCTION, name, version, weights=weights)))
        if error is None:
            self.model.aliases[name] = route

    @rule(name=NAMES, version=st.none() | TARGETS, weights=st.none() | WEIGHTS)
    def update_alias(self, name: str, version: str | None, weights: dict[str, float] | None) -> None:
        work = self.plane.aliases.update(UpdateAliasRequest(FUNCTION, name, version, weights=weights))
        if name not in self.model.aliases:
            self.expect(ResourceNotFoundException, work)
            return
        before = self.run(self.plane.aliases.get(FUNCTION, name))
        old_version, old_weights = self.model.aliases[name]
        route = (version or old_version, old_weights if weights is None else weights)
        error = self.model.error(route)
        after: AliasConfiguration | None = self.expect(error, work)
        if after is not None:
            self.model.aliases[name] = route
            assert after.revision_id != before.revision_id
            stale = UpdateAliasRequest(FUNCTION, name, revision_id=before.revision_id)
            self.expect(PreconditionFailedException, self.plane.aliases.update(stale))

    @rule(name=NAMES)
    def delete_alias(self, name: str) -> None:
        self.run(self.plane.aliases.delete(FUNCTION, name))
        self.model.aliases.pop(name, None)
        self.model.policies.pop(name, None)

    @rule(number=NUMBERS)
    def delete_version(self, number: str) -> None:
        routes = self.model.aliases.values()
        held = any(number == version or number in weights for version, weights in routes)
        self.expect(ResourceConflictException if held else None, self.plane.delete_version(FUNCTION, number))
        if not held:
            self.model.versions.discard(number)
            self.model.policies.pop(number, None)

    @rule(qualifier=QUALIFIERS, sid=SIDS)
    def add_permission(self, qualifier: str | None, sid: str) -> None:
        place = FunctionReference(FUNCTION, qualifier)
        permission = Permission(place.arn, sid, "lambda:InvokeFunction", "s3.amazonaws.com")
        sids = self.model.policies.get(qualifier or LATEST, [])
        error: type[ServiceError] | None = ResourceConflictException if sid in sids else None
        if not self.model.has(qualifier):
            error = ResourceNotFoundException
        self.expect(error, self.plane.permissions.add(place, permission))
        if error is None:
            self.model.policies[qualifier or LATEST] = [*sids, sid]

    @rule(qualifier=QUALIFIERS, sid=SIDS)
    def remove_permission(self, qualifier: str | None, sid: str) -> None:
        sids = self.model.policies.get(qualifier or LATEST, [])
        error = None if sid in sids else ResourceNotFoundException
        self.expect(error, self.plane.permissions.remove(FunctionReference(FUNCTION, qualifier), sid))
        if error is None:
            self.model.policies[qualifier or LATEST] = [one for one in sids if one != sid]

    @rule()
    def delete_and_create(self) -> None:
        self.run(self.plane.delete(FUNCTION))
        self.create()

    @invariant()
    def aliases_are_the_models(self) -> None:
        page = self.run(self.plane.aliases.list_aliases(FUNCTION, None, None, 50))
        found = {alias.name: (alias.function_version, dict(alias.additional_version_weights)) for alias in page.aliases}
        assert found == self.model.aliases

    @invariant()
    def policies_are_the_models(self) -> None:
        for qualifier in (None, "a", "b", "1", "2", "3", "4"):
            sids = self.model.policies.get(qualifier or LATEST)
            work = self.plane.permissions.get(FunctionReference(FUNCTION, qualifier))
            found = self.expect(None if sids else ResourceNotFoundException, work)
            if found is not None:
                assert [statement["Sid"] for statement in found.policy.statements] == sids

    @invariant()
    def invocations_go_where_the_model_says(self) -> None:
        for name in ("a", "b"):
            for self.draw in (0.0, 0.75):
                reference = FunctionReference(FUNCTION, name)
                found = self.directory.cached(reference) or self.run(self.directory.read(FUNCTION, name))
                if name not in self.model.aliases:
                    assert found is None
                    continue
                version, weights = self.model.aliases[name]
                expected = next((other for other, weight in weights.items() if self.draw < weight), version)
                assert found is not None
                assert found.version == expected


def test_random_lives(create_request: Callable[..., CreateRequest]) -> None:
    class Ours(Life):
        make_request = staticmethod(create_request)

    run_state_machine_as_test(
        Ours,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
