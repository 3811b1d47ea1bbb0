"""`GET /_lambent/cost?from=YYYY-MM-DD&to=YYYY-MM-DD`: what an account's functions used each day, and what AWS asks for
that. Both days are included; without them, the month until today.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from lambent.http.messages import Request, Response
from lambent.iam.authentication import Caller
from lambent.model.clock import Clock
from lambent.model.errors import ServiceError
from lambent.observability.metrics.pricing import Charge, Prices, charges
from lambent.observability.metrics.store import MetricStore, MetricStoreError

COST_PATH: Final = "/_lambent/cost"
_DAYS_MAX: Final = 3660
_EPOCH: Final = dt.date(1970, 1, 1)


class CostReport:
    """Amounts are decimal numbers as text, in US dollars: nothing is rounded."""

    def __init__(self, store: MetricStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._prices = Prices.published()

    async def make(self, request: Request, caller: Caller) -> Response:
        """See `endpoint.Make`."""
        today = dt.datetime.fromtimestamp(self._clock.now(), dt.UTC).date()
        fields = {name: values[0] for name, values in parse_qs(request.query).items()}
        last = _day(fields, "to", today)
        first = _day(fields, "from", last.replace(day=1))
        if first > last or (last - first).days > _DAYS_MAX:
            raise ServiceError("ValidationException", f"from must be at most {_DAYS_MAX} days before to.")
        month = first.replace(day=1)  # the free tier is used up from there
        try:
            usage = await self._store.usage(caller.account, fields.get("region"), _number(month), _number(last))
        except MetricStoreError as error:
            raise ServiceError("InternalFailure", f"The metric store does not answer: {error}", status=500) from error
        found = [charge for charge in charges(usage, self._prices) if charge.day >= first]
        document = {
            "account": caller.account,
            "from": first.isoformat(),
            "to": last.isoformat(),
            "currency": self._prices.currency,
            "prices": self._prices.source,
            "days": [_charge(charge) for charge in found],
            "total": _total(found),
        }
        return Response(200, (("Content-Type", "application/json"),), orjson.dumps(document))


def _day(fields: dict[str, str], name: str, default: dt.date) -> dt.date:
    text = fields.get(name)
    if text is None:
        return default
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ServiceError("ValidationException", f"{name} must be a day such as 2026-01-31.") from None


def _number(day: dt.date) -> int:
    return (day - _EPOCH).days


def _charge(charge: Charge) -> dict[str, Any]:
    return {
        "day": charge.day.isoformat(),
        "region": charge.region,
        "function": charge.function,
        "architecture": charge.architecture,
        "requests": charge.requests,
        "gbSeconds": _text(charge.gb_s),
        "storageGbSeconds": _text(charge.storage_gb_s),
        "requestsCost": _text(charge.requests_cost),
        "durationCost": _text(charge.duration_cost),
        "storageCost": _text(charge.storage_cost),
        "cost": _text(charge.cost),
        "costWithoutFreeTier": _text(charge.list_cost),
    }


def _total(found: Sequence[Charge]) -> dict[str, Any]:
    nothing = Decimal(0)
    return {
        "requests": sum(charge.requests for charge in found),
        "gbSeconds": _text(sum((charge.gb_s for charge in found), nothing)),
        "storageGbSeconds": _text(sum((charge.storage_gb_s for charge in found), nothing)),
        "cost": _text(sum((charge.cost for charge in found), nothing)),
        "costWithoutFreeTier": _text(sum((charge.list_cost for charge in found), nothing)),
    }


def _text(amount: Decimal) -> str:
    return f"{amount.normalize():f}" if amount else "0"
