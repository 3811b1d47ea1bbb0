"""Whether sandboxes could be given a network here, as far as can be told without trying: for `lambent doctor`."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from lambent.worker.sandbox.linux.network import nftables as nft
from lambent.worker.sandbox.linux.network import slirp
from lambent.worker.sandbox.linux.network.links import Links

NO_DEFAULT_ROUTE = "this host has no default route"


@dataclass(frozen=True, slots=True)
class Outlook:
    """`why_not`: "" if it is likely to work. `how`: by what, and what may yet be in the way."""

    why_not: str
    how: str = ""


def outlook(*, rootless: bool) -> Outlook:
    """Looks, and changes nothing. `rootless`: for an ordinary user."""
    why_not = slirp.why_not() if rootless else ""
    if not why_not and not has_default_route():
        why_not = f"{NO_DEFAULT_ROUTE}: allow-lists work, the internet is out of reach"
    if why_not:
        return Outlook(why_not)
    if rootless:
        return Outlook("", f"by {slirp.PROGRAM}")
    how = "through the host's own forwarding"
    try:
        dropping = nft.base_chains_that_drop(nft.FORWARD)
    except OSError as error:
        return Outlook(f"this kernel's nftables cannot be used: {error.strerror}")
    if dropping:
        how += f", if its firewall lets it: {' and '.join(dropping)} drops what nothing lets through"
    return Outlook("", how)


def has_default_route() -> bool:
    with contextlib.closing(Links()) as links:
        return any(prefix == 0 for _, prefix, _ in links.routes())
