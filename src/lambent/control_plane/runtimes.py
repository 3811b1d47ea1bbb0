"""Which runtime identifiers may be given to a function. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html. An identifier that AWS takes is taken here too,
whether or not this host can run it: the first use says what is missing.
"""

from __future__ import annotations

from typing import Final

CREATABLE: Final = (
    "nodejs16.x",
    "nodejs18.x",
    "nodejs20.x",
    "nodejs22.x",
    "nodejs24.x",
    "nodejs26.x",
    "java8.al2",
    "java8.al2023",
    "java11",
    "java11.al2023",
    "java17",
    "java17.al2023",
    "java21",
    "java25",
    "python3.8",
    "python3.9",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "python3.15",
    "dotnet6",
    "dotnet8",
    "dotnet10",
    "ruby3.2",
    "ruby3.3",
    "ruby3.4",
    "ruby4.0",
    "provided.al2",
    "provided.al2023",
)

RETIRED: Final = (
    "nodejs",
    "nodejs4.3",
    "nodejs4.3-edge",
    "nodejs6.10",
    "nodejs8.10",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "java8",
    "python2.7",
    "python3.6",
    "python3.7",
    "dotnetcore1.0",
    "dotnetcore2.0",
    "dotnetcore2.1",
    "dotnetcore3.1",
    "go1.x",
    "ruby2.5",
    "ruby2.7",
    "provided",
)
"""Past AWS's "block function create" date: known, and refused with a message of their own."""

NOT_OFFERED: Final = ("custom",)
"""In the API model, and refused as not offered yet: a customer-managed runtime needs RuntimeConfig."""
