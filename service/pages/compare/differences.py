"""What differs between the specs of jobs: each setting as a path and a value for every job. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whichopt.service.pages.frame import plain
from whichopt.service.spec import ResolvedSpec

LEFT_OUT = {
    *("rules", "facts", "place", "executors", "only_solo", "settled", "upload", "rehearsed"),
    *("shape", "sizes", "length_unit"),
}
"""Fields that no person has chosen: what the service decided, and what follows from a name."""

PARTS = re.compile(r"optimizers\.[^.]+|today")
"""Parts that a job has or has not. If one lacks it, that is said in place of all that is in it."""

LONGEST = 60
"""Characters of a value; more are cut."""

HASH = 12
"""Characters of a hash that tell two datasets apart."""

ABSENT = "not there"


@dataclass(frozen=True)
class Setting:
    """A setting of the jobs: its path in the spec, and its value in each job."""

    path: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return len({*self.values}) > 1


def settings(specs: Sequence[ResolvedSpec]) -> list[Setting]:
    """Return every setting of the specs, in the order in which they have them."""
    found = [dict(_flat(_chosen(spec.model_dump(mode="json", exclude={"name"})))) for spec in specs]
    paths = dict.fromkeys(path for one in found for path in one)
    # A path that others go on from, as `margin` and `margin.percent`, is said by those.
    inner = {path[: path.rindex(".")] for path in paths if "." in path}
    parts = {path: match.group() for path in paths if (match := PARTS.match(path))}
    having = {
        part: [any(parts.get(path) == part for path in one) for one in found] for part in parts.values()
    }
    told: dict[str, Setting] = {}
    for path in paths:
        setting = Setting(path, tuple(one.get(path, ABSENT) for one in found))
        part = parts.get(path)
        if part is not None and not all(having[part]):
            told[part] = Setting(part, tuple("there" if has else ABSENT for has in having[part]))
            if len({*setting.values} - {ABSENT}) < 2:
                continue
        if path not in inner:
            told[path] = setting
    return [*told.values()]


def _chosen(value: Any) -> Any:
    """Return the value without what nobody has chosen; of a list of named parts, a dict by their names."""
    if isinstance(value, Mapping):
        if value.keys() >= {"type", "low", "high"}:
            scale = {"log": ", log", "log1m": ", log of 1 - x"}.get(value.get("scale", ""), "")
            return f"{plain(value['low'])} to {plain(value['high'])}{scale}"
        if value.keys() == {"type", "choices"}:
            return " or ".join(map(_text, value["choices"]))
        if "metrics" in value:  # the job is judged by the first
            value = {"metric": value["metrics"][0], **{k: v for k, v in value.items() if k != "metrics"}}
        return {name: _chosen(inner) for name, inner in _named(value).items() if name not in LEFT_OUT}
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        names = [str(one.get("label") or one.get("name") or place) for place, one in enumerate(value, 1)]
        return {
            f"{name} ({place})" if names.count(name) > 1 else name: _chosen(
                {key: inner for key, inner in one.items() if key != "label"}
            )
            for place, (name, one) in enumerate(zip(names, value, strict=True), 1)
        }
    return value


def _named(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the value with the hash of a person's data under a name that says so, shortened."""
    if not value.get("content"):
        return {name: inner for name, inner in value.items() if name != "content"}
    return {
        "SHA-256 of the data" if name == "content" else name: inner[:HASH] if name == "content" else inner
        for name, inner in value.items()
    }


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        text = _text(value)
        yield path, text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _text(value: Any) -> str:
    if value is None or value == {} or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return plain(value) if isinstance(value, float) else str(value)
