"""Access key ids that say which account they belong to, as AWS's do. Pure.

An id is AKIA (long-term) or ASIA (temporary) and 16 base-32 characters: 80 bits of which, after the first, 40 hold the
account number; STS's GetAccessKeyInfo and many a tool read it from there.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import Final

from lambent.model.ids import AccountId

LONG_TERM: Final = "AKIA"
TEMPORARY: Final = "ASIA"
_BITS_BELOW_ACCOUNT: Final = 39
_ACCOUNT_MASK: Final = (1 << 40) - 1


def new_access_key_id(prefix: str, account: AccountId) -> str:
    """A fresh id with that prefix in that account."""
    random = int.from_bytes(os.urandom(5), "big") >> 1
    bits = (1 << 79) | (int(account) << _BITS_BELOW_ACCOUNT) | random
    return prefix + base64.b32encode(bits.to_bytes(10, "big")).decode()


def account_of(access_key_id: str) -> AccountId | None:
    """The account an id was made for, or None if it is not an id of this form."""
    if len(access_key_id) != 20 or not access_key_id.startswith((LONG_TERM, TEMPORARY)):
        return None
    try:
        bits = int.from_bytes(base64.b32decode(access_key_id[4:]), "big")
    except (binascii.Error, ValueError):
        return None
    number = (bits >> _BITS_BELOW_ACCOUNT) & _ACCOUNT_MASK
    return AccountId(f"{number:012d}") if bits >> 79 and number < 10**12 else None


def new_secret_access_key() -> str:
    """A fresh secret: 40 characters, 240 bits."""
    return base64.b64encode(os.urandom(30)).decode()


def new_unique_id(prefix: str) -> str:
    """A fresh IAM unique id (AROA… for roles, ANPA… for managed policies): never used again for another entity."""
    return prefix + base64.b32encode(b"\x80" + os.urandom(10))[:17].decode()


def unique_id_of(prefix: str, arn: str) -> str:
    """The unique id that stands for an entity nobody has created: always the same for the same ARN."""
    return prefix + base64.b32encode(b"\x80" + hashlib.sha256(arn.encode("utf-8")).digest())[:17].decode()
