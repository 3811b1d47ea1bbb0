"""Every topic, in the order of the table: starts before the kernel has networks of many environments to remove."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from subject import Lambent, Subject
from table import Row
from topics import Options, asynchronous, cold, environments, floor, mappings, mixed, queues, start, thousand, warm


@dataclass(frozen=True)
class Topic:
    """`measure` is for Lambent; `beside`, if there is one, measures the same rows on a peer. Each topic has a server
    of its own, with further `arguments` of `lambent serve`."""

    measure: Callable[[Lambent, Options], Iterator[Row]]
    beside: Callable[[Subject, Options], Iterator[Row]] | None = None
    arguments: tuple[str, ...] = ()


TOPICS: Mapping[str, Topic] = {
    "start": Topic(start.measure, start.beside),
    "floor": Topic(floor.measure),
    "warm": Topic(warm.measure_ours, warm.measure),
    "mixed": Topic(mixed.measure),
    "cold": Topic(cold.measure, cold.beside),
    "environments": Topic(environments.measure, environments.beside),
    "thousand": Topic(thousand.measure),
    "asynchronous": Topic(asynchronous.measure),
    "mappings": Topic(mappings.measure),
    "queues": Topic(queues.measure_with_backlogs, queues.beside),
}
"""By the name on the command line."""
