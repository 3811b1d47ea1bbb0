"""The keys that our own calls of AWS APIs are signed with: those botocore finds in the server's surroundings.

AWS_* variables, profiles, instance metadata. Where there are none any key is sent, which local stand-ins for AWS
accept. Blocking: finding them may read files and ask metadata services.
"""

from __future__ import annotations

import botocore.session
from botocore.credentials import Credentials


class OwnKeys:
    """Looks once, at the first call; temporary keys renew themselves."""

    def __init__(self) -> None:
        self._credentials: Credentials | None = None

    def find(self) -> Credentials:
        """What to sign with."""
        if self._credentials is None:
            found = botocore.session.get_session().get_credentials()
            self._credentials = found or Credentials("lambent", "lambent")
        return self._credentials
