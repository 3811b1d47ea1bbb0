"""Random sequences of operations against a small model of AWS's rules for versions, revisions and code."""

from __future__ import annotations

import asyncio
import io
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lambent.control_plane.functions import FunctionsControlPlane, Settings
from lambent.control_plane.requests import (
    ConfigurationSettings,
    CreateRequest,
    PublishRequest,
    UpdateCodeRequest,
    UpdateConfigurationRequest,
)
from lambent.control_plane.states import is_settled
from lambent.model.arn import LATEST, FunctionId
from lambent.model.errors import (
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.model.function import FunctionVersion
from lambent.model.ids import AccountId, Region
from lambent.packaging.code_store import CodeStore
from lambent.store.memory import MemoryStore
from lambent.testing.clock import ManualClock

FUNCTION = FunctionId(AccountId("000000000000"), Region("us-east-1"), "greet")
TEXTS = st.sampled_from(["one", "two", "three"])
DESCRIPTIONS = st.sampled_from(["", "a", "b"])
NUMBERS = st.integers(1, 6).map(str)
Content = tuple[str, str]  # code, description


@dataclass
class Model:
    """A function as AWS's rules have it."""

    latest: Content
    next_version: int = 1
    versions: dict[str, Content] = field(default_factory=dict)
    published: Content | None = None  # what `$LATEST` was when last published

    def publish(self, description: str | None) -> str:
        last = str(self.next_version - 1)
        if self.published == self.latest and last in self.versions:
            return last
        number = str(self.next_version)
        code, own = self.latest
        self.versions[number] = (code, own if description is None else description)
        self.published = self.latest
        self.next_version += 1
        return number


def zip_of(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py", (2026, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


class Life(RuleBasedStateMachine):
    """The control plane over a memory store, driven one operation at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = tempfile.TemporaryDirectory()
        self.store = MemoryStore()
        self.code = CodeStore(Path(self.root.name))
        self.model: Model | None = None
        self.run(self.code.start())
        self.plane = self.new_plane()

    def new_plane(self) -> FunctionsControlPlane:
        plane = FunctionsControlPlane(self.store, self.code, ManualClock(), settings=Settings(settle_delay_s=0.0))
        self.run(plane.start())
        return plane

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.plane.close())
        self.run(self.code.close())
        self.loop.close()
        self.root.cleanup()

    async def settled(self) -> FunctionVersion:
        while True:
            found = await self.plane.queries.function(FUNCTION)
            if is_settled(found.record.latest):
                return found.record.latest
            await asyncio.sleep(0)

    def refused(self, error: type[Exception], work: Any) -> None:
        with pytest.raises(error):
            self.run(work)

    @rule(text=TEXTS, description=DESCRIPTIONS, publish=st.booleans())
    def create(self, text: str, description: str, publish: bool) -> None:
        given = ConfigurationSettings(
            role="arn:aws:iam::000000000000:role/r",
            runtime="python3.12",
            handler="h.h",
            description=description,
        )
        request = CreateRequest(FUNCTION, given, zip_of(text), publish=publish)
        if self.model is not None:
            self.refused(ResourceConflictException, self.plane.create(request))
            return
        answer = self.run(self.plane.create(request))
        self.model = Model((text, description))
        assert answer.version == (self.model.publish(None) if publish else LATEST)

    @rule(text=TEXTS, publish=st.booleans())
    def update_code(self, text: str, publish: bool) -> None:
        work = self.plane.update_code(UpdateCodeRequest(FUNCTION, zip_of(text), publish=publish))
        if self.model is None:
            self.refused(ResourceNotFoundException, work)
            return
        answer = self.run(work)
        self.model.latest = (text, self.model.latest[1])
        assert answer.version == (self.model.publish(None) if publish else LATEST)

    @rule(description=DESCRIPTIONS)
    def update_configuration(self, description: str) -> None:
        given = ConfigurationSettings(description=description)
        work = self.plane.update_configuration(UpdateConfigurationRequest(FUNCTION, given))
        if self.model is None:
            self.refused(ResourceNotFoundException, work)
            return
        self.run(work)
        self.model.latest = (self.model.latest[0], description)

    @rule(description=st.none() | DESCRIPTIONS)
    def publish(self, description: str | None) -> None:
        work = self.plane.publish(PublishRequest(FUNCTION, description))
        if self.model is None:
            self.refused(ResourceNotFoundException, work)
            return
        assert self.run(work).version == self.model.publish(description)

    @rule(number=NUMBERS)
    def delete_version(self, number: str) -> None:
        work = self.plane.delete_version(FUNCTION, number)
        if self.model is None:
            self.refused(ResourceNotFoundException, work)
            return
        self.run(work)
        self.model.versions.pop(number, None)

    @rule()
    def delete(self) -> None:
        work = self.plane.delete(FUNCTION)
        if self.model is None:
            self.refused(ResourceNotFoundException, work)
            return
        self.run(work)
        self.model = None

    @precondition(lambda self: self.model is not None)
    @rule()
    def every_change_has_its_own_revision(self) -> None:
        before = self.run(self.settled()).revision_id
        given = UpdateConfigurationRequest(FUNCTION, ConfigurationSettings(), before)
        during = self.run(self.plane.update_configuration(given)).revision_id
        after = self.run(self.settled()).revision_id
        assert len({before, during, after}) == 3
        self.refused(PreconditionFailedException, self.plane.update_configuration(given))

    @rule()
    def restart(self) -> None:
        self.run(self.plane.close())
        self.plane = self.new_plane()

    @invariant()
    def what_is_stored_is_what_the_model_says(self) -> None:
        if self.model is None:
            assert self.run(self.plane.queries.find(FUNCTION)) is None
            return
        page = self.run(self.plane.queries.list_versions(FUNCTION, None, 50))
        found = {version.version: self.content(version) for version in page.versions}
        assert found == {LATEST: self.model.latest, **self.model.versions}
        assert page.versions[0].version == LATEST

    def content(self, version: FunctionVersion) -> Content:
        return ((self.code.tree(version.code_digest) / "index.py").read_text(), version.description)


def test_random_lives() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=25,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
