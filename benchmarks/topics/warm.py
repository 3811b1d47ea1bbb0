"""Warm invocations: the same function over and over, from 1, 8 and 64 callers; and by a user whose policy is asked.

The runtime's processor time is that of all processes in sandboxes: the bootstrap's, the handler's, and that of init.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import load
import processes
from subject import Lambent, Subject, UnsupportedError
from table import Figure, Row
from topics import Options

CALLERS = (1, 8, 64)
LABELS = {"python": "Python", "node": "Node.js"}
# Invocations per second; see docs/reference/performance.md.
GOALS = {("python", 1): 3_200, ("python", 8): 8_000, ("python", 64): 9_500, ("node", 1): 2_000, ("node", 8): 4_000}
P50_GOAL_MS = {("python", 1): 0.3}
P99_GOAL_MS = {("python", 8): 4.0}
CPU_GOAL_US = {("python", 8): 100.0}
RUNTIME_CPU_GOAL_US = {("python", 8): 90.0}
_USER = "caller"
_USER_CALLERS = (1, 8)


def measure_ours(subject: Lambent, options: Options) -> Iterator[Row]:
    """All, and what a policy costs."""
    yield from _of_function(subject, "python", options)
    yield from _by_a_user(subject, options)
    yield from _of_function(subject, "node", options)


def measure(subject: Subject, options: Options) -> Iterator[Row]:
    for function in LABELS:
        yield from _of_function(subject, function, options)


def _of_function(subject: Subject, function: str, options: Options) -> Iterator[Row]:
    try:
        subject.deploy(function)
    except UnsupportedError:
        return
    except RuntimeError as error:
        yield Row(_what(function, 1), (), subject.name, f"not measured: {str(error).splitlines()[0][:80]}")
        return
    for callers in CALLERS:
        if callers > subject.callers_max:
            yield Row(_what(function, callers), (), subject.name, f"stands {subject.callers_max} at once")
            continue
        request = subject.invoke_request(function, {"key": "value"})
        yield _row(subject, _what(function, callers), request, callers, options.seconds, (function, callers))


def _by_a_user(subject: Lambent, options: Options) -> Iterator[Row]:
    statement = {
        "Effect": "Allow",
        "Action": ["lambda:InvokeFunction", "lambda:GetFunction"],
        "Resource": "arn:aws:lambda:us-east-1:000000000000:function:py*",
        "Condition": {"StringLike": {"aws:PrincipalArn": f"*:user/{_USER}"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    users = subject.client("iam")
    users.create_user(UserName=_USER)
    users.put_user_policy(UserName=_USER, PolicyName="invoke", PolicyDocument=policy)
    key = users.create_access_key(UserName=_USER)["AccessKey"]
    request = subject.invoke_request("python", {"key": "value"}, (key["AccessKeyId"], key["SecretAccessKey"]))
    for callers in _USER_CALLERS:
        what = f"{_what('python', callers)}, a user whose policy has a condition"
        yield _row(subject, what, request, callers, options.seconds, None)


def _row(
    subject: Subject, what: str, request: bytes, callers: int, seconds: float, goals: tuple[str, int] | None
) -> Row:
    key = goals or ("", 0)
    load.run(subject.port, request, callers, min(1.0, seconds))
    before, runtimes_before = processes.cpu_ms([subject.pid]), _runtimes(subject)
    outcome = load.run(subject.port, request, callers, seconds)
    server_us = (processes.cpu_ms([subject.pid]) - before) * 1000 / max(1, outcome.requests)
    used_ms = sum(time_ms - runtimes_before.get(pid, 0.0) for pid, time_ms in _runtimes(subject).items())
    figures = (
        Figure("", outcome.per_second, "/s", GOALS.get(key)),
        Figure("p50", outcome.percentile(0.5), "ms", P50_GOAL_MS.get(key)),
        Figure("p99", outcome.percentile(0.99), "ms", P99_GOAL_MS.get(key)),
        Figure("server CPU", server_us, "µs", CPU_GOAL_US.get(key)),
        Figure("runtime CPU", used_ms * 1000 / max(1, outcome.requests), "µs", RUNTIME_CPU_GOAL_US.get(key)),
    )
    note = f"{outcome.errors} errors" if outcome.errors else ""
    return Row(what, figures, subject.name, note)


def _runtimes(subject: Subject) -> dict[int, float]:
    """What each process that runs functions took so far, in ms."""
    return {pid: processes.cpu_ms([pid]) for pid in subject.function_processes()}


def _what(function: str, callers: int) -> str:
    return f"warm, {LABELS[function]}, {callers} caller{'s' if callers > 1 else ''}"
