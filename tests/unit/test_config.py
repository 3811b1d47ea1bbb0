"""Where settings come from, and what is refused."""

import dataclasses
from pathlib import Path

import pytest

from lambent.config import OPTIONS, ConfigError, load
from lambent.model.limits import Limits


def test_defaults_are_safe() -> None:
    config = load({}, {})
    assert (config.host, config.port, config.sandbox, config.auth) == ("127.0.0.1", 4566, "linux", "none")


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "lambent.toml"
    file.write_text('port = 1\nregion = "eu-west-1"\naccount = "111111111111"\n')
    config = load({"port": "3"}, {"LAMBENT_PORT": "2", "LAMBENT_REGION": "eu-west-2"}, file)
    assert (config.port, config.region, config.account, config.host) == (3, "eu-west-2", "111111111111", "127.0.0.1")


def test_every_setting_is_in_the_settings_object() -> None:
    assert {option.field for option in OPTIONS} == {field.name for field in dataclasses.fields(load({}, {}))}


def test_the_runtimes_are_in_the_data_directory_unless_shared(tmp_path: Path) -> None:
    assert load({"data-dir": str(tmp_path)}, {}).runtimes_dir == tmp_path / "runtimes"
    environ = {"LAMBENT_RUNTIMES_DIR": "/shared", "LAMBENT_DATA_DIR": str(tmp_path)}
    assert load({}, environ).runtimes_dir == Path("/shared")
    assert load({"runtimes-dir": "/other"}, environ).runtimes_dir == Path("/other")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_beyond_loopback_signatures_are_needed(host: str) -> None:
    with pytest.raises(ConfigError, match="--auth sigv4"):
        load({"host": host}, {})
    assert load({"host": host, "auth": "sigv4"}, {}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_nothing(host: str) -> None:
    assert load({"host": host}, {}).host == host


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [
        ({"port": "99999"}, {}, "--port: port must be a whole number"),
        ({}, {"LAMBENT_SANDBOX": "docker"}, "LAMBENT_SANDBOX: sandbox must be one of linux, rootless, process"),
        ({"account": "12"}, {}, "12 digits"),
        ({"upstream": "dynamodb"}, {}, "SERVICE=URL"),
        ({"dev": "maybe"}, {}, "true or false"),
    ],
)
def test_a_wrong_value_says_where_it_came_from(
    flags: dict[str, str | None], environ: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(flags, environ)


def test_an_unknown_key_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "lambent.toml"
    file.write_text("prot = 1\n")
    with pytest.raises(ConfigError, match="no setting 'prot'"):
        load({}, {}, file)


@pytest.mark.parametrize("content", ["= nonsense", None])
def test_an_unreadable_file_is_refused(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "lambent.toml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match="configuration file"):
        load({}, {}, file)


def test_upstreams_from_file_or_flag(tmp_path: Path) -> None:
    file = tmp_path / "lambent.toml"
    file.write_text('[upstream]\ndynamodb = "http://127.0.0.1:8000/"\n')
    assert load({}, {}, file).upstream == {"dynamodb": "http://127.0.0.1:8000"}
    assert load({"upstream": "s3=http://a,sqs=https://b"}, {}).upstream == {"s3": "http://a", "sqs": "https://b"}


def test_limits_come_as_text_or_as_a_table(tmp_path: Path) -> None:
    assert load({}, {}).limits == Limits()
    assert load({"limits": "memory-max-mb=20480, layers_max=7"}, {}).limits == Limits(memory_max_mb=20480, layers_max=7)
    file = tmp_path / "lambent.toml"
    file.write_text("[limits]\ntimeout_max_s = 1800\ncode_storage_max_bytes = 1000\n")
    assert load({}, {}, file).limits == Limits(timeout_max_s=1800, code_storage_max_bytes=1000)


@pytest.mark.parametrize(
    "text",
    ["memory_max_mb", "memory_max_mb=x", "unknown=1", "layers_max=0", "memory_max_mb=100", "timeout_max_s=20000"],
)
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match="limits must"):
        load({"limits": text}, {})
