"""What follows an attempt: another one, when; or the end, in AWS's words. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html: function errors are tried again after
one minute and then two, up to MaximumRetryAttempts; throttles and failures of the platform with growing pauses from one
second to five minutes, until MaximumEventAgeInSeconds. Other refusals (the function is gone, or part of a loop) would
be the same again: they end the event at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lambent.async_invoke.events import Attempts
from lambent.invoke.frontend import InvokeResponse
from lambent.model.errors import ServiceError

RETRY_AFTER_S: Final = (60.0, 120.0)  # after the first function error, after the second
REFUSED_PAUSE_MIN_S: Final = 1.0
REFUSED_PAUSE_MAX_S: Final = 300.0
MAXIMUM_RETRY_ATTEMPTS: Final = 2
MAXIMUM_EVENT_AGE_S: Final = 6 * 3600


class Condition(StrEnum):
    """How an event ended: `requestContext.condition` of its record."""

    SUCCESS = "Success"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    EVENT_AGE_EXCEEDED = "EventAgeExceeded"
    ZERO_RESERVED_CONCURRENCY = "ZeroReservedConcurrency"


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """Those of a FunctionEventInvokeConfig."""

    maximum_retry_attempts: int = MAXIMUM_RETRY_ATTEMPTS
    maximum_event_age_s: int = MAXIMUM_EVENT_AGE_S


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after a while."""

    delay_s: float
    attempts: Attempts


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more is tried. `attempts` are all there were."""

    condition: Condition
    attempts: Attempts


Outcome = InvokeResponse | ServiceError
"""What the frontend answered, or why it did not."""

Next = Again | Ended


def before(attempts: Attempts, age_s: float, settings: RetrySettings, *, switched_off: bool) -> Ended | None:
    """Whether an event is over before it is tried (again). `switched_off`: reserved concurrency is zero."""
    if switched_off:
        return Ended(Condition.ZERO_RESERVED_CONCURRENCY, attempts)
    if age_s > settings.maximum_event_age_s:
        return Ended(Condition.EVENT_AGE_EXCEEDED, attempts)
    return None


def after(outcome: Outcome, attempts: Attempts, age_s: float, settings: RetrySettings) -> Next:
    """What follows an attempt that began with `attempts` before it and ended when the event was `age_s` old."""
    if isinstance(outcome, ServiceError):
        return _after_refusal(outcome, attempts.with_refusal(), age_s, settings)
    attempts = attempts.with_run()
    if outcome.function_error is None:
        return Ended(Condition.SUCCESS, attempts)
    if attempts.runs > settings.maximum_retry_attempts:
        return Ended(Condition.RETRIES_EXHAUSTED, attempts)
    delay_s = RETRY_AFTER_S[min(attempts.runs, len(RETRY_AFTER_S)) - 1]
    if age_s + delay_s > settings.maximum_event_age_s:
        return Ended(Condition.EVENT_AGE_EXCEEDED, attempts)
    return Again(delay_s, attempts)


def is_passing(error: ServiceError) -> bool:
    """May the same be answered otherwise later? Throttles, states of the function that pass, failures of ours."""
    return error.status in (409, 429) or error.status >= 500


def refused_pause_s(in_a_row: int) -> float:
    """How long to wait after that many refusals in a row."""
    return min(REFUSED_PAUSE_MAX_S, REFUSED_PAUSE_MIN_S * 2.0 ** min(in_a_row - 1, 16))


def _after_refusal(error: ServiceError, attempts: Attempts, age_s: float, settings: RetrySettings) -> Next:
    if not is_passing(error):
        return Ended(Condition.RETRIES_EXHAUSTED, attempts)
    left_s = settings.maximum_event_age_s - age_s
    if left_s <= 0:
        return Ended(Condition.EVENT_AGE_EXCEEDED, attempts)
    return Again(min(refused_pause_s(attempts.refusals_in_a_row), left_s), attempts)
