"""What user code and monitoring tools find of AWS's own runtime in the Python guest."""

from __future__ import annotations

from typing import Any

# As monitoring tools do it: everything by replacing, from within the import of the handler's module.
HOOKING = """
import sys
bootstrap = sys.modules["__main__"].bootstrap
old = bootstrap.handle_event_request

def handle_event_request(client, handler, *args, **kwargs):
    def hooked(event, context):
        print("before handler")
        return handler(event, context)
    return old(client, hooked, *args, **kwargs)

def announced(name):
    original = getattr(bootstrap.LambdaRuntimeClient, name)
    def replacement(*args, **kwargs):
        print(name, args[1])
        return original(*args, **kwargs)
    setattr(bootstrap.LambdaRuntimeClient, name, replacement)

bootstrap.handle_event_request = handle_event_request
for name in ("post_init_error", "post_invocation_result", "post_invocation_error"):
    announced(name)

def handler(event, context):
    return 1 / event
"""


async def test_tools_may_replace_parts_of_the_runtime(start_guest: Any, python_argv: list[str]) -> None:
    guest = await start_guest(python_argv, {"index.py": HOOKING})
    assert (await guest.api.invoke(1)).json == 1.0
    assert (await guest.api.invoke(0)).json["errorType"] == "ZeroDivisionError"
    texts = guest.texts()
    first, second = (f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2))
    assert texts[:3] == ["before handler\n", f"post_invocation_result {first}\n", "before handler\n"]
    assert texts[3].startswith("[ERROR] ZeroDivisionError: ")
    assert texts[4] == f"post_invocation_error {second}\n"

    failing = await start_guest(python_argv, {"index.py": HOOKING + "\nraise ValueError('late')\n"})
    assert (await failing.api.answers.get()).json["errorMessage"] == "late"
    assert failing.texts()[-1].startswith("post_init_error {'errorMessage': 'late', ")


async def test_modules_of_aws_runtime_can_be_imported(start_guest: Any, python_argv: list[str]) -> None:
    code = """
from awslambdaric.lambda_context import LambdaContext
from snapshot_restore_py import register_after_restore, register_before_snapshot

@register_before_snapshot
def before():
    pass

register_after_restore(before, 1)

def handler(event, context):
    return [isinstance(context, LambdaContext), before.__name__]
"""
    guest = await start_guest(python_argv, {"index.py": code})
    assert (await guest.api.invoke({})).json == [True, "before"]
