"""`lambent deploy`: create a function from a directory or ZIP file, or update the one of that name."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from lambent.cli import handlers
from lambent.cli.client import client, error_code, health, one_line_errors
from lambent.cli.errors import CommandError
from lambent.cli.printing import print_json
from lambent.packaging.build import BuildError, zip_directory

DEFAULT_ROLE = "lambent-default-role"
WAIT = {"Delay": 0.05, "MaxAttempts": 2400}  # two minutes, asking so often that deploying feels immediate
LOOKING_S = 3.0  # a server just started is still looking for runtimes; asking makes it look for new ones
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


def run(options: Namespace) -> int:
    """Deploy and wait until the function can be invoked."""
    path = Path(options.path)
    archive = _archive(path)
    name = options.name or _function_name(path)
    settings = _settings(options)
    with one_line_errors(options):
        functions = client(options, "lambda")
        try:
            existing = functions.get_function_configuration(FunctionName=name)
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            existing = None
        settings |= _runtime_and_handler(options, archive, existing)
        if existing is None:
            role = options.role or _default_role(options)
            functions.create_function(FunctionName=name, Role=role, Code={"ZipFile": archive}, **settings)
            functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=WAIT)
        else:
            _update(functions, name, archive, settings | ({"Role": options.role} if options.role else {}))
        result = functions.get_function_configuration(FunctionName=name)
    result.pop("ResponseMetadata", None)
    if options.json:
        print_json(result)
    else:
        print(f"{'Updated' if existing else 'Created'} {result['FunctionArn']}")
        print(f"{result['Runtime']}, handler {result['Handler']}, {result['MemorySize']} MB, {result['Timeout']} s")
        print(f"Try: lambent invoke {name} -d '{{}}'")
    return 0


def _update(functions: Any, name: str, archive: bytes, settings: dict[str, Any]) -> None:
    functions.update_function_code(FunctionName=name, ZipFile=archive)
    functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=WAIT)
    if settings:
        functions.update_function_configuration(FunctionName=name, **settings)
        functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=WAIT)


def _archive(path: Path) -> bytes:
    try:
        if path.is_dir():
            return zip_directory(path)
        if path.suffix == ".zip" or zipfile.is_zipfile(path):
            return path.read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror or error}") from None
    except BuildError as error:
        raise CommandError(str(error)) from None
    if not path.exists():
        raise CommandError(f"there is no {path}")
    raise CommandError(f"{path} is neither a directory nor a ZIP file")


def _function_name(path: Path) -> str:
    return re.sub(r"[^a-zA-Z0-9-_]+", "-", path.resolve().name.removesuffix(".zip")).strip("-")[:64]


def _settings(options: Namespace) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if options.memory is not None:
        settings["MemorySize"] = options.memory
    if options.timeout is not None:
        settings["Timeout"] = options.timeout
    if options.description is not None:
        settings["Description"] = options.description
    if options.env:
        pairs = [item.partition("=") for item in options.env]
        if any(not equals for _, equals, _ in pairs):
            raise CommandError("--env takes KEY=VALUE")
        settings["Environment"] = {"Variables": {key: value for key, _, value in pairs}}
    return settings


def _runtime_and_handler(options: Namespace, archive: bytes, existing: dict[str, Any] | None) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if options.runtime:
        given["Runtime"] = options.runtime
    if options.handler:
        given["Handler"] = options.handler
    if existing is not None or len(given) == 2:
        return given
    guessed = _guess(archive)
    if guessed is None:
        raise CommandError("cannot tell the handler from the code: give --handler FILE.FUNCTION (and --runtime)")
    return {"Runtime": _newest(options, guessed.language), "Handler": guessed.handler} | given


def _guess(archive: bytes) -> handlers.Guess | None:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as package:
            return handlers.guess(package.namelist(), lambda name: package.read(name).decode("utf-8", "replace"))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise CommandError(f"cannot read the ZIP file: {error}") from None


def _newest(options: Namespace, language: str) -> str:
    """The newest runtime of that language that the server has."""
    if language == "provided":
        return "provided.al2023"
    deadline = time.monotonic() + LOOKING_S
    while not (installed := [name for name in health(options).get("runtimes") or [] if name.startswith(language)]):
        if time.monotonic() > deadline:
            raise CommandError(f"the server has no {language} runtime: see `lambent runtimes`")
        time.sleep(0.1)
    newest: str = max(installed, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])
    return newest


def _default_role(options: Namespace) -> str:
    iam = client(options, "iam")
    try:
        role = iam.create_role(
            RoleName=DEFAULT_ROLE,
            AssumeRolePolicyDocument=json.dumps(_TRUST),
            Description="Execution role of functions deployed without one",
        )
    except ClientError as error:
        if error_code(error) != "EntityAlreadyExists":
            raise
        role = iam.get_role(RoleName=DEFAULT_ROLE)
    return str(role["Role"]["Arn"])
