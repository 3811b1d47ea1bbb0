"""Which networks functions get, out of the settings."""

from __future__ import annotations

from lambent.config import Config
from lambent.worker.networks import FunctionNetworks
from lambent.worker.sandbox.api import NetworkPolicy
from lambent.worker.sandbox.linux.network.policy import parse_allowed


def wanted_networks(config: Config) -> FunctionNetworks:
    """What was asked for; the internet if nothing was."""
    networks, hosts = parse_allowed(config.network_allow)
    match config.network:
        case "none":
            default = None
        case "allow-list":
            default = NetworkPolicy(networks=networks, hosts=hosts)
        case _:
            default = NetworkPolicy(internet=True, networks=networks, hosts=hosts)
    return FunctionNetworks(default, {name: _policy(what) for name, what in config.network_functions.items()})


def is_optional(config: Config) -> bool:
    """Whether a server may start without the networks that are wanted: nobody has asked for one."""
    return not config.network and not config.network_allow and not config.network_functions


def _policy(what: str) -> NetworkPolicy | None:
    match what:
        case "internet":
            return NetworkPolicy(internet=True)
        case "none":
            return None
        case _:
            networks, hosts = parse_allowed(what.split())
            return NetworkPolicy(networks=networks, hosts=hosts)
