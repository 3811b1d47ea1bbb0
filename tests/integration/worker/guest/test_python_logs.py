"""What Python functions write becomes records."""

from __future__ import annotations

import json
import re
import time
from typing import Any

WRITING = """
import logging, os, subprocess, sys, threading
print("init\\ntwo")
logger = logging.getLogger("mine")

def handler(event, context):
    print("one\\ntwo")
    print("no newline", end="")
    sys.stderr.write("to stderr\\n")
    sys.stdout.buffer.write("bytes é\\n".encode())
    sys.stdout.writelines(["a\\n", "b\\n"])
    logging.basicConfig(level=logging.DEBUG, format="mine %(message)s")
    logger.warning("warned %s", "é")
    logger.info("not shown")
    os.write(1, b"raw\\n")
    subprocess.run(["/bin/echo", "child"])
    return [sys.stdout.fileno(), sys.stdout.isatty(), sys.stdout.encoding, sys.stderr.fileno()]
"""


async def test_records(start_guest: Any, python_argv: list[str]) -> None:
    guest = await start_guest(python_argv, {"index.py": WRITING})
    before = time.time()
    answer = await guest.api.invoke({})
    assert answer.json == [1, False, "utf-8", 2]
    frames = guest.frames()
    texts = [frame.text for frame in frames]
    warning = texts.pop(6)
    assert texts == ["init\ntwo\n", "one\ntwo\n", "to stderr\n", "no newlinebytes é\n", "a\n", "b\n"]
    form = r"\[WARNING\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t00000000-0000-4000-8000-000000000001\twarned é\n"
    assert re.fullmatch(form, warning)
    assert all(frame.kind == 0xA55A0003 for frame in frames)
    assert all(before - 20 < frame.micros / 1e6 < time.time() + 1 for frame in frames)
    assert [frame.micros for frame in frames] == sorted(frame.micros for frame in frames)
    assert guest.raw_output() == "raw\nchild\n"


async def test_unfinished_lines_end_with_the_invocation(start_guest: Any, python_argv: list[str]) -> None:
    code = "import sys\ndef handler(event, context):\n    sys.stdout.write('partial')\n    raise ValueError('x')"
    guest = await start_guest(python_argv, {"index.py": code})
    await guest.api.invoke({})
    partial, error = guest.texts()
    assert partial == "partial"
    assert error.startswith("[ERROR] ValueError: x\n")


CROWD = """
import os, sys, threading

def work(number):
    for index in range(40):
        print(f"thread {number} line {index}", "é" * (number * 1500))

def handler(event, context):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    [thread.start() for thread in threads]
    pids = []
    for number in (4, 5):
        pid = os.fork()
        if pid == 0:
            work(number)
            os._exit(0)
        pids.append(pid)
    [thread.join() for thread in threads]
    return [os.waitpid(pid, 0)[1] for pid in pids]
"""


async def test_threads_and_forks_do_not_mix_records(start_guest: Any, python_argv: list[str]) -> None:
    """More than a pipe holds, so writers block; the reader takes everything apart again."""
    guest = await start_guest(python_argv, {"index.py": CROWD})
    guest.api.push({})
    while guest.api.answers.empty():
        guest.frames_so_far()
        await guest.pause()
    assert (await guest.api.answers.get()).json == [0, 0]
    texts = guest.texts()
    for number in range(6):
        lines = "".join(text for text in texts if text.startswith(f"thread {number} ")).count("\n")
        whole = [text for text in texts if text.startswith(f"thread {number} ")]
        assert len(whole) == 40
        assert lines <= 40
    total = sum(len(text) for text in texts)
    written = sum(len(f"thread {n} line {i} ") + n * 1500 + 1 for n in range(6) for i in range(40))
    assert total == written


async def test_json_format_and_levels(start_guest: Any, python_argv: list[str]) -> None:
    code = """
import logging
def handler(event, context):
    logging.debug("hidden")
    logging.info("shown %d", 1, extra={"order": 7})
    try:
        1 / 0
    except ZeroDivisionError:
        logging.exception("caught")
    raise KeyError("k")
"""
    env = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
    guest = await start_guest(python_argv, {"index.py": code}, env=env)
    await guest.api.invoke({}, Aws_Tenant_Id="blue")
    frames = guest.frames()
    assert [hex(frame.kind) for frame in frames] == ["0xa55a000e", "0xa55a0016", "0xa55a0016"]
    shown, caught, failed = [json.loads(frame.text) for frame in frames]
    request_id = "00000000-0000-4000-8000-000000000001"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown.pop("timestamp"))
    assert shown == {
        "level": "INFO",
        "message": "shown 1",
        "logger": "root",
        "requestId": request_id,
        "tenantId": "blue",
        "order": 7,
    }
    assert (caught["errorType"], caught["errorMessage"]) == ("ZeroDivisionError", "division by zero")
    assert "    1 / 0\n" in caught["stackTrace"][0]
    assert caught["location"] == f"{guest.task}/index.py:handler:9"
    assert (failed["level"], failed["errorType"], failed["errorMessage"]) == ("ERROR", "KeyError", "'k'")


async def test_without_a_telemetry_descriptor_records_are_plain(start_guest: Any, python_argv: list[str]) -> None:
    code = "def handler(event, context):\n    print('one\\ntwo')\n    raise ValueError('x')"
    guest = await start_guest(python_argv, {"index.py": code}, framed=False)
    await guest.api.invoke({})
    output = guest.raw_output()
    assert output.startswith("one\ntwo\n[ERROR] ValueError: x\rTraceback (most recent call last):\r")
    assert output.endswith("\n")
