"""The paths of the Runtime API 2018-06-01."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "/2018-06-01/runtime/"
NEXT: Final = PREFIX + "invocation/next"
INIT_ERROR: Final = PREFIX + "init/error"
INVOCATION: Final = PREFIX + "invocation/"
