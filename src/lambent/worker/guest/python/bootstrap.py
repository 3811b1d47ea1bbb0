"""Entry point of the Python runtimes, run as `/var/lang/bin/pythonX.Y -S /var/runtime/bootstrap.py`.

It knows only the standard library and `_lambda_runtime` beside it. Everything is in that package because a script is
compiled anew at every start, while the modules of a package come from their .pyc files.
"""

import os
import sys

from _lambda_runtime import hooks as bootstrap  # noqa: F401 - looked up here, by this name, by monitoring tools
from _lambda_runtime.loop import main

if __name__ == "__main__":
    if "_LAMBENT_ZYGOTE" in os.environ:
        _loaded = set(sys.modules)
        from _lambda_runtime.zygote import become_environment

        become_environment(_loaded)
        del _loaded, become_environment
    main()
