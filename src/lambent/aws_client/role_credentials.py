"""Credentials of execution roles for calls that the platform makes on a function's behalf: polls and deliveries."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from lambent.iam.principal import Credentials
from lambent.iam.sessions import SessionIssuer

LIFETIME_S: Final = 3600.0
_MARGIN_S: Final = 600.0
_KEPT: Final = 4096


class RoleCredentials:
    """Sessions of roles, kept until they are nearly over. Sessions follow real time."""

    def __init__(self, sessions: SessionIssuer, now: Callable[[], float] = time.time) -> None:
        self._sessions = sessions
        self._now = now
        self._kept: OrderedDict[tuple[str, str], Credentials] = OrderedDict()

    def find(self, role_arn: str, session_name: str) -> Credentials:
        """Good for ten minutes at least. Raises ValueError for what is no role ARN or no session name."""
        key = (role_arn, session_name)
        found = self._kept.get(key)
        if found is None or (found.expires_at or 0.0) < self._now() + _MARGIN_S:
            found, _ = self._sessions.assume_role(role_arn, session_name, LIFETIME_S, source="lambda.amazonaws.com")
            self._kept[key] = found
        self._kept.move_to_end(key)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found
