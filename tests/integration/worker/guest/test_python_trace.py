"""The trace id is in the environment variables of the function and of what it starts, however many there were."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

GUEST = Path(__file__).parents[4] / "src/lambent/worker/guest/python"
SCRIPT = """
import json, os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from _lambda_runtime.trace_variable import TraceVariable

def seen():
    lines = subprocess.check_output(["/usr/bin/env"]).decode().splitlines()
    inherited = [line.partition("=")[2] for line in lines if line.startswith("_X_AMZN_TRACE_ID=")]
    return [os.environ.get("_X_AMZN_TRACE_ID"), inherited]

def resident_kb():
    return int([line for line in open("/proc/self/status") if line.startswith("VmRSS")][0].split()[1])

variable, report = TraceVariable(), {}
variable.set("Root=first")
report["first"] = seen()
for number in range(5000):
    variable.set("Root=1-%d" % number)
report["many"] = seen()
before = resident_kb()
for number in range(5000, 105000):
    variable.set("Root=1-%d" % number)
report["grown_kb"] = resident_kb() - before
os.environ["_X_AMZN_TRACE_ID"] = "own"
report["own"] = seen()
variable.set("Root=after")
report["after"] = seen()
del os.environ["_X_AMZN_TRACE_ID"]
report["removed"] = seen()
variable.set("x" * 5000)
report["long"] = [len(value) for value in (seen()[0], *seen()[1])]
variable.set("Root=short")
report["short"] = seen()
variable.set(None)
report["none"] = seen()
print(json.dumps(report))
"""


def test_the_trace_id_is_there_and_takes_no_memory(python_argv: list[str]) -> None:
    run = subprocess.run(
        [python_argv[0], "-S", "-c", SCRIPT, str(GUEST)], capture_output=True, text=True, check=True, env={}
    )
    report = json.loads(run.stdout)
    assert report.pop("grown_kb") < 2000  # kept, a hundred thousand values take 14 MB
    assert report == {
        "first": ["Root=first", ["Root=first"]],
        "many": ["Root=1-4999", ["Root=1-4999"]],
        "own": ["own", ["own"]],
        "after": ["Root=after", ["Root=after"]],
        "removed": [None, []],
        "long": [5000, 5000],
        "short": ["Root=short", ["Root=short"]],
        "none": [None, []],
    }
