"""What is on disk: documents, messages, log lines, metrics, code."""

from __future__ import annotations

from dataclasses import dataclass

from lambent.app.stage import Stage
from lambent.model.limits import MIB
from lambent.observability.logs.store import LogStore
from lambent.observability.metrics.store import MetricStore
from lambent.packaging.code_store import CodeStore
from lambent.queues.api import Queues
from lambent.queues.sqlite import SqliteQueues
from lambent.services.logs.retention import keep_retention
from lambent.store.api import Store
from lambent.store.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class Storage:
    """Opened stores."""

    documents: Store
    queues: Queues
    logs: LogStore
    metrics: MetricStore
    code: CodeStore


async def open_storage(stage: Stage) -> Storage:
    """Open, and recover from a crash, everything below the data directory. Raises StoreError, MetricStoreError."""
    data, stack = stage.data, stage.stack
    documents = await SqliteStore.open(data.database)
    stack.push_async_callback(documents.close)
    queues = await SqliteQueues.open(data.queues, stage.clock)
    stack.push_async_callback(queues.close)
    logs = LogStore(data.logs, stage.clock)
    await logs.start()
    stack.push_async_callback(logs.close)
    stage.run_until_stopped(keep_retention(logs, documents, stage.clock), "keep log retention")
    metrics = MetricStore(data.metrics, stage.clock, custom_below_bytes=stage.config.metric_limit * MIB)
    await metrics.start()
    stack.push_async_callback(metrics.close)
    code = CodeStore(data.code, unzipped_max_bytes=stage.config.limits.unzipped_max_bytes)
    await code.start()
    stack.push_async_callback(code.close)
    return Storage(documents, queues, logs, metrics, code)
