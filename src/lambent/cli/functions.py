"""`lambent list` and `lambent delete`."""

from __future__ import annotations

from argparse import Namespace

from lambent.cli.client import client, one_line_errors
from lambent.cli.printing import print_json, print_table


def run_list(options: Namespace) -> int:
    """List the functions of the account and region."""
    with one_line_errors(options):
        pages = client(options, "lambda").get_paginator("list_functions").paginate()
        functions = [function for page in pages for function in page["Functions"]]
    if options.json:
        print_json(functions)
    elif functions:
        header = ("NAME", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "SIZE", "LAST MODIFIED")
        print_table(header, [
            (
                function["FunctionName"],
                function.get("Runtime", "-"),
                function.get("Handler", "-"),
                f"{function['MemorySize']} MB",
                f"{function['Timeout']} s",
                f"{function['CodeSize'] / 1024:.1f} KB",
                function["LastModified"][:19].replace("T", " "),
            )
            for function in functions
        ])  # fmt: skip
    else:
        print("There are no functions. `lambent deploy PATH` makes one.")
    return 0


def run_delete(options: Namespace) -> int:
    """Delete a function with all its versions. Its log stays."""
    with one_line_errors(options):
        client(options, "lambda").delete_function(FunctionName=options.name)
    if options.json:
        print_json({"FunctionName": options.name, "Deleted": True})
    else:
        print(f"Deleted {options.name}.")
    return 0
