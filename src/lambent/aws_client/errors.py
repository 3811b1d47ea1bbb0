"""Why a call of an AWS API failed, as the caller needs to know it: who is at fault, and whether to try again."""

from __future__ import annotations


class AwsCallError(Exception):
    """A call that did not succeed. `retryable`: the same call may succeed later."""

    retryable = False


class AwsError(AwsCallError):
    """The service refused. `code` as its protocol has it now (`QueueDoesNotExist`), `query_code` as it was in the
    query protocol (`AWS.SimpleQueueService.NonExistentQueue`), where the service still tells."""

    def __init__(self, code: str, message: str, status: int, query_code: str | None = None) -> None:
        super().__init__(f"{code} ({status}): {message}")
        self.code = code
        self.message = message
        self.status = status
        self.query_code = query_code or code

    @property
    def is_throttle(self) -> bool:
        """Whether less should be asked for."""
        return self.status == 429 or self.code in _THROTTLES

    @property
    def retryable(self) -> bool:  # type: ignore[override]
        return self.is_throttle or self.status >= 500


class AwsUnreachableError(AwsCallError):
    """No answer, or none that is HTTP. What was asked for may have been done all the same."""

    retryable = True


_THROTTLES = frozenset(
    {
        "OverLimit", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled", "SlowDown",
        "Throttled", "ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException",
    }
)  # fmt: skip
