"""Which keys the commands sign with."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from lambent.cli.client import client

KEYS = "[default]\naws_access_key_id = AKIAQAAAAAAAEXAMPLE1\naws_secret_access_key = abc/def=\n"


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user without AWS keys."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def keys_used() -> tuple[str, str]:
    made = client(Namespace(endpoint_url="http://127.0.0.1:1", region=None), "lambda")
    credentials = made._request_signer._credentials
    return credentials.access_key, credentials.secret_key


def test_the_keys_of_the_servers_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(KEYS)
    monkeypatch.setenv("LAMBENT_DATA_DIR", str(tmp_path))
    assert keys_used() == ("AKIAQAAAAAAAEXAMPLE1", "abc/def=")


def test_the_users_own_keys_go_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(KEYS)
    monkeypatch.setenv("LAMBENT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert keys_used() == ("mine", "secret")


def test_any_keys_where_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAMBENT_DATA_DIR", str(tmp_path))
    assert keys_used() == ("lambent", "lambent")
