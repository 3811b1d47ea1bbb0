"""Timestamps in AWS's three formats, in and out.

`unixTimestamp` (epoch seconds), `iso8601`, `rfc822`: https://smithy.io/2.0/spec/protocol-traits.html#timestampformat-trait
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_epoch(seconds: float) -> datetime:
    """Aware UTC time. ValueError when it is not a time at all (NaN, beyond year 9999)."""
    if not math.isfinite(seconds):
        raise ValueError("not a finite time")
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError("time out of range") from error


def parse_timestamp(text: str) -> datetime:
    """Any of the three formats as aware UTC time. ValueError when it is none of them."""
    stripped = text.strip()
    try:
        return from_epoch(float(stripped))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(stripped)
    except ValueError:
        from email.utils import parsedate_to_datetime  # here: 15 ms that few processes need

        moment = parsedate_to_datetime(stripped)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("time out of range") from error


def _aware(value: datetime | float) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return from_epoch(value)


def to_epoch(value: datetime | float) -> int | float:
    """Epoch seconds, to the millisecond; an int when whole."""
    seconds = round(value.timestamp() if isinstance(value, datetime) else float(value), 3)
    return int(seconds) if seconds.is_integer() else seconds


def to_iso8601(value: datetime | float) -> str:
    """`2026-11-23T17:00:00Z`, with milliseconds when there are any."""
    moment = _aware(value)
    milliseconds = moment.microsecond // 1000
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{milliseconds:03d}Z" if milliseconds else "Z")


def to_rfc822(value: datetime | float) -> str:
    """`Mon, 23 Nov 2026 17:00:00 GMT`."""
    moment = _aware(value)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02d} {month} {moment.year:04d} {moment:%H:%M:%S} GMT"


def _epoch_text(value: datetime | float) -> str:
    return str(to_epoch(value))


TEXT_FORMATS: dict[str, Callable[[datetime | float], str]] = {
    "unixtimestamp": _epoch_text,
    "iso8601": to_iso8601,
    "rfc822": to_rfc822,
}
"""By the model's `timestampFormat`, lower case."""
