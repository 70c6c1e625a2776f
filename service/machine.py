"""Finds the cores and the memory that this process may use, and if workers can run here at all.

A container, a batch system, `taskset` or systemd gives a process a part of a machine, and `os.cpu_count` and
`/proc/meminfo` still tell the whole of it. What is given stands in the affinity of the process and, on Linux,
in the control groups (cgroups, version 1 or 2) that hold it: a group inside of another has what both allow,
so the smallest limit on the way up counts.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path("/")


@dataclass(frozen=True)
class Group:
    """A control group that holds this process, by its folder; `version` says what its files are called."""

    folder: Path
    version: int

    def cores(self) -> float | None:
        """Return the number of cores whose time the group gets; None without a limit."""
        if self.version == 2:
            words = self._text("cpu.max").split()
        else:
            words = [self._text(f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        with suppress(ValueError, ZeroDivisionError):  # "max", or a file that is not there
            quota, period = (int(word) for word in words)
            return quota / period if quota > 0 else None
        return None

    def memory_left(self) -> int | None:
        """The bytes that the group may still take; None without a limit.

        What it holds of files that it has not used lately counts as free: the kernel takes that back.
        """
        limits = ("memory.max", "memory.high") if self.version == 2 else ("memory.limit_in_bytes",)
        limit = min((found for name in limits if (found := self._number(name)) is not None), default=None)
        used = self._number("memory.current" if self.version == 2 else "memory.usage_in_bytes")
        if limit is None or used is None:
            return None
        files = "inactive_file" if self.version == 2 else "total_inactive_file"
        held = re.search(rf"^{files} (\d+)$", self._text("memory.stat"), re.MULTILINE)
        return max(0, limit - used + (int(held[1]) if held else 0))

    def _text(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="ascii", errors="replace")
        except OSError:  # not there, or not for us: then it tells no limit
            return ""

    def _number(self, name: str) -> int | None:
        text = self._text(name).strip()
        return int(text) if text.isascii() and text.isdigit() else None


def why_no_workers() -> str:
    """Why workers, and so the embedded service, cannot run on this system, in words; nothing if they can."""
    if sys.platform == "win32":
        return (
            "workers do not run on Windows: use WSL 2 or Docker (docker compose up), or a service elsewhere "
            "with --url; the other commands, the client and adabelief work here"
        )
    return ""


def cores(root: Path = ROOT) -> int:
    """Return how many cores this process may keep busy, one at least.

    Of a limit of cores' time, a part of a core counts as a core from a half on: two processes get more out of
    1.5 cores than one does, and out of 1.2 hardly more.
    """
    limits = [group.cores() for group in _groups(root, "cpu")]
    allowed = min((limit for limit in limits if limit is not None), default=float("inf"))
    return max(1, int(min(_cores_by_affinity(), allowed + 0.5)))


def memory_left(root: Path = ROOT) -> int | None:
    """Return the bytes that this process may still take by its groups; None if they set no limit."""
    left = [group.memory_left() for group in _groups(root, "memory")]
    return min((room for room in left if room is not None), default=None)


def _cores_by_affinity() -> int:
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(root: Path, controller: str) -> Iterator[Group]:
    """The groups that hold this process, from its own up, of those that limit what `controller` controls."""
    paths = _paths(root)
    for version, mounted, point in _mounts(root, controller):
        path = paths.get(controller if version == 1 else "")
        if path is None:
            continue
        # In a container the mount may show the container's own group alone, while the path is the host's; or,
        # in a namespace of its own, both begin at a group that is not told, and the mount is what there is.
        inside = PurePosixPath(path)
        inside = inside.relative_to(mounted) if inside.is_relative_to(mounted) else PurePosixPath()
        parts = () if ".." in inside.parts else inside.parts
        for depth in range(len(parts), -1, -1):
            folder = point.joinpath(*parts[:depth])
            if folder.is_dir():
                yield Group(folder, version)


def _paths(root: Path) -> dict[str, str]:
    """The group of this process, by controller of version 1; that of version 2 is under no name."""
    paths = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def _mounts(root: Path, controller: str) -> Iterator[tuple[int, str, Path]]:
    """Return the mounts of control groups: version, the group that is mounted, and its folder."""
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        version = {"cgroup": 1, "cgroup2": 2}.get(kind[0])
        if version is None or (version == 1 and controller not in kind[2].split(",")):
            continue
        mounted, point = (re.sub(r"\\(\d{3})", _octal, field) for field in fields[3:5])
        yield version, mounted, root / point.lstrip("/")


def _octal(match: re.Match[str]) -> str:
    """A character that would end a field, as the kernel writes it."""
    return chr(int(match[1], 8))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no Linux
        return []
