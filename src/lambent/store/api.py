"""The store port: documents by key, committed atomically, with optimistic revisions.

The contract (one test suite runs it over every implementation):

- A *document* is a JSON object under (table, key). Tables are declared in `TABLES`; keys are text, ordered by code
  point; account and region are the first parts of every key.
- `commit` applies all of its changes or none, and returns only when they survive a crash of the host (`fsync`;
  concurrent commits are grouped). If any `Expect` or revision does not hold it raises `ConflictError`, nothing done.
- Revisions are integers ≥ 1 given by the store, growing with every change of the document; 0 stands for "absent".
- A reader sees every commit that returned before it asked (read your writes), and never half of one.
- Documents returned are the caller's own copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

Document = Mapping[str, Any]

FUNCTIONS: Final = "functions"  # account/region/name → the function: its $LATEST, tags, version counter
VERSIONS: Final = "versions"  # account/region/name/%010d → a published version
ROLES: Final = "roles"  # account/name
POLICIES: Final = "policies"  # account/name → a customer managed policy
USERS: Final = "users"  # account/name
GROUPS: Final = "groups"  # account/name
SETTINGS: Final = "settings"  # what this installation made for itself (signing secret, …)
LOG_GROUPS: Final = "log_groups"  # account/region/name
ACCESS_KEYS: Final = "access_keys"  # access key id
OPEN_ID_PROVIDERS: Final = "open_id_providers"  # account/URL without its scheme
ALIASES: Final = "aliases"  # account/region/function/alias
RESOURCE_POLICIES: Final = "resource_policies"  # account/region/function|layer/name/qualifier ($LATEST: the function)
FUNCTION_CONCURRENCY: Final = "function_concurrency"  # account/region → reserved concurrency of its functions
PROVISIONED_CONCURRENCY: Final = "provisioned_concurrency"  # account/region/name/qualifier
EVENT_INVOKE_CONFIGS: Final = "event_invoke_configs"  # account/region/name/qualifier
FUNCTION_URLS: Final = "function_urls"  # account/region/name/qualifier
RUNTIME_MANAGEMENT: Final = "runtime_management"  # account/region/name/version
RECURSION_CONFIGS: Final = "recursion_configs"  # account/region/name/$LATEST
CODE_SIGNING_CONFIGS: Final = "code_signing_configs"  # account/region/id
FUNCTION_CODE_SIGNING: Final = "function_code_signing"  # account/region/name/$LATEST → the configuration's ARN
EVENT_SOURCE_MAPPINGS: Final = "event_source_mappings"  # account/region/uuid
LAYERS: Final = "layers"  # account/region/name → the number its next version gets; outlives its versions
LAYER_VERSIONS: Final = "layer_versions"  # account/region/name/%010d
SQS_QUEUES: Final = "sqs_queues"  # account/region/name → attributes and tags; messages are in the queue engine
SQS_MOVE_TASKS: Final = "sqs_move_tasks"  # account/region/name/%015d of its start in ms → a message move task

TABLES: Final = (
    FUNCTIONS,
    VERSIONS,
    ROLES,
    POLICIES,
    USERS,
    GROUPS,
    SETTINGS,
    LOG_GROUPS,
    ACCESS_KEYS,
    OPEN_ID_PROVIDERS,
    ALIASES,
    RESOURCE_POLICIES,
    FUNCTION_CONCURRENCY,
    PROVISIONED_CONCURRENCY,
    EVENT_INVOKE_CONFIGS,
    FUNCTION_URLS,
    RUNTIME_MANAGEMENT,
    RECURSION_CONFIGS,
    CODE_SIGNING_CONFIGS,
    FUNCTION_CODE_SIGNING,
    EVENT_SOURCE_MAPPINGS,
    LAYERS,
    LAYER_VERSIONS,
    SQS_QUEUES,
    SQS_MOVE_TASKS,
)


class ConflictError(Exception):
    """A document was not at the revision a commit expected."""


@dataclass(frozen=True, slots=True)
class Record:
    """A document as read."""

    key: str
    revision: int
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Put:
    """Write a document; with `expect`, only if it is at that revision (0: absent)."""

    table: str
    key: str
    value: Document
    expect: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a document (absent is fine unless `expect` says otherwise)."""

    table: str
    key: str
    expect: int | None = None


@dataclass(frozen=True, slots=True)
class Expect:
    """Change nothing; fail the commit unless the document is at this revision (0: absent)."""

    table: str
    key: str
    revision: int


Change = Put | Delete | Expect


class Store(Protocol):
    """See the module's docstring for the contract."""

    async def get(self, table: str, key: str) -> Record | None:
        """The document, or None."""
        ...

    async def scan(
        self, table: str, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[Record]:
        """Documents whose key starts with `prefix` (and is greater than `after`), in key order."""
        ...

    async def commit(self, changes: Sequence[Change]) -> None:
        """Apply all changes atomically and durably. Raises ConflictError; StoreFullError when the disk is full."""
        ...

    def watch(self, table: str, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call back, on the event loop, with the key of every document changed in `table`, before `commit` returns
        to its caller. Returns what ends the watch."""
        ...

    async def close(self) -> None:
        """Finish what is committed and let go of everything. Idempotent."""
        ...


class StoreFullError(Exception):
    """The disk is full; nothing of the commit was kept."""
