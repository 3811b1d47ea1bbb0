"""`lambent keys` against a server that verifies signatures and enforces policies."""

from __future__ import annotations

import configparser
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.cli.main import main


@pytest.fixture(scope="module")
def enforcing(start_identity: Any) -> Any:
    return start_identity(auth="sigv4", enforce=True)


@pytest.fixture
def keys(
    enforcing: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs `lambent keys …` as root; gives its exit status, and what it printed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", enforcing.root.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", enforcing.root.secret_access_key)

    def run(*arguments: str) -> tuple[int, str]:
        status = main(["keys", *arguments, "--endpoint-url", enforcing.url])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


def test_a_user_with_a_key_and_a_policy(enforcing: Any, keys: Callable[..., tuple[int, str]]) -> None:
    status, printed = keys("create", "--user", "ann", "--policy", "IAMReadOnlyAccess")
    assert status == 0
    file = configparser.ConfigParser()
    file.read_string(printed)  # ready for ~/.aws/credentials
    key, secret = file["ann"]["aws_access_key_id"], file["ann"]["aws_secret_access_key"]
    iam = enforcing.client("iam", key, secret)
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["ann"]
    with pytest.raises(ClientError, match="not authorized to perform: iam:CreateUser"):
        iam.create_user(UserName="bob")
    listed = keys("list")[1]
    assert f"{key}  Active" in listed
    assert enforcing.root.access_key_id in listed
    assert enforcing.root.access_key_id not in keys("list", "--user", "ann")[1]
    assert keys("delete", key) == (0, f"Deleted {key} of ann.\n")
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        iam.list_users()
    assert keys("delete", key) == (1, f"lambent: there is no key {key}\n")


def test_a_key_of_root(enforcing: Any, keys: Callable[..., tuple[int, str]]) -> None:
    made = json.loads(keys("create", "--json")[1])
    assert made["UserName"] == "root"
    arn = enforcing.client("sts", made["AccessKeyId"], made["SecretAccessKey"]).get_caller_identity()["Arn"]
    assert arn.endswith(":root")
    assert json.loads(keys("delete", made["AccessKeyId"], "--json")[1])["Deleted"] is True


def test_a_new_user_without_a_policy_is_told_so(keys: Callable[..., tuple[int, str]]) -> None:
    assert "may do nothing" in keys("create", "--user", "nobody")[1]
    assert "may do nothing" not in keys("create", "--user", "nobody")[1]
    assert "LimitExceeded" in keys("create", "--user", "nobody")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("delete",), "say which key"),
        (("create", "AKIA"), "takes no key"),
        (("list", "--policy", "x"), "--policy is for"),
        (("create", "--policy", "AdministratorAccess"), "name one with --user"),
        (("create", "--user", "eve", "--policy", "Unheard"), "there is no managed policy Unheard"),
        (("list", "--user", "absent"), "NoSuchEntity"),
    ],
)
def test_wrong_usage(keys: Callable[..., tuple[int, str]], arguments: tuple[str, ...], message: str) -> None:
    status, printed = keys(*arguments)
    assert status == 1
    assert message in printed
