"""Who is calling."""

from __future__ import annotations

from dataclasses import dataclass, field

from lambent.model.ids import AccountId


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated (or, with `--auth none`, assumed) caller.

    `arn`: e.g. arn:aws:iam::000000000000:root, …:user/NAME, arn:aws:sts::…:assumed-role/ROLE/SESSION.
    `user_id`: what GetCallerIdentity answers as UserId. `access_key_id`: the key it came with, if any.
    """

    account: AccountId
    arn: str
    user_id: str
    access_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, or temporary credentials (with `session_token` and `expires_at`, epoch seconds)."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None
