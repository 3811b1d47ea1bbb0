"""What usage would cost on AWS: exact, in decimal, from the published prices in `prices.json`. Pure but for the file.

https://aws.amazon.com/lambda/pricing/: requests; memory times billed duration, in three tiers of a month by
architecture; storage in /tmp beyond 512 MB; and each month's free requests and GB-seconds, of all architectures
together. The free tier and the tiers are used up in the order of days, and within a day by every function in
proportion to its usage.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.resources import files
from itertools import groupby
from typing import Any, Final

import orjson

from lambent.observability.metrics.database import DAY_S, Usage, UsageKey

_MB_MS_PER_GB_S: Final = 1024 * 1000
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Prices:
    """`gb_second`: architecture → (upper bound of the tier in GB-seconds of a month, or None; price)."""

    currency: str
    source: str
    request: Decimal
    gb_second: Mapping[str, tuple[tuple[Decimal | None, Decimal], ...]]
    storage_gb_second: Decimal
    free_requests: Decimal
    free_gb_s: Decimal

    @staticmethod
    def published() -> Prices:
        """Those of the file beside this module."""
        return Prices.of(orjson.loads(files(__package__ or "").joinpath("prices.json").read_bytes()))

    @staticmethod
    def of(document: Mapping[str, Any]) -> Prices:
        """Read a document in the form of that file."""
        tiers = {
            architecture: tuple(
                (None if tier["up_to_gb_s"] is None else Decimal(tier["up_to_gb_s"]), Decimal(tier["price"]))
                for tier in listed
            )
            for architecture, listed in document["gb_second"].items()
        }
        free = document["free_tier"]
        return Prices(
            currency=document["currency"],
            source=document["source"],
            request=Decimal(document["request"]),
            gb_second=tiers,
            storage_gb_second=Decimal(document["ephemeral_storage_gb_second"]),
            free_requests=Decimal(free["requests"]),
            free_gb_s=Decimal(free["gb_s"]),
        )


@dataclass(frozen=True, slots=True)
class Charge:
    """What one function used on one day, and what of it is to be paid after the free tier.

    `list_cost` is what it would cost without a free tier.
    """

    day: dt.date
    region: str
    function: str
    architecture: str
    requests: int
    gb_s: Decimal
    storage_gb_s: Decimal
    requests_cost: Decimal
    duration_cost: Decimal
    storage_cost: Decimal
    list_cost: Decimal

    @property
    def cost(self) -> Decimal:
        """All of it."""
        return self.requests_cost + self.duration_cost + self.storage_cost


@dataclass(slots=True)
class _Month:
    """What was used in a month until now: requests, and GB-seconds by architecture, free ones left out."""

    free_requests: Decimal
    free_gb_s: Decimal
    paid_gb_s: dict[str, Decimal] = field(default_factory=lambda: defaultdict(lambda: _NOTHING))


def charges(usage: Sequence[tuple[UsageKey, Usage]], prices: Prices) -> list[Charge]:
    """Price an account's usage, which is in the order of days and begins with the first day of a month."""
    priced: list[Charge] = []
    month: _Month | None = None
    of_month: tuple[int, int] | None = None
    for number, rows in groupby(usage, key=lambda row: row[0][2]):
        day = dt.datetime.fromtimestamp(number * DAY_S, dt.UTC).date()
        if month is None or of_month != (day.year, day.month):
            month, of_month = _Month(prices.free_requests, prices.free_gb_s), (day.year, day.month)
        priced += _day(day, list(rows), month, prices)
    return priced


def _day(day: dt.date, rows: list[tuple[UsageKey, Usage]], month: _Month, prices: Prices) -> list[Charge]:
    requests = Decimal(sum(used.requests for _, used in rows))
    gb_s = sum((_gb_s(used.mb_ms) for _, used in rows), _NOTHING)
    free_requests, free_gb_s = min(requests, month.free_requests), min(gb_s, month.free_gb_s)
    month.free_requests -= free_requests
    month.free_gb_s -= free_gb_s
    paid_share = _NOTHING if not gb_s else 1 - free_gb_s / gb_s
    request_share = _NOTHING if not requests else 1 - free_requests / requests
    rates = {}
    for architecture in {key[4] for key, _ in rows}:
        used_gb_s = sum((_gb_s(used.mb_ms) for key, used in rows if key[4] == architecture), _NOTHING) * paid_share
        before = month.paid_gb_s[architecture]
        rates[architecture] = _average_price(prices, architecture, before, used_gb_s)
        month.paid_gb_s[architecture] = before + used_gb_s
    found = []
    for (_, region, _, function, architecture), used in rows:
        own_gb_s, own_storage = _gb_s(used.mb_ms), _gb_s(used.storage_mb_ms)
        storage_cost = own_storage * prices.storage_gb_second
        full = used.requests * prices.request + own_gb_s * _tiers(prices, architecture)[0][1] + storage_cost
        found.append(
            Charge(
                day=day,
                region=region,
                function=function,
                architecture=architecture,
                requests=used.requests,
                gb_s=own_gb_s,
                storage_gb_s=own_storage,
                requests_cost=used.requests * request_share * prices.request,
                duration_cost=own_gb_s * paid_share * rates[architecture],
                storage_cost=storage_cost,
                list_cost=full,
            )
        )
    return found


def _gb_s(mb_ms: int) -> Decimal:
    return Decimal(mb_ms) / _MB_MS_PER_GB_S


def _tiers(prices: Prices, architecture: str) -> tuple[tuple[Decimal | None, Decimal], ...]:
    return prices.gb_second[architecture]


def _average_price(prices: Prices, architecture: str, before: Decimal, gb_s: Decimal) -> Decimal:
    """Of a GB-second among `gb_s` that come after `before` in a month."""
    tiers = _tiers(prices, architecture)
    if not gb_s:
        return tiers[0][1]
    cost, position, left = _NOTHING, before, gb_s
    for bound, price in tiers:
        here = left if bound is None else max(_NOTHING, min(left, bound - position))
        cost += here * price
        position += here
        left -= here
    return cost / gb_s
