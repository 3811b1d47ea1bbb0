"""Attempts to outlive, to hold up, and to stop what stops others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from hostile.attempts import attempt, outcome

MARK = "sleep"


def _daemon(seconds: str, ignore: bool = True) -> None:
    """A process that is nobody's child, in a session of its own, deaf to signals, without our pipes or with them."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if ignore:
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
                    signal.signal(number, signal.SIG_IGN)
            os.execv("/bin/sleep", ["sleep", seconds])
        os._exit(0)
    os.wait()


@attempt
def daemons(event: dict[str, Any]) -> Any:
    """They stay, holding stdout and stderr open, when the handler has returned."""
    for _ in range(5):
        _daemon(event["sleep_s"])
    return len([pid for pid in os.listdir("/proc") if pid.isdigit()])


@attempt
def daemons_then_exit(event: dict[str, Any]) -> Any:
    _daemon(event["sleep_s"])
    os._exit(3)


@attempt
def stop_itself(event: dict[str, Any]) -> Any:
    return os.kill(os.getpid(), signal.SIGSTOP)


@attempt
def ignore_signals_and_go_on(event: dict[str, Any]) -> Any:
    for number in set(range(1, 65)) - {signal.SIGCHLD}:
        outcome(lambda number=number: signal.signal(number, signal.SIG_IGN))  # type: ignore[misc]
    _daemon(event["sleep_s"])
    while True:
        time.sleep(100)


@attempt
def stop_while_a_child_is_stopped(event: dict[str, Any]) -> Any:
    child = subprocess.Popen(["/bin/sleep", event["sleep_s"]])
    child.send_signal(signal.SIGSTOP)
    return child.poll()


@attempt
def kill_itself(event: dict[str, Any]) -> Any:
    return os.kill(os.getpid(), signal.SIGKILL)


@attempt
def crash_with_a_core(event: dict[str, Any]) -> Any:
    return os.kill(os.getpid(), signal.SIGSEGV)


@attempt
def replace_the_runtime(event: dict[str, Any]) -> Any:
    """By a program that knows nothing of the Runtime API."""
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", "print('not a runtime', flush=True)"])


@attempt
def leave_something(event: dict[str, Any]) -> Any:
    """For the next invocation of this environment: as on AWS, it finds it."""
    found = os.path.exists("/tmp/left"), os.environ.get("LEFT")
    open("/tmp/left", "w").close()
    os.environ["LEFT"] = "here"
    return list(found)
