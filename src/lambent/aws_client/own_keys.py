"""The keys that our own calls of AWS APIs are signed with: those botocore finds in the server's surroundings.

AWS_* variables, profiles, instance metadata. Where there are none any key is sent, which local stand-ins for AWS
accept. Finding them may read files and ask metadata services, which is done in threads.
"""

from __future__ import annotations

import asyncio

import botocore.session
from botocore.credentials import Credentials, RefreshableCredentials

from lambent.iam import principal


class OwnKeys:
    """Looks once, at the first call; temporary keys renew themselves."""

    def __init__(self) -> None:
        self._credentials: Credentials | None = None

    def find(self) -> Credentials:
        """What to sign with. Blocking."""
        if self._credentials is None:
            found = botocore.session.get_session().get_credentials()
            self._credentials = found or Credentials("lambent", "lambent")
        return self._credentials

    async def credentials(self) -> principal.Credentials:
        """The same, as they are now."""
        found = self._credentials
        if found is None:
            found = await asyncio.to_thread(self.find)
        if isinstance(found, RefreshableCredentials):
            frozen = await asyncio.to_thread(found.get_frozen_credentials)
        else:
            frozen = found.get_frozen_credentials()
        return principal.Credentials(frozen.access_key or "", frozen.secret_key or "", frozen.token)
