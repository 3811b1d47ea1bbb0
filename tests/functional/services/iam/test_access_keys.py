"""Root's access keys: made, used, switched off and deleted through the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def code(call: Callable[..., Any], **params: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**params)
    return str(raised.value.response["Error"]["Code"])


def test_the_life_of_an_access_key(strict_server: Any) -> None:
    iam = strict_server.as_root("iam")
    key = iam.create_access_key()["AccessKey"]
    assert key["Status"] == "Active"
    sts = strict_server.client("sts", key["AccessKeyId"], key["SecretAccessKey"])
    assert sts.get_caller_identity()["Arn"].endswith(":root")
    assert code(iam.create_access_key) == "LimitExceeded"
    ids = [one["AccessKeyId"] for one in iam.list_access_keys()["AccessKeyMetadata"]]
    assert ids == sorted([strict_server.root.access_key_id, key["AccessKeyId"]])
    iam.update_access_key(AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert code(sts.get_caller_identity) == "InvalidClientTokenId"
    iam.update_access_key(AccessKeyId=key["AccessKeyId"], Status="Active")
    sts.get_caller_identity()
    iam.delete_access_key(AccessKeyId=key["AccessKeyId"])
    assert code(sts.get_caller_identity) == "InvalidClientTokenId"
    assert code(iam.delete_access_key, AccessKeyId=key["AccessKeyId"]) == "NoSuchEntity"


def test_only_root_has_keys(strict_server: Any) -> None:
    iam = strict_server.as_root("iam")
    for call in (iam.create_access_key, iam.list_access_keys):
        assert code(call, UserName="somebody") == "NoSuchEntity"
    credentials, _ = strict_server.sessions.assume_role("arn:aws:iam::000000000000:role/r", "s", 900)
    session = strict_server.client(
        "iam", credentials.access_key_id, credentials.secret_access_key, credentials.session_token
    )
    assert code(session.create_access_key) == "ValidationError"


def test_keys_of_another_account_are_out_of_reach(open_server: Any) -> None:
    other = open_server.client("iam", "111122223333", "x")
    assert other.list_access_keys()["AccessKeyMetadata"] == []
    assert code(other.delete_access_key, AccessKeyId=open_server.root.access_key_id) == "NoSuchEntity"
