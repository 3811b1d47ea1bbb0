"""What this host gives to sandboxes: for `lambent doctor` and the line at start-up. Looks, and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lambent.worker.sandbox.api import BackendReport
from lambent.worker.sandbox.linux.cgroup_hierarchies import Hierarchy


def report(hierarchies: Sequence[Hierarchy]) -> BackendReport:
    return BackendReport("linux", usable=os.geteuid() == 0, reason="needs root")
