"""The job of a form as others send it: JSON, a curl command, a Python program; none has the key. Pure."""

from __future__ import annotations

import json
import pprint
from collections.abc import Mapping
from typing import Any


def as_json(sent: Mapping[str, Any]) -> str:
    """Return the spec as JSON, short lists on one line."""
    return _json(sent, "")


def as_curl(sent: Mapping[str, Any], address: str) -> str:
    """Return a command for a shell that submits the job to the service at that address."""
    return (
        f"curl -sS {_quoted(address + '/v1/jobs')} \\\n"
        '  -H "X-API-Key: $WHICHOPT_KEY" -H "Content-Type: application/json" \\\n'
        f"  --data-binary @- <<'SPEC'\n{as_json(sent)}\nSPEC"
    )


def as_python(sent: Mapping[str, Any], address: str) -> str:
    """Return a program that submits the job to the service at that address, and prints its answer."""
    spec = pprint.pformat(dict(sent), width=76, sort_dicts=False)
    return (
        "import os\n\nfrom whichopt import Client\n\n"
        f"spec = {spec.replace(chr(10), chr(10) + ' ' * 7)}\n"
        f'with Client({address!r}, os.environ["WHICHOPT_KEY"]) as client:\n'
        "    job = client.submit(spec)\n"
        "    client.wait(job.id)\n"
        "    print(client.recommendation(job.id).statement)"
    )


def _json(value: Any, indent: str) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, Mapping | list) or len(indent) + len(flat) <= 30:
        return flat
    deeper = f"{indent} "
    if isinstance(value, Mapping):
        parts = [
            f"{deeper}{json.dumps(name, ensure_ascii=False)}: {_json(one, deeper)}"
            for name, one in value.items()
        ]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    return "[\n" + ",\n".join(f"{deeper}{_json(one, deeper)}" for one in value) + f"\n{indent}]"


def _quoted(address: str) -> str:
    """Return the address in quotes of a shell; a host that a browser sent has no quote in it."""
    return "'" + address.replace("'", "%27") + "'"
