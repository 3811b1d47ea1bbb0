"""Has a worker keep as many spares of each function version as `prediction` says, and no more."""

from __future__ import annotations

from collections.abc import Collection

from lambent.invoke.pool import VersionKey
from lambent.invoke.ports import Worker
from lambent.invoke.prediction import Prediction
from lambent.invoke.specs import template_spec
from lambent.model.clock import Clock
from lambent.model.function import FunctionVersion


class Spares:
    """`spares_max`: how many on this worker; 0 is none. Call `review` when `next_review_s` have passed."""

    def __init__(self, worker: Worker, clock: Clock, spares_max: int) -> None:
        self._worker = worker
        self._clock = clock
        self._prediction: Prediction[VersionKey] = Prediction(spares_max)
        self._versions: dict[VersionKey, FunctionVersion] = {}
        self._told: dict[VersionKey, int] = {}

    def cold_start(self, version: FunctionVersion, others: int) -> None:
        """An environment of it is started on demand; there are so many others."""
        self._prediction.cold_start(self._know(version), self._clock.monotonic(), others)
        self.review()

    def changed(self, version: FunctionVersion) -> None:
        """It has just been made or changed."""
        self._prediction.changed(self._know(version), self._clock.monotonic())
        self.review()

    def retire(self, keys: Collection[VersionKey]) -> None:
        """These are no more."""
        for key in keys:
            self._prediction.forget(key)
        self.review()

    def review(self) -> None:
        """Tell the worker what is to be different."""
        wanted = self._prediction.wanted(self._clock.monotonic())
        for key in self._told.keys() - wanted.keys():
            self._tell(key, 0)
        for key, number in wanted.items():
            self._tell(key, number)
        self._versions = {key: self._versions[key] for key in wanted}

    def next_review_s(self) -> float:
        """When there may be fewer to keep."""
        return self._prediction.next_change_s(self._clock.monotonic())

    def versions(self, function_key: str) -> list[FunctionVersion]:
        """The versions of a function (account/region/name) that have spares."""
        return [version for version in self._versions.values() if version.function.key == function_key]

    def _tell(self, key: VersionKey, number: int) -> None:
        if self._told.get(key, 0) != number:
            self._worker.keep_spares(template_spec(self._versions[key]), number)
            self._told[key] = number
        if not number:
            self._told.pop(key, None)

    def _know(self, version: FunctionVersion) -> VersionKey:
        key = (version.qualified_arn, version.environment_revision)
        self._versions[key] = version
        return key
