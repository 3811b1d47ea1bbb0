"""AWS's quotas as named constants; no bare numbers elsewhere.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (sizes in bytes, times in seconds).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIB = 1024 * 1024

# Function configuration
MEMORY_MIN_MB = 128
MEMORY_MAX_MB = 10_240
MEMORY_DEFAULT_MB = 128
TIMEOUT_MAX_S = 900
TIMEOUT_DEFAULT_S = 3
EPHEMERAL_STORAGE_MIN_MB = 512
EPHEMERAL_STORAGE_MAX_MB = 10_240
ENVIRONMENT_VARIABLES_MAX_BYTES = 4 * 1024
LAYERS_MAX = 5
TAGS_MAX = 50
FUNCTION_NAME_MAX = 64
RESOURCE_POLICY_MAX_BYTES = 20 * 1024  # Function resource-based policy
LIST_ITEMS_MAX = 50  # "a maximum of 50 items in each response, even if you set the number higher"
MEMORY_MB_PER_VCPU = 1_769  # "at 1,769 MB, a function has the equivalent of one vCPU"

# Deployment packages
ZIPPED_DIRECT_MAX_BYTES = 50 * MIB
UNZIPPED_MAX_BYTES = 250 * MIB
CREATE_REQUEST_MAX_BYTES = 70_167_211  # the base64 of a 50 MB zip and its JSON
CODE_STORAGE_MAX_BYTES = 300 * 1024 * MIB

# Invocation
SYNC_REQUEST_MAX_BYTES = 6 * MIB
SYNC_RESPONSE_MAX_BYTES = 6 * MIB + 100
ASYNC_EVENT_MAX_BYTES = MIB
CLIENT_CONTEXT_MAX_BYTES = 3_583
LOG_TAIL_MAX_BYTES = 4 * 1024
REQUEST_LINE_AND_HEADERS_MAX_BYTES = MIB

# Concurrency
ACCOUNT_CONCURRENCY = 1_000
UNRESERVED_CONCURRENCY_MIN = 100
REQUESTS_PER_SECOND_PER_CONCURRENCY = 10
SCALING_BURST = 1_000  # "1,000 execution environment instances every 10 seconds", "refilled continuously"
SCALING_PER_SECOND = 100
TENANT_ENVIRONMENTS_PER_CONCURRENCY = 2.5  # "2,500 tenant-isolated environments for every 1,000 concurrent executions"

# Event source mappings: https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
SQS_BATCH_WITHOUT_WINDOW_MAX = 10
SQS_POLLERS_MIN = 2
SQS_POLLERS_MAX = 10_000
KAFKA_POLLERS_MAX = 2_000
EVENT_FILTERS_MAX = 5

# Execution environment
INIT_TIMEOUT_S = 10.0
PROVISIONED_INIT_TIMEOUT_MIN_S = 130.0  # with provisioned concurrency: this or the function's timeout, if longer
FILE_DESCRIPTORS_MAX = 1_024
PROCESSES_AND_THREADS_MAX = 1_024

# CloudWatch Logs: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
LOG_EVENT_MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The quotas that an operator may change (`--limits`, `[limits]` in the configuration file); AWS's otherwise."""

    memory_max_mb: int = MEMORY_MAX_MB
    timeout_max_s: int = TIMEOUT_MAX_S
    ephemeral_storage_max_mb: int = EPHEMERAL_STORAGE_MAX_MB
    environment_variables_max_bytes: int = ENVIRONMENT_VARIABLES_MAX_BYTES
    layers_max: int = LAYERS_MAX
    unzipped_max_bytes: int = UNZIPPED_MAX_BYTES  # code and layers together
    code_storage_max_bytes: int = CODE_STORAGE_MAX_BYTES  # of an account in a region, unzipped


AWS_LIMITS: Final = Limits()
