from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.iam.access_key_ids import (
    LONG_TERM,
    TEMPORARY,
    account_of,
    new_access_key_id,
    new_secret_access_key,
    new_unique_id,
    unique_id_of,
)
from lambent.model.ids import AccountId


@given(st.integers(0, 10**12 - 1), st.sampled_from([LONG_TERM, TEMPORARY]))
def test_an_id_tells_its_account(number: int, prefix: str) -> None:
    account = AccountId(f"{number:012d}")
    key_id = new_access_key_id(prefix, account)
    assert re.fullmatch(prefix + "[A-Z2-7]{16}", key_id)
    assert account_of(key_id) == account


@pytest.mark.parametrize(
    "text", ["", "AKIA", "123456789012", "AROAQAAAAAAAAAAAAAAA", "AKIA1111111111111111", "AKIAAAAAAAAAAAAAAAAA"]
)
def test_what_is_no_id_tells_none(text: str) -> None:
    assert account_of(text) is None


def test_published_examples_decode_alike() -> None:
    """The form is AWS's: ids of known accounts, as others have published them."""
    assert account_of("ASIAQNZGKIQY56JQ7WML") == "029608264753"


def test_ids_and_secrets_do_not_repeat() -> None:
    assert len({new_access_key_id(LONG_TERM, AccountId("0" * 12)) for _ in range(1000)}) == 1000
    assert len({new_secret_access_key() for _ in range(1000)}) == 1000
    assert all(len(new_secret_access_key()) == 40 for _ in range(10))
    assert re.fullmatch("AROA[A-Z2-7]{17}", new_unique_id("AROA"))
    assert unique_id_of("AROA", "a") == unique_id_of("AROA", "a") != unique_id_of("AROA", "b")
    assert re.fullmatch("AROA[A-Z2-7]{17}", unique_id_of("AROA", "a"))
