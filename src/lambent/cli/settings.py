"""The settings of commands about this machine: the server's own, so that both look at the same directories."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from lambent.config import Config, load


def host_settings(options: Namespace) -> Config:
    """What a server started here would use, with --data-dir and --runtimes-dir. Raises ConfigError."""
    file = os.environ.get("LAMBENT_CONFIG")
    flags = {"data-dir": options.data_dir, "runtimes-dir": options.runtimes_dir}
    return load(flags, os.environ, Path(file) if file else None)
