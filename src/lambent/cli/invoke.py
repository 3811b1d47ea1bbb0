"""`lambent invoke`: the result on stdout, the log tail on stderr; exit status 1 when the function failed."""

from __future__ import annotations

import base64
import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from lambent.cli.client import client, one_line_errors
from lambent.cli.errors import CommandError
from lambent.cli.printing import print_json


def run(options: Namespace) -> int:
    """Invoke a function and show what it returned and logged."""
    request: dict[str, Any] = {"FunctionName": options.name, "Payload": _event(options.data), "LogType": "Tail"}
    if options.qualifier:
        request["Qualifier"] = options.qualifier
    if options.tenant_id:
        request["TenantId"] = options.tenant_id
    with one_line_errors(options):
        response = client(options, "lambda").invoke(**request)
        payload = response["Payload"].read()
    log = base64.b64decode(response.get("LogResult", "")).decode("utf-8", "replace")
    error = response.get("FunctionError")
    if options.json:
        print_json({
            "StatusCode": response["StatusCode"],
            "ExecutedVersion": response.get("ExecutedVersion"),
            "FunctionError": error,
            "Payload": json.loads(payload) if payload else None,
            "Log": log,
        })  # fmt: skip
    else:
        sys.stderr.write(log)
        sys.stderr.flush()
        sys.stdout.write(payload.decode("utf-8", "replace") + "\n")
    return 1 if error else 0


def _event(data: str) -> bytes:
    if data == "@-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        try:
            return Path(data[1:]).read_bytes()
        except OSError as error:
            raise CommandError(f"cannot read the event from {data[1:]}: {error.strerror}") from None
    return data.encode()
