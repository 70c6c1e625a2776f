"""Draws figures as SVG that needs no script: for the report, which is one file, and for the docs.

The same specs give the same bytes: figures say their room in pixels, so that no font of the machine counts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from whichopt.service.errors import ReportFailed
from whichopt.service.figures.figure import Figure, Spec

START_S, EACH_S = 60.0, 5.0
"""Seconds that the process may take to start, and for each figure besides, on a machine that is busy."""

SVG = "{http://www.w3.org/2000/svg}"
_COMMAND = (sys.executable, "-m", "whichopt.service.figures.converter")
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_NOTHING = {"opacity": "1", "fill-opacity": "1", "stroke-width": "0"}


def drawn(
    figures: Mapping[str, Figure], *, command: Sequence[str] = _COMMAND, timeout_s: float | None = None
) -> dict[str, str]:
    """Return the SVG of each figure, by the same name, which begins the ids inside of it.

    Colors are variables of the page (`var(--o1)`), and texts have the page's font.

    Args:
        figures: by a name that is unique in the document that they are for.
        command: the converter.
        timeout_s: seconds after which it is given up; by default, more for more figures.

    Raises:
        ReportFailed: a figure cannot be drawn, which is named; or the process ended early or took too long.
    """
    if not figures:
        return {}
    specs = {name: figure.spec for name, figure in figures.items()}
    answer = _converted(specs, command, timeout_s or START_S + EACH_S * len(specs))
    return {name: inline(answer[name], name, figure.alt) for name, figure in figures.items()}


def _converted(specs: Mapping[str, Spec], command: Sequence[str], timeout_s: float) -> dict[str, str]:
    try:
        done = subprocess.run(
            command,
            input=json.dumps(specs),
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_s,
            check=False,
            start_new_session=True,  # a Ctrl-C is for the service, which stops it
            env={**os.environ, "PYTHONUTF8": "1", "LANG": "C.UTF-8", "TZ": "UTC"},
        )
    except subprocess.TimeoutExpired:
        raise ReportFailed(
            f"its {len(specs)} figures were not drawn within {timeout_s:.0f} s; the machine may be too busy"
        ) from None
    except OSError as error:
        raise ReportFailed(f"the process that draws its figures cannot be started: {error}") from error
    if done.returncode:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        last = done.stderr.strip().rsplit("\n", 1)[-1]
        raise ReportFailed(
            f"the process that draws its figures ended with {how}" + (f": {last}" if last else "")
        )
    try:
        answer: dict[str, dict[str, str]] = json.loads(done.stdout)
    except ValueError as error:
        raise ReportFailed("the process that draws its figures gave no answer that can be read") from error
    for name, one in answer.items():
        if "problem" in one:
            raise ReportFailed(f"the figure {name} cannot be drawn: {one['problem']}")
    return {name: one["svg"] for name, one in answer.items()}


def inline(text: str, name: str, alt: str) -> str:
    """Return an SVG of the converter as a part of a page.

    Its ids begin with `name`, its texts have the page's font, it is one image to screen readers, it grows no
    wider than it was made, and what draws nothing is left out.
    """
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get("d") == "" or child.get("class") == "background":
                parent.remove(child)
    ids = {found: f"{name}-{found}" for element in root.iter() if (found := element.get("id"))}
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
        element.attrib = dict(_kept(element, ids))
    # What holds nothing any more.
    for _ in range(4):
        for parent in list(root.iter("g")):
            for child in list(parent):
                if child.tag == "g" and not len(child):
                    parent.remove(child)
    width, height = root.attrib.pop("width"), root.attrib.pop("height")
    root.attrib = {"viewBox": f"0 0 {width} {height}", "width": width, "height": height, "role": "img"}
    root.set("aria-label", alt)
    return ElementTree.tostring(root, encoding="unicode")


def _kept(element: ElementTree.Element, ids: Mapping[str, str]) -> list[tuple[str, Any]]:
    kept = []
    for key, value in element.attrib.items():
        if key in ("role", "pointer-events", "font-family", "class", "version", "style"):
            continue
        if key.startswith(("aria-", "{")) or _NOTHING.get(key) == value:
            continue
        if key == "id":
            value = ids[value]
        if value.startswith("url(#"):
            value = f"url(#{ids[value[5:-1]]})"
        kept.append((key, _NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), value)))
    return kept
