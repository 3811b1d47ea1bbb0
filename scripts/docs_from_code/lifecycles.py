"""State diagrams and tables, from the transition tables themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable

from markdown import table

from lambent.control_plane import states
from lambent.worker import lifecycle
from lambent.worker.runtime_api import machine

Row = tuple[str, str, str]  # from, what happens, to


def _diagram(start: str, rows: Iterable[Row]) -> str:
    lines = ["```mermaid", "stateDiagram-v2"]
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in (row[0], row[2])))
    lines += [f'    state "{name}" as {_id(name)}' for name in names]
    lines.append(f"    [*] --> {_id(start)}")
    # A second colon would end the label.
    lines += [f"    {_id(before)} --> {_id(after)}: {what.replace(':', ',')}" for before, what, after in rows]
    return "\n".join([*lines, "```", "", table(("From", "What happens", "To"), rows)])


def _id(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def environment() -> str:
    """`worker.lifecycle.STEPS`."""
    rows = [(before.value, step.value, after.value) for (before, step), after in lifecycle.STEPS.items()]
    return _diagram(lifecycle.Stage.LAUNCHING.value, rows)


def runtime_api() -> str:
    """`worker.runtime_api.machine.MOVES`."""
    rows = [(before.value, move.value, after.value) for (before, move), after in machine.MOVES.items()]
    return _diagram(machine.Phase.STARTING.value, rows)


def function() -> str:
    """`control_plane.states.TRANSITIONS`."""
    rows = [(_status(before), event.value, _status(after)) for (before, event), after in states.TRANSITIONS.items()]
    return _diagram(_status(states.PENDING), rows)


def _status(status: states.Status) -> str:
    state, update = status
    return f"{state.value}" + (f", {update.value}" if update else "")


BLOCKS = {"environment stages": environment, "runtime API phases": runtime_api, "function states": function}
