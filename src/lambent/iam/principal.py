"""Who is calling."""

from __future__ import annotations

from dataclasses import dataclass, field

from lambent.model.ids import AccountId


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What a session of temporary credentials brings along; policies narrow it, the rest is for conditions.

    `role_arn` is None for a session of the principal itself. `issued_at` in seconds since the epoch. `policies` are
    session policies as given (documents), `policy_arns` managed ones. `tags` are session tags; those in
    `transitive_tag_keys` are handed on to sessions made with this one.
    """

    role_arn: str | None
    session_name: str
    issued_at: float
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    transitive_tag_keys: tuple[str, ...] = ()
    source_identity: str | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated (or, with `--auth none`, assumed) caller.

    `arn`: e.g. arn:aws:iam::000000000000:root, …:user/NAME, arn:aws:sts::…:assumed-role/ROLE/SESSION.
    `user_id`: what GetCallerIdentity answers as UserId. `access_key_id`: the key it came with, if any. `session`: what
    its temporary credentials say; None for long-term keys.
    """

    account: AccountId
    arn: str
    user_id: str
    access_key_id: str | None = None
    session: SessionContext | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, or temporary credentials (with `session_token` and `expires_at`, epoch seconds)."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None
