"""Settings: flags, then `LAMBENT_*` variables, then a TOML file, then defaults → one frozen object, read once.

`OPTIONS` is the one list of what can be set; flags, variables, file keys and the reference page are made from it.
Nothing below this module reads configuration elsewhere: folders get their own `Settings` objects.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from lambent.model import limits
from lambent.model.ids import AccountId, Region
from lambent.model.limits import Limits
from lambent.worker.sandbox.linux.network.policy import parse_allowed

_TIMEOUT_MAX_S: Final = 4 * 3600  # an invocation must end before its credentials do, which last six hours


class ConfigError(Exception):
    """A setting that cannot be used; the message says which, where it came from and what would be right."""


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. `parse` turns its text into its value, or raises ValueError with what it must be."""

    name: str  # --name, LAMBENT_NAME, name in the file (with - or _)
    default: str
    help: str
    parse: Callable[[str], object]
    metavar: str = ""

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return "LAMBENT_" + self.name.replace("-", "_").upper()

    @property
    def field(self) -> str:
        """Its name in `Config`."""
        return self.name.replace("-", "_")


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError("must be one of " + ", ".join(choices))
        return text

    return parse


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {what}")
        return text

    return parse


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return value

    return parse


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _flag(text: str) -> bool:
    match text.lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "" | "0" | "false" | "no" | "off":
            return False
        case _:
            raise ValueError("must be true or false")


def _upstreams(text: str) -> dict[str, str]:
    upstreams: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        service, equals, url = item.partition("=")
        if not equals or not re.match(r"https?://[^/]+", url):
            raise ValueError("must be SERVICE=URL, e.g. dynamodb=http://127.0.0.1:8000")
        upstreams[service] = url.rstrip("/")
    return upstreams


def _allowed(text: str) -> tuple[str, ...]:
    items = tuple(filter(None, (part.strip() for part in text.split(","))))
    parse_allowed(items)
    return items


def _function_networks(text: str) -> dict[str, str]:
    networks: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, network = item.partition("=")
        if not equals or not name.strip():
            raise ValueError(
                "must be NAME=NETWORK, e.g. fetch=internet, offline=none or report=db.example.com 10.1.0.0/16"
            )
        if network.strip() not in ("internet", "none"):
            parse_allowed(network.split())
        networks[name.strip()] = network.strip()
    return networks


def _limits(text: str) -> Limits:
    known = {field.name for field in fields(Limits)}
    values: dict[str, int] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = item.partition("=")
        name = name.strip().replace("-", "_")
        if name not in known or not value.strip().isdecimal() or not int(value):
            raise ValueError(f"must be NAME=N, with one of the names {', '.join(sorted(known))} and N above 0")
        values[name] = int(value)
    limits_ = Limits(**values)
    if (
        limits_.memory_max_mb < limits.MEMORY_MIN_MB
        or limits_.ephemeral_storage_max_mb < limits.EPHEMERAL_STORAGE_MIN_MB
    ):
        raise ValueError("must leave functions the memory and the temporary storage that they have at least")
    if limits_.timeout_max_s > _TIMEOUT_MAX_S:
        raise ValueError(f"must keep timeout_max_s at {_TIMEOUT_MAX_S} or below")
    return limits_


OPTIONS: Final = (
    Option("host", "127.0.0.1", "address to listen on; one that is not loopback needs --auth sigv4", str),
    Option("port", "4566", "port of the endpoint (0: a free one)", _whole(0, 65535)),
    Option("data-dir", "", "where everything is kept", str, "DIR"),
    Option(
        "runtimes-dir",
        "",
        "where installed runtimes are, to share them (default: in the data dir)",
        str,
        "DIR",
    ),
    Option("account", "000000000000", "account id of callers that name none", _matching(r"\d{12}", "12 digits"), "ID"),
    Option("region", "us-east-1", "region of callers that name none", _matching(r"[a-z]{2,}(-[a-z]+)+-\d", "a region")),
    Option("auth", "none", "none: take any access key; sigv4: verify every signature", _choice("none", "sigv4")),
    Option(
        "iam",
        "",
        "enforce: IAM policies decide what callers and functions may do; off: who is let in may do all (default: "
        "enforce with --auth sigv4, else off)",
        _choice("", "enforce", "off"),
        "enforce|off",
    ),
    Option(
        "sandbox",
        "linux",
        "isolation of functions; rootless: that of linux as far as an ordinary user can have it; process is NO "
        "isolation, for development where neither can be had",
        _choice("linux", "rootless", "process"),
    ),
    Option(
        "network",
        "",
        "what functions reach beside their AWS endpoint: the internet, but no private addresses and not this host; "
        "none; or only what --network-allow lists (default: internet where this host can give it, else none)",
        _choice("", "internet", "none", "allow-list"),
        "internet|none|allow-list",
    ),
    Option(
        "network-allow",
        "",
        "addresses, ranges and host names that functions reach, private ones too; several with commas",
        _allowed,
        "HOST",
    ),
    Option(
        "network-functions",
        "",
        "functions with another network: internet, none, or addresses, ranges and names with spaces between; several "
        "with commas, or as a table in the file",
        _function_networks,
        "NAME=NETWORK",
    ),
    Option(
        "tls",
        "off",
        "auto: answer in TLS with a certificate of an authority made in DATA/tls, whose ca.pem clients can trust",
        _choice("off", "auto"),
    ),
    Option("tls-cert", "", "answer in TLS with this certificate (PEM, may be a chain)", str, "FILE"),
    Option("tls-key", "", "the certificate's key (PEM)", str, "FILE"),
    Option("dev", "false", "development mode: debug messages on stderr, and a clock that can be moved", _flag),
    Option(
        "upstream",
        "",
        "forward an AWS API that Lambent does not answer; several with commas or by repeating",
        _upstreams,
        "SERVICE=URL",
    ),
    Option(
        "account-concurrency",
        str(limits.ACCOUNT_CONCURRENCY),
        "concurrent executions per account and region",
        _whole(1, 1_000_000),
        "N",
    ),
    Option(
        "limits",
        "",
        "other quotas than AWS's, e.g. memory_max_mb=20480; several with commas, or as a table in the file",
        _limits,
        "NAME=N",
    ),
    Option("log-limit", "1024", "MB that a function may print in an hour (0: no limit)", _whole(0, 1_000_000), "MB"),
    Option(
        "metric-limit",
        "1024",
        "MB on disk that metrics may take; beyond them custom metrics are not kept (0: no limit)",
        _whole(0, 1_000_000),
        "MB",
    ),
    Option("idle-timeout", "600", "end an environment idle for so many seconds", _number(1, 86_400), "SECONDS"),
    Option(
        "spare-environments",
        "16",
        "environments prepared ahead of the next invocations, at most; no code of a function runs in them (0: none)",
        _whole(0, 1000),
        "N",
    ),
    Option(
        "shutdown-grace", "10", "seconds that running invocations get when the server stops", _number(0, 900), "SECONDS"
    ),
)


