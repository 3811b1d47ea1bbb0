"""What a client may cost the HTTP server: sizes, counts and patience. Imports only `model`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lambent.model.limits import REQUEST_LINE_AND_HEADERS_MAX_BYTES


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of one server. Times are real seconds; `math.inf` switches one off. They hold to within two sweeps.

    A request that was handed to the handler has no limit: how long an answer may take is the handler's business.
    """

    max_head_bytes: int = REQUEST_LINE_AND_HEADERS_MAX_BYTES
    """Request line and header fields together; 431 beyond. Trailers and chunk extensions are held to it too."""
    max_headers: int = 1_000
    """Header fields in one request; 431 beyond."""
    header_timeout_s: float = 30.0
    """From the first byte of a request to the end of its header fields; 408 after it."""
    body_timeout_s: float = 30.0
    """Without a single byte of a request's body; 408 after it."""
    keep_alive_timeout_s: float = 75.0
    """Between an answer (or connecting) and the next request; the connection is closed after it, without a word."""
    write_timeout_s: float = 60.0
    """Without the client taking a single byte of an answer; the connection is aborted after it."""
    linger_timeout_s: float = 5.0
    """How long a refused client may still send (and have it thrown away), so that it reads the refusal."""
    max_linger_bytes: int = 256 * 1024 * 1024
    """How much a refused client may still send."""
    hold_pipelined_s: float = 0.0
    """An answer to a client that has sent its next request already waits so long for that one's answer, to go with it
    in one packet. For clients that pipeline and read nothing in between; 0: answers never wait."""
    max_connections: int | None = None
    """Connections at once; 503 beyond. None: as many as there are file descriptors."""
    max_held_bytes: int | None = None
    """Bodies of all connections together, from their first byte to their answer; 503 beyond. None: no limit."""

    @property
    def sweep_interval_s(self) -> float:
        """How often the server looks at its connections: a quarter of the shortest patience, at most a second."""
        times = (
            self.header_timeout_s,
            self.body_timeout_s,
            self.keep_alive_timeout_s,
            self.write_timeout_s,
            self.linger_timeout_s,
        )
        return min(1.0, max(0.01, min((time for time in times if time != math.inf), default=4.0) / 4))
