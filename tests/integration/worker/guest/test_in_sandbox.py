"""The guests in real sandboxes, mounted and started as the catalog says."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lambent.worker.runtimes.catalog import RuntimeCatalog
from lambent.worker.runtimes.identifiers import KNOWN
from lambent.worker.sandbox.api import Bind

pytestmark = pytest.mark.root

PYTHONS = [name for name, known in KNOWN.items() if known.language == "python"]
NODES = [name for name, known in KNOWN.items() if known.language == "nodejs"]

PYTHON_CODE = """
import locale, os, ssl, sqlite3, subprocess, sys, ctypes, zoneinfo_or_not
def handler(event, context):
    return {
        "path": sys.path, "prefix": sys.prefix, "executable": sys.executable, "file": __file__,
        "packages": os.listdir(sys.prefix + "/lib/python%d.%d/site-packages" % sys.version_info[:2]),
        "child": subprocess.check_output(["python3", "-c", "import sys, json; print(sys.version_info[1])"], text=True),
        "fs": sys.getfilesystemencoding(), "encoding": open(os.devnull).encoding.lower(),
        "loaded": zoneinfo_or_not.x, "layer": __import__("from_layer").x,
        "cached": sys.modules["_lambda_runtime.loop"].__cached__ is not None, "cwd": os.getcwd(),
    }
"""


@pytest.mark.parametrize("identifier", PYTHONS)
async def test_python(start_sandboxed: Any, catalog: RuntimeCatalog, identifier: str) -> None:
    runtime = catalog.find(identifier)
    if runtime is None:
        pytest.skip(catalog.missing_message(identifier))
    files = {"index.py": PYTHON_CODE, "zoneinfo_or_not.py": "x = 1"}
    guest = await start_sandboxed(runtime, files, layer={"python/from_layer.py": "x = 2"})
    answer = await guest.api.invoke({})
    assert answer.path.endswith("/response"), answer.body
    seen = answer.json
    packages = f"/var/lang/lib/{identifier}/site-packages"
    minor = int(identifier.rpartition(".")[2])
    library = [f"/var/lang/lib/{identifier.replace('.', '')}.zip", f"/var/lang/lib/{identifier}"]
    library.append(f"/var/lang/lib/{identifier}/lib-dynload")
    head = ["/var/task", f"/opt/python/lib/{identifier}/site-packages", "/opt/python"]
    middle = ["/var/runtime", *library, packages] if minor < 11 else [packages, "/var/runtime", *library]
    assert seen["path"] == head + middle
    assert (seen["prefix"], seen["executable"]) == ("/var/lang", f"/var/lang/bin/{identifier}")
    assert seen["file"] == "/var/task/index.py"
    assert runtime.sdk_dir is not None or seen["packages"] == []
    assert seen["child"] == f"{minor}\n"
    assert (seen["fs"], seen["encoding"]) == ("utf-8", "utf-8")
    assert (seen["loaded"], seen["layer"], seen["cached"], seen["cwd"]) == (1, 2, True, "/var/task")


NODE_CODE = """
import dep from "dep";
import sdk from "@aws-sdk/client-fake";
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
export const handler = async () => ({
  dep, sdk, required: [require("dep"), require("@aws-sdk/client-fake")],
  version: process.version, path: process.execPath,
});
"""


@pytest.mark.parametrize("identifier", NODES)
async def test_modules_of_layers_come_before_the_sdk(
    start_sandboxed: Any, catalog: RuntimeCatalog, identifier: str, tmp_path: Any
) -> None:
    runtime = catalog.find(identifier)
    if runtime is None:
        pytest.skip(catalog.missing_message(identifier))
    sdk = tmp_path / "sdk"
    (sdk / "@aws-sdk/client-fake").mkdir(parents=True)
    (sdk / "@aws-sdk/client-fake/index.js").write_text("module.exports = 'of the runtime'")
    binds = [bind for bind in runtime.binds if "node_modules" not in bind.target]
    binds += [Bind(sdk, "/var/runtime/node_modules"), Bind(sdk, "/var/node_modules")]
    runtime = dataclasses.replace(runtime, binds=tuple(binds))

    plain = await start_sandboxed(
        runtime,
        {"index.mjs": NODE_CODE, "node_modules/dep/index.js": "module.exports = 'own'"},
    )
    own = (await plain.api.invoke({})).json
    assert own["dep"] == "own"
    assert own["sdk"] == "of the runtime"
    assert own["required"] == ["own", "of the runtime"]
    assert own["version"].startswith(f"v{identifier.removeprefix('nodejs').removesuffix('.x')}.")
    assert own["path"] == "/var/lang/bin/node"

    layer = {
        "nodejs/node_modules/dep/index.js": "module.exports = 'of the layer'",
        "nodejs/node_modules/@aws-sdk/client-fake/index.js": "module.exports = 'newer, of the layer'",
    }
    layered = await start_sandboxed(runtime, {"index.mjs": NODE_CODE}, layer=layer)
    answer = await layered.api.invoke({})
    assert answer.path.endswith("/response"), answer.body
    seen = answer.json
    assert (seen["dep"], seen["sdk"]) == ("of the layer", "newer, of the layer")
    assert seen["required"] == ["of the layer", "newer, of the layer"]


async def test_a_python_of_the_system_looks_like_a_prefix(start_sandboxed: Any, tmp_path: Any) -> None:
    """Debian's Python, say: its modules are spread over /usr, and its packages are the host's."""
    catalog = RuntimeCatalog(tmp_path / "system", {"PATH": "/usr/bin"})
    found = [runtime for runtime in catalog.installed() if runtime.language == "python"]
    if not found:
        pytest.skip("no Python in /usr/bin")
    runtime = found[0]
    code = "import os, ssl, sys\ndef handler(event, context):\n    return [sys.prefix, os.__file__, sys.path]"
    guest = await start_sandboxed(runtime, {"index.py": code})
    prefix, library, path = (await guest.api.invoke({})).json
    assert prefix == "/var/lang"
    assert library == f"/var/lang/lib/{runtime.identifier}/os.py"
    assert not [entry for entry in path if entry.startswith("/usr")]
