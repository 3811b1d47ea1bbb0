"""Who calls from this host, for itself."""

from __future__ import annotations

import ipaddress

from lambent.http.messages import Exchange


def is_local(exchange: Exchange) -> bool:
    """Does a program on this host ask, for itself? Not so a proxy that passes on what others ask, nor a web page whose
    name was made to mean this host: both give a Host that is not this one's, or say whom they ask for."""
    headers = exchange.request.headers
    if any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via")):
        return False
    host = (headers.get("host") or "").rsplit(":", 1)[0].strip("[]")
    return _is_loopback(exchange.client_address or "") and (host == "localhost" or _is_loopback(host))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
