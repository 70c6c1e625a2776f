"""Fetches the scripts of others that the pages serve: `make vendor`.

Each file is of an exact version of its package, and has the SHA-512 that `vendored.json` names; a file with
another one is not written. A newer version is a change of that list, looked at by whoever makes it:

    python -m tests.service.web.vendored --accept
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TypedDict

LIST = Path(__file__).with_suffix(".json")
FOLDER = Path(__file__).parents[3] / "service" / "web" / "assets" / "vendor"

BUNDLED = "window.vegaEmbed=vegaEmbed; window.vega=vega; window.vegaLite=vegaLite;"
"""What the bundle of Vega hands to the page's own scripts."""


class Vendored(TypedDict):
    """A file as it is served (`file`, below the folder of all of them), and where it comes from.

    `package` is a package of npm with its exact version, of which `path` is taken; or `vl-convert-python`,
    of which `path` is the version of Vega-Lite whose bundle it writes.
    """

    file: str
    package: str
    path: str
    sha512: str


def listed() -> list[Vendored]:
    """Return the files as the list has them."""
    entries: list[Vendored] = json.loads(LIST.read_text())
    return entries


def content(entry: Vendored, folder: Path) -> bytes:
    """Return the file from its package; `folder` is where packages of npm are unpacked."""
    name, _, version = entry["package"].rpartition("@")
    if name == "vl-convert-python":
        import vl_convert

        if metadata.version(name) != version:
            raise SystemExit(
                f"{entry['file']} is of {entry['package']}; installed is {metadata.version(name)}"
            )
        return vl_convert.javascript_bundle(BUNDLED, entry["path"]).encode()
    packed = folder / f"{name}-{version}.tgz"
    if not packed.exists():
        subprocess.run(
            ["npm", "pack", "--silent", entry["package"]], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
    with tarfile.open(packed) as archive:
        member = archive.extractfile(f"package/{entry['path']}")
        assert member is not None, f"{entry['package']} has no {entry['path']}"
        return member.read()


def main(arguments: Sequence[str] | None = None) -> None:
    """Write every file of the list; with `--accept`, note the hashes of what came."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--accept", action="store_true", help="note the hashes of what came in the list")
    accept = parser.parse_args(arguments).accept
    entries = listed()
    with tempfile.TemporaryDirectory() as folder:
        for entry in entries:
            found = content(entry, Path(folder))
            digest = hashlib.sha512(found).hexdigest()
            if accept:
                entry["sha512"] = digest
            elif digest != entry["sha512"]:
                said = f"{entry['file']} of {entry['package']} is not what the list says: {digest}"
                raise SystemExit(said)
            (FOLDER / entry["file"]).write_bytes(found)
    if accept:
        LIST.write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    main()