@dataclass(frozen=True, slots=True)
class Config:
    """All settings; see `OPTIONS` for what they mean."""

    host: str
    port: int
    data_dir: Path
    runtimes_dir: Path
    account: AccountId
    region: Region
    auth: str
    iam: str
    sandbox: str
    tls: str
    tls_cert: Path | None
    tls_key: Path | None
    dev: bool
    upstream: Mapping[str, str] = field(default_factory=dict)
    account_concurrency: int = limits.ACCOUNT_CONCURRENCY
    limits: Limits = limits.AWS_LIMITS
    network: str = ""
    network_allow: tuple[str, ...] = ()
    network_functions: Mapping[str, str] = field(default_factory=dict)
    log_limit: int = 1024
    metric_limit: int = 1024
    idle_timeout: float = 600.0
    spare_environments: int = 16
    shutdown_grace: float = 10.0


def load(flags: Mapping[str, str | None], environ: Mapping[str, str], file: Path | None = None) -> Config:
    """The settings in force. `flags`: option name → text, for those given. Raises ConfigError."""
    from_file = _read_file(file) if file is not None else {}
    values: dict[str, Any] = {}
    for option in OPTIONS:
        text, source = _text_of(option, flags, environ, from_file)
        try:
            values[option.field] = option.parse(text)
        except ValueError as error:
            raise ConfigError(f"{source}: {option.name} {error}, not {text!r}") from None
    data_dir = Path(values["data_dir"] or default_data_dir(environ)).expanduser().absolute()
    values["data_dir"] = data_dir
    values["runtimes_dir"] = Path(values["runtimes_dir"] or data_dir / "runtimes").expanduser().absolute()
    for name in ("tls_cert", "tls_key"):
        values[name] = Path(values[name]).expanduser().absolute() if values[name] else None
    values["iam"] = values["iam"] or ("enforce" if values["auth"] == "sigv4" else "off")
    config = Config(**values)
    if (config.tls_cert is None) != (config.tls_key is None):
        raise ConfigError("--tls-cert and --tls-key go together")
    if config.tls == "auto" and config.tls_cert is not None:
        raise ConfigError("--tls auto makes its own certificate: leave --tls-cert and --tls-key out")
    if config.sandbox == "process" and (config.network in ("none", "allow-list") or config.network_functions):
        raise ConfigError("--sandbox process isolates nothing: it cannot keep functions from any network")
    if config.network == "allow-list" and not config.network_allow:
        raise ConfigError("--network allow-list needs --network-allow, with what functions may reach")
    if config.auth != "sigv4" and not is_loopback(config.host):
        raise ConfigError(
            f"--host {config.host} is not a loopback address: whoever reaches it could run code here. "
            "Add --auth sigv4, so that only holders of an access key can."
        )
    return config


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """/var/lib/lambent for root, below the user's data directory otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/lambent")
    home = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME", "~")) / ".local" / "share")
    return Path(home) / "lambent"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _text_of(
    option: Option, flags: Mapping[str, str | None], environ: Mapping[str, str], from_file: Mapping[str, str]
) -> tuple[str, str]:
    flag = flags.get(option.name)
    if flag is not None:
        return flag, f"--{option.name}"
    if option.variable in environ:
        return environ[option.variable], option.variable
    if option.name in from_file:
        return from_file[option.name], "configuration file"
    return option.default, "default"


def _read_file(file: Path) -> dict[str, str]:
    try:
        with file.open("rb") as stream:
            document = tomllib.load(stream)
    except OSError as error:
        raise ConfigError(f"configuration file {file}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"configuration file {file}: {error}") from None
    known = {option.name for option in OPTIONS}
    values: dict[str, str] = {}
    for key, value in document.items():
        name = key.replace("_", "-")
        if name not in known:
            raise ConfigError(f"configuration file {file}: there is no setting {key!r}")
        values[name] = _as_text(value)
    return values


def _as_text(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return ",".join(map(str, value))
        case dict():
            return ",".join(f"{key}={item}" for key, item in value.items())
        case _:
            return str(value)
