"""`GET /_lambent/health` (and `/_localstack/health`, which tools made for local endpoints ask for)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from lambent.http.messages import Exchange, Response

HEALTH_PATHS = ("/_lambent/health", "/_localstack/health")

Describe = Callable[[], dict[str, Any]]
"""What the server says of itself: a JSON object with `version`, `ready`, `services` (name → "running") and more."""


class Health:
    """Answers from memory, whatever else goes on. The only thing that needs no credentials."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe

    def handle(self, exchange: Exchange) -> None:
        """An `http` handler: 200 when ready, 503 while starting or stopping."""
        if exchange.request.method not in ("GET", "HEAD"):
            exchange.respond(Response(405, (("Allow", "GET, HEAD"),)))
            return
        document = self._describe()
        status = 200 if document.get("ready") else 503
        exchange.respond(Response(status, (("Content-Type", "application/json"),), orjson.dumps(document)))
