"""`lambent cost`: what functions used, day by day, and what AWS would ask for it."""

from __future__ import annotations

import datetime as dt
import re
import urllib.parse
from argparse import Namespace
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from lambent.cli.client import report
from lambent.cli.printing import print_json, print_table


def run(options: Namespace) -> int:
    """Print the bill of a span of days."""
    last = dt.datetime.now(dt.UTC).date()
    query = {"to": (options.until or last.isoformat())}
    if options.since:
        query["from"] = _since(options.since, last)
    document = report(options, f"/_lambent/cost?{urllib.parse.urlencode(query)}")
    if options.name:
        document["days"] = [day for day in document["days"] if day["function"] == options.name]
        document["total"] = _total(document["days"], document["total"])
    if options.json:
        print_json(document)
        return 0
    _print(document)
    return 0


def _since(text: str, today: dt.date) -> str:
    """A day as it is, or so many days back: `7d`."""
    match = re.fullmatch(r"(\d{1,4})d", text)
    return (today - dt.timedelta(days=int(match[1]))).isoformat() if match else text


def _total(days: Sequence[dict[str, Any]], like: dict[str, Any]) -> dict[str, Any]:
    """The sums of some of the rows."""
    total: dict[str, Any] = {}
    for name in like:
        amount = sum((Decimal(str(day[name])) for day in days), Decimal(0))
        total[name] = int(amount) if name == "requests" else f"{amount:f}"
    return total


def _print(document: dict[str, Any]) -> None:
    rows = [
        (
            day["day"],
            day["function"],
            day["region"],
            day["architecture"],
            str(day["requests"]),
            _rounded(day["gbSeconds"], 3),
            _rounded(day["costWithoutFreeTier"], 6),
            _rounded(day["cost"], 6),
        )
        for day in document["days"]
    ]
    total = document["total"]
    rows.append(
        (
            *("total", "", "", "", str(total["requests"]), _rounded(total["gbSeconds"], 3)),
            *(_rounded(total["costWithoutFreeTier"], 6), _rounded(total["cost"], 6)),
        )
    )
    currency = document["currency"]
    print(f"{document['from']} to {document['to']}, account {document['account']}, prices of {document['prices']}")
    print_table(
        ("DAY", "FUNCTION", "REGION", "ARCH", "REQUESTS", "GB-S", f"{currency} LIST", f"{currency} AFTER FREE TIER"),
        rows,
    )


def _rounded(text: str, places: int) -> str:
    return f"{Decimal(text):.{places}f}"
