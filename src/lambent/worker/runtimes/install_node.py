"""Installs what Node.js runtimes need, from the npm registry: interpreters and the AWS SDK for JavaScript v3."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from lambent.worker.runtimes.identifiers import RuntimeIdentifier
from lambent.worker.runtimes.layout import RuntimesLayout
from lambent.worker.runtimes.staging import InstallError, Report, fresh_directory, point, publish, run_tool

# A selection of the SDK: on AWS all clients are there, which is ten times the download.
SDK_PACKAGES = (
    "client-apigatewaymanagementapi",
    "client-cloudformation",
    "client-cloudwatch",
    "client-cloudwatch-logs",
    "client-cognito-identity-provider",
    "client-dynamodb",
    "client-ecs",
    "client-eventbridge",
    "client-firehose",
    "client-iam",
    "client-kinesis",
    "client-kms",
    "client-lambda",
    "client-s3",
    "client-secrets-manager",
    "client-sesv2",
    "client-sfn",
    "client-sns",
    "client-sqs",
    "client-ssm",
    "client-sts",
    "credential-providers",
    "lib-dynamodb",
    "lib-storage",
    "s3-request-presigner",
    "util-dynamodb",
)
_GAUGE = "@aws-sdk/client-s3"  # its releases tell which SDK versions there are, and for which Node.js
_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}

Version = tuple[int, ...]


def install_interpreter(
    known: RuntimeIdentifier, layout: RuntimesLayout, environ: Mapping[str, str], report: Report
) -> None:
    major = known.version[0]
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise InstallError(f"There is no Node.js for {platform.machine()} in the npm registry.")
    package = f"node-linux-{machine}"
    answer = run_tool(["npm", "view", package, "versions", "--json"], f"look up Node.js {major}", environ)
    version = newest(_strings(answer), (major,))
    if version is None:
        raise InstallError(f"The npm registry has no {package} of version {major}.")
    report(f"{known.name}: installing Node.js {version}")
    with fresh_directory(layout) as fresh:
        _npm_install(fresh, [f"{package}@{version}"], f"install Node.js {version}", environ)
        made = fresh / "node_modules" / package
        if not (made / "bin" / "node").is_file():
            raise InstallError(f"The npm package {package} {version} contains no bin/node.")
        target = layout.root / known.name / f"node-{version}"
        publish(made, target)
    point(layout.node_prefix(known.name), target)


def install_sdk(
    known: RuntimeIdentifier,
    interpreter: Path,
    interpreter_version: str,
    layout: RuntimesLayout,
    environ: Mapping[str, str],
    report: Report,
) -> str:
    """Install the newest SDK that supports this Node.js; its version. Runtimes with the same newest SDK share it."""
    query = ["npm", "view", f"{_GAUGE}@>=3.300.0", "version", "engines.node", "--json"]
    releases = json.loads(run_tool(query, "look up the AWS SDK", environ))
    version = newest_supporting(releases if isinstance(releases, list) else [releases], interpreter_version)
    if version is None:
        raise InstallError(f"No release of the AWS SDK supports Node.js {interpreter_version}.")
    target = layout.node_sdks / version
    if not target.is_dir():
        report(f"{known.name}: installing the AWS SDK {version}")
        with fresh_directory(layout) as fresh:
            # Clients that did not change skip versions, so each is the newest up to the chosen one.
            packages = [f"@aws-sdk/{name}@<={version}" for name in SDK_PACKAGES]
            _npm_install(fresh, packages, f"install the AWS SDK {version}", environ)
            _check_loads(fresh, interpreter)
            publish(fresh, target)
    point(layout.node_sdk(known.name), target)
    return version


def sdk_version(link: Path) -> str:
    """The SDK version a runtime's link leads to; empty when there is none."""
    return link.resolve().name if link.is_dir() else ""


def _npm_install(directory: Path, packages: list[str], what: str, environ: Mapping[str, str]) -> None:
    (directory / "package.json").write_text('{"private": true}')
    argv = ["npm", "install", "--prefix", str(directory), "--no-save", "--no-package-lock", "--ignore-scripts"]
    argv += ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error", *packages]
    run_tool(argv, what, environ)


def _check_loads(directory: Path, interpreter: Path) -> None:
    """Dependencies are chosen by npm, which does not look at the Node.js they need."""
    names = json.dumps([f"@aws-sdk/{name}" for name in SDK_PACKAGES])
    script = (
        "const load = require('node:module').createRequire(process.argv[1] + '/');"
        f"for (const name of {names}) try {{ load(name); }}"
        " catch (error) { console.error(`${name}: ${error.message}`); process.exit(1); }"
    )
    argv = [str(interpreter), "-e", script, str(directory)]
    run_tool(argv, "load the AWS SDK just installed", {"PATH": "/usr/bin:/bin"})


def newest(versions: Iterable[str], beginning: Version) -> str | None:
    """The newest release (no pre-release) that begins so."""
    found = [(_parsed(text), text) for text in versions if re.fullmatch(r"\d+(\.\d+)*", text)]
    fitting = [pair for pair in found if pair[0][: len(beginning)] == beginning]
    return max(fitting)[1] if fitting else None


def newest_supporting(releases: Iterable[Mapping[str, str]], node: str) -> str | None:
    """Of npm's {version, engines.node} (">=18.0.0"), the newest release that `node` is enough for."""
    fitting = []
    for release in releases:
        needed = re.fullmatch(r">=\s*(\d+(?:\.\d+)*)", release.get("engines.node", ">=0"))
        if needed is not None and _parsed(needed.group(1)) <= _parsed(node):
            fitting.append(release["version"])
    return newest(fitting, ())


def _parsed(text: str) -> Version:
    return tuple(map(int, text.split(".")))


def _strings(answer: str) -> list[str]:
    value = json.loads(answer)
    return [value] if isinstance(value, str) else [str(item) for item in value]
