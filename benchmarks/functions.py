"""The functions that are deployed for measuring, to Lambent and to peers: source, language, and an event that costs
nothing."""

from __future__ import annotations

from collections.abc import Mapping

ROLE = "arn:aws:iam::000000000000:role/lambent-default-role"
MEMORY_MB = 1769

_ECHO = "def handler(event, context):\n    print('event', event)\n    return event\n"

_RECEIVED = """
import time
def handler(event, context):
    for record in event.get('Records', ()):
        print('late', time.time() - float(record['body']))
"""

_UNTIL = """
import time
def handler(event, context):
    begun = time.time()
    time.sleep(max(0, event - begun))
    return begun
"""

# By name: language, and the source of its handler (`app.handler`).
FUNCTIONS: Mapping[str, tuple[str, str]] = {
    "python": ("python", _ECHO),
    "python-import": ("python", "import boto3\n" + _ECHO),
    "python-client": ("python", "import boto3\nclient = boto3.client('sqs')\n" + _ECHO),
    "node": (
        "node",
        "export const handler = async (event) => { console.log('event', event); return event; };\n",
    ),
    "node-slow": (
        "node",
        "export const handler = (event) => new Promise((done) => setTimeout(done, event * 1000));\n",
    ),
    "slow": ("python", "import time\ndef handler(event, context):\n    time.sleep(event)\n"),
    "slow-import": ("python", "import boto3, time\ndef handler(event, context):\n    time.sleep(event)\n"),
    "until": ("python", _UNTIL),
    "late": (
        "python",
        "import time\ndef handler(event, context):\n    print('late', time.time() - (event or time.time()))\n",
    ),
    "received": ("python", _RECEIVED),
    "slept": ("python", "import time\ndef handler(event, context):\n    time.sleep(0.001)\n"),
    "size": ("python", "def handler(event, context):\n    return len(event['data'])\n"),
}
FILES = {"python": "app.py", "node": "app.mjs"}
"""The name of the source file, by language."""

SMALL = {"until": 128}
"""MB of those of which there are many at once; the others have MEMORY_MB."""

_NUMBERS = ("slow", "slow-import", "node-slow", "until", "late")


def first_event(function: str) -> object:
    """An event that costs one of FUNCTIONS nothing."""
    return 0 if function in _NUMBERS else {"data": ""}
