"""What is said beforehand of the network that sandboxes will have."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.root

OUTLOOK = """
import dataclasses, json, os
from lambent.worker.sandbox.linux.network.outlook import outlook
print(json.dumps(dataclasses.astuple(outlook(rootless=os.geteuid() != 0))))
"""
DROPPING = """
import time
from lambent.worker.sandbox.linux.network import nftables as nft
table = nft.Table("filter")
table.chain("FORWARD", nft.FORWARD)
kind, flags, body, what = table._pending.pop()
table._pending.append((kind, flags, body + nft._be32(5, nft.DROP), what))  # its policy
table.chain("INPUT", nft.INPUT)
table.commit()
print("closed", flush=True)
time.sleep(100)
"""


def test_what_is_to_be_expected_is_told(root: Any) -> None:
    assert root.hear(root.start(root.host, OUTLOOK)) == ["", "through the host's own forwarding"]
    root.start(root.host, DROPPING).stdout.readline()
    why_not, how = root.hear(root.start(root.host, OUTLOOK))
    assert why_not == ""
    assert how.endswith("if its firewall lets it: filter FORWARD drops what nothing lets through")
    root.ip("-n", root.host, "route", "del", "default")
    assert root.hear(root.start(root.host, OUTLOOK))[0].startswith("this host has no default route: allow-lists work")


def test_what_an_ordinary_user_can_expect_is_told(rootless: Any) -> None:
    assert rootless.hear(rootless.start_as_user(OUTLOOK)) == ["", "by slirp4netns"]
    why_not, _ = rootless.hear(rootless.start_as_user(OUTLOOK, tun="600"))
    assert "chmod 666 /dev/net/tun" in why_not
    rootless.ip("-n", rootless.host, "route", "del", "default")
    assert rootless.hear(rootless.start_as_user(OUTLOOK))[0].startswith("this host has no default route")
