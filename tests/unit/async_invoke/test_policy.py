"""What follows an attempt, as a table."""

from __future__ import annotations

import pytest

from lambent.async_invoke import policy
from lambent.async_invoke.events import Attempts
from lambent.async_invoke.policy import Again, Condition, Ended, RetrySettings
from lambent.invoke.frontend import InvokeResponse
from lambent.model.errors import (
    InvalidRuntimeException,
    RecursiveInvocationException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
    ServiceException,
    TooManyRequestsException,
)

SUCCESS = InvokeResponse(b"null", None, "$LATEST", None)
FAILURE = InvokeResponse(b"{}", "Unhandled", "$LATEST", None)
THROTTLE = TooManyRequestsException("Rate Exceeded.", Reason="x")
DEFAULTS = RetrySettings()
ONE_MINUTE = RetrySettings(maximum_event_age_s=60)
NONE = Attempts()


@pytest.mark.parametrize(
    ("outcome", "before", "age_s", "settings", "following"),
    [
        (SUCCESS, NONE, 0, DEFAULTS, Ended(Condition.SUCCESS, Attempts(1))),
        (SUCCESS, Attempts(2, 5, 0), 30_000, DEFAULTS, Ended(Condition.SUCCESS, Attempts(3, 5))),
        (FAILURE, NONE, 1, DEFAULTS, Again(60, Attempts(1))),
        (FAILURE, Attempts(1), 62, DEFAULTS, Again(120, Attempts(2))),
        (FAILURE, Attempts(2), 183, DEFAULTS, Ended(Condition.RETRIES_EXHAUSTED, Attempts(3))),
        (FAILURE, NONE, 1, RetrySettings(0), Ended(Condition.RETRIES_EXHAUSTED, Attempts(1))),
        (FAILURE, NONE, 1, RetrySettings(1), Again(60, Attempts(1))),
        (FAILURE, Attempts(1), 62, RetrySettings(1), Ended(Condition.RETRIES_EXHAUSTED, Attempts(2))),
        (FAILURE, NONE, 0, ONE_MINUTE, Again(60, Attempts(1))),
        (FAILURE, NONE, 0.1, ONE_MINUTE, Ended(Condition.EVENT_AGE_EXCEEDED, Attempts(1))),
        (FAILURE, Attempts(0, 3, 3), 4, DEFAULTS, Again(60, Attempts(1, 3, 0))),
        (THROTTLE, NONE, 0, DEFAULTS, Again(1, Attempts(0, 1, 1))),
        (THROTTLE, Attempts(0, 1, 1), 1, DEFAULTS, Again(2, Attempts(0, 2, 2))),
        (THROTTLE, Attempts(1, 8, 8), 500, DEFAULTS, Again(256, Attempts(1, 9, 9))),
        (THROTTLE, Attempts(0, 9, 9), 800, DEFAULTS, Again(300, Attempts(0, 10, 10))),
        (THROTTLE, Attempts(0, 500, 500), 800, DEFAULTS, Again(300, Attempts(0, 501, 501))),
        (THROTTLE, Attempts(0, 9, 9), 21_500, DEFAULTS, Again(100, Attempts(0, 10, 10))),
        (THROTTLE, Attempts(0, 9, 9), 21_600, DEFAULTS, Ended(Condition.EVENT_AGE_EXCEEDED, Attempts(0, 10, 10))),
        (ServiceException("x"), NONE, 0, DEFAULTS, Again(1, Attempts(0, 1, 1))),
        (InvalidRuntimeException("x"), NONE, 0, DEFAULTS, Again(1, Attempts(0, 1, 1))),
        (ResourceConflictException("x"), NONE, 0, DEFAULTS, Again(1, Attempts(0, 1, 1))),
        (ResourceNotFoundException("x"), NONE, 0, DEFAULTS, Ended(Condition.RETRIES_EXHAUSTED, Attempts(0, 1, 1))),
        (RecursiveInvocationException("x"), NONE, 0, DEFAULTS, Ended(Condition.RETRIES_EXHAUSTED, Attempts(0, 1, 1))),
    ],
)
def test_after(
    outcome: InvokeResponse | ServiceError,
    before: Attempts,
    age_s: float,
    settings: RetrySettings,
    following: Again | Ended,
) -> None:
    assert policy.after(outcome, before, age_s, settings) == following


@pytest.mark.parametrize(
    ("age_s", "switched_off", "condition"),
    [
        (0, False, None),
        (21_600, False, None),
        (21_600.5, False, Condition.EVENT_AGE_EXCEEDED),
        (0, True, Condition.ZERO_RESERVED_CONCURRENCY),
        (99_999, True, Condition.ZERO_RESERVED_CONCURRENCY),
    ],
)
def test_before(age_s: float, switched_off: bool, condition: Condition | None) -> None:
    ended = policy.before(Attempts(1), age_s, DEFAULTS, switched_off=switched_off)
    assert ended == (None if condition is None else Ended(condition, Attempts(1)))


def test_the_counts_are_kept() -> None:
    attempts = Attempts().with_refusal().with_refusal().with_run().with_refusal()
    assert attempts == Attempts(1, 3, 1)
    assert attempts.count == 4
    assert Attempts.from_attributes(attempts.to_attributes()) == attempts
    assert Attempts.from_attributes(b"") == Attempts()
