"""What the plug-ins that are installed here offer, found by a process of its own that imports them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from whichopt.service.catalog.origins import Origin
from whichopt.service.catalog.plugins import OFFER, BrokenOffer, Offer
from whichopt.service.installed import Installed, installed

log = structlog.get_logger()

LIMIT_S = 300.0
"""Seconds that a plug-in may take to be imported."""

LOOK_S = 0.1
"""Seconds between two looks at a process that imports."""

SAID = 500
"""Characters of what a process that ended said last."""


def offered(limit_s: float = LIMIT_S) -> list[Offer]:
    """Return what each plug-in of this environment offers, or what is wrong with it; one hurts no other."""
    several = _offered_twice()
    waiting = [one for one in installed() if (one.kind, one.name) not in several]
    found: list[Offer] = [
        _broken(one, several[one.kind, one.name]) for one in installed() if one not in waiting
    ]
    while waiting:
        told = _imported(waiting, limit_s)
        found += told
        waiting = waiting[len(told) :]
    for offer in found:
        if isinstance(offer, BrokenOffer):
            log.warning("plugin_not_offered", kind=offer.of, plugin=offer.name, problem=offer.problem)
    return found


def _imported(plugins: Sequence[Installed], limit_s: float) -> list[Offer]:
    """Return what a process told of the first of these: of all, unless one ended it or took too long."""
    with tempfile.TemporaryDirectory(prefix="whichopt-plugins-") as folder:
        out, said = Path(folder, "told"), Path(folder, "said")
        asked = "".join(json.dumps([one.kind, one.name]) + "\n" for one in plugins)
        Path(folder, "asked").write_text(asked, encoding="utf-8")
        with Path(folder, "asked").open("rb") as given, said.open("wb") as log_file:
            process = subprocess.Popen(
                [sys.executable, "-m", "whichopt.workers.plugins", str(out)],
                stdin=given,
                stdout=log_file,
                stderr=subprocess.STDOUT,
            )
        is_late = _waited(process, out, limit_s)
        lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
        told = [json.loads(line) for line in lines]
        end = " ".join(said.read_text(encoding="utf-8", errors="replace").split())[-SAID:]
    answers = [one for one in told if "offer" in one or "problem" in one]
    found = [_offer(one, answer) for one, answer in zip(plugins, answers, strict=False)]
    if len(found) < len(plugins):
        late, ended = f"took more than {limit_s:g} s", f"ended its process ({process.returncode})"
        last = f"; the last it said: {end}" if end else ""
        problem = f"importing it {late if is_late else ended}{last}"
        found.append(_broken(plugins[len(found)], problem))
    return found


def _waited(process: subprocess.Popen[bytes], out: Path, limit_s: float) -> bool:
    """Wait until the process ends; end it if it tells nothing for too long, and return whether it did."""
    size, since = -1, time.monotonic()
    while True:
        try:
            process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            now = out.stat().st_size if out.exists() else 0
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > (limit_s if now else LIMIT_S):  # torch comes before the first
                process.kill()
                process.wait()
                return True
        else:
            return False


def _offer(one: Installed, answer: dict[str, Any]) -> Offer:
    return OFFER.validate_python(answer["offer"]) if "offer" in answer else _broken(one, answer["problem"])


def _broken(one: Installed, problem: str) -> BrokenOffer:
    place = Origin(target=one.target, package=one.package, version=one.version)
    return BrokenOffer(name=one.name[:64], origin=place, of=one.kind, problem=problem)


def _offered_twice() -> dict[tuple[str, str], str]:
    """Return what is wrong with each name that two packages offer."""
    by_name: dict[tuple[str, str], list[Installed]] = {}
    for one in installed():
        by_name.setdefault((one.kind, one.name), []).append(one)
    return {
        key: f"the packages {' and '.join(sorted(str(one.package) for one in of))} both offer a {key[0]} "
        f"{key[1]!r}: uninstall one of the two where the workers run"
        for key, of in by_name.items()
        if len(of) > 1
    }
