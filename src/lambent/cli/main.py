"""`lambent`: the commands and their arguments. Each command's work is in a module of its own, imported when used."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

import lambent
from lambent.cli.errors import CommandError
from lambent.config import OPTIONS, ConfigError

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status: 0, 1 (it failed, or the function did), 2 (wrong usage or settings)."""
    options = build_parser().parse_args(arguments)
    module, function = options.command
    try:
        status: int = getattr(importlib.import_module(module), function)(options)
    except ConfigError as error:
        print(f"lambent: {error}", file=sys.stderr)
        return EXIT_USAGE
    except CommandError as error:
        print(f"lambent: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # e.g. `lambent logs f | head`
        sys.stderr.close()
        return EXIT_FAILED
    return status


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(prog="lambent", description="AWS Lambda on your own machines.")
    parser.add_argument("--version", action="version", version=f"lambent {lambent.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_host_commands(commands)
    _add_client_commands(commands)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    module: str,
    help_: str,
    function: str = "run",
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help_, description=help_[0].upper() + help_[1:] + ".")
    parser.set_defaults(command=(f"lambent.cli.{module}", function))
    return parser


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = _command(commands, "serve", "serve", "run the server")
    for option in OPTIONS:
        default = f" (default {option.default})" if option.default else ""
        if option.name == "dev":
            serve.add_argument("--dev", action="store_const", const="true", help=option.help)
        elif option.name == "upstream":
            serve.add_argument("--upstream", action="append", metavar=option.metavar, help=option.help)
        else:
            metavar = option.metavar or option.name.upper()
            serve.add_argument(f"--{option.name}", dest=option.field, metavar=metavar, help=option.help + default)
    serve.add_argument("--config", metavar="FILE", help="TOML file with the same settings (or $LAMBENT_CONFIG)")


def _add_host_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Commands about this machine, which need no server."""
    doctor = _command(commands, "doctor", "doctor", "say what this machine can isolate, limit and run")
    runtimes = _command(commands, "runtimes", "runtimes", "list the runtimes of this machine, or install some")
    runtimes.add_argument("action", nargs="?", choices=["list", "install"], default="list")
    runtimes.add_argument(
        "names", nargs="*", metavar="NAME", help="what to install, e.g. python3.12; none: SDKs for all that were found"
    )
    for parser in (doctor, runtimes):
        parser.add_argument("--data-dir", metavar="DIR", help="the server's data directory")
        parser.add_argument("--runtimes-dir", metavar="DIR", help="the server's runtimes directory (default: in the "
                            "data directory)")  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print JSON")


def _add_client_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    deploy = _command(commands, "deploy", "deploy", "create or update a function from a directory or a ZIP file")
    deploy.add_argument("path", metavar="PATH")
    deploy.add_argument("--name", help="function name (default: that of the directory or file)")
    deploy.add_argument("--runtime", help="e.g. python3.12 (default: the newest one installed that fits the code)")
    deploy.add_argument("--handler", help="e.g. app.handler (default: found in the code where obvious)")
    deploy.add_argument("--role", help="ARN of the execution role (default: one is made)")
    deploy.add_argument("--memory", type=int, metavar="MB")
    deploy.add_argument("--timeout", type=int, metavar="SECONDS")
    deploy.add_argument("--env", action="append", default=[], metavar="KEY=VALUE", help="environment variable; repeat")
    deploy.add_argument("--description")

    invoke = _command(commands, "invoke", "invoke", "invoke a function: result on stdout, log tail on stderr")
    invoke.add_argument("name", metavar="NAME")
    invoke.add_argument("-d", "--data", default="{}", metavar="JSON", help="the event; @FILE reads it, @- from stdin")
    invoke.add_argument("--qualifier", help="version")
    invoke.add_argument("--tenant-id", metavar="ID", help="whose event it is, for a function with tenant isolation")

    logs = _command(commands, "logs", "logs", "print a function's log")
    logs.add_argument("name", metavar="NAME")
    logs.add_argument("-f", "--follow", action="store_true", help="go on printing what is logged")
    logs.add_argument("--since", default="1h", metavar="AGE", help="how far back, e.g. 30s, 10m, 2h, 7d (default 1h)")

    cost = _command(commands, "cost", "cost", "say what functions used each day, and what AWS would ask for it")
    cost.add_argument("name", nargs="?", metavar="NAME", help="only this function")
    cost.add_argument("--since", metavar="DAY", help="first day, e.g. 2026-01-01, or 7d for a week back (default: the "
                      "first of the month)")  # fmt: skip
    cost.add_argument("--until", metavar="DAY", help="last day (default: today, UTC)")

    listing = _command(commands, "list", "functions", "list the functions", "run_list")
    delete = _command(commands, "delete", "functions", "delete a function", "run_delete")
    delete.add_argument("name", metavar="NAME")
    keys = _command(commands, "keys", "keys", "make, list or delete access keys")
    keys.add_argument("action", nargs="?", choices=["create", "list", "delete"], default="list")
    keys.add_argument("key", nargs="?", metavar="KEY", help="the access key id to delete")
    keys.add_argument("--user", metavar="NAME", help="whose; made if need be (default: the caller's own; to list, "
                      "everybody's)")  # fmt: skip
    keys.add_argument("--policy", action="append", default=[], metavar="NAME", help="managed policy for the user: its "
                      "ARN or name, e.g. AWSLambda_FullAccess; repeat")  # fmt: skip
    for parser in (deploy, invoke, logs, cost, listing, delete, keys):
        parser.add_argument("--endpoint-url", metavar="URL", help="the server (default: $LAMBENT_ENDPOINT_URL, "
                            "else http://127.0.0.1:4566)")  # fmt: skip
        parser.add_argument("--region", default=None, help="region (default: $AWS_REGION, else us-east-1)")
        parser.add_argument("--json", action="store_true", help="print JSON")


if __name__ == "__main__":
    sys.exit(main())
