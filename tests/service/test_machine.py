"""What of a machine a process may use, told by made-up control groups, and once by the real system."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from whichopt.service import machine

GIGABYTE = 10**9
UNLIMITED_V1 = 9223372036854771712

CPU_V2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
"""A mount of groups of version 2, as a line of `mountinfo`."""

Made = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A made-up file system: this process's groups, the mounts, and files of groups by their paths."""

    def make(groups: str, mounts: str, files: dict[str, object]) -> Path:
        own = tmp_path / "proc" / "self"
        own.mkdir(parents=True)
        (own / "cgroup").write_text(groups)
        (own / "mountinfo").write_text(f"23 1 8:1 / / rw - ext4 /dev/sda rw\n{mounts}\n")
        for path, content in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{content}\n")
        return tmp_path

    return make


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the affinity allows."""
    monkeypatch.setattr(machine, "_cores_by_affinity", lambda: 16)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 16),
        ("400000 100000", 4),
        ("10000 100000", 1),
        ("149000 100000", 1),
        ("150000 100000", 2),
        ("25000 10000", 3),
        ("9900000 100000", 16),
        ("", 16),
        ("no numbers", 16),
        ("100000 0", 16),
    ],
)
def test_a_quota_of_version_2_counts_as_cores_from_a_half_on(quota: str, cores: int, made: Made) -> None:
    """In a container with groups of its own, which is what Docker gives on a system of today."""
    assert machine.cores(made("0::/\n", CPU_V2, {"sys/fs/cgroup/cpu.max": quota})) == cores


def test_of_nested_groups_the_smallest_limit_counts(made: Made) -> None:
    group = "sys/fs/cgroup/batch.slice/job-7.scope"
    root = made(
        "0::/batch.slice/job-7.scope/step\n",
        CPU_V2,
        {
            f"{group}/step/cpu.max": "max 100000",
            f"{group}/cpu.max": "800000 100000",
            "sys/fs/cgroup/batch.slice/cpu.max": "300000 100000",
            f"{group}/step/memory.max": "max",
            f"{group}/step/memory.current": GIGABYTE,
            f"{group}/memory.max": 4 * GIGABYTE,
            f"{group}/memory.current": GIGABYTE,
            "sys/fs/cgroup/batch.slice/memory.max": 8 * GIGABYTE,
            "sys/fs/cgroup/batch.slice/memory.current": 7 * GIGABYTE,
        },
    )
    assert machine.cores(root) == 3
    assert machine.memory_left(root) == GIGABYTE, "the neighbors in the slice have taken the rest"


V1 = """\
32 31 0:29 {mounted} /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 {mounted} /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"""


def test_version_1_in_a_container_that_sees_only_its_own_group(made: Made) -> None:
    """Docker without a namespace of groups: the path is the host's, and is not below the mount."""
    root = made(
        "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/docker/abc\n",
        V1.format(mounted="/docker/abc"),
        {
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": 200_000,
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": 100_000,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": 3 * GIGABYTE,
            "sys/fs/cgroup/memory/memory.usage_in_bytes": 2 * GIGABYTE,
            "sys/fs/cgroup/memory/memory.stat": f"cache 9\ninactive_file 5\ntotal_inactive_file {GIGABYTE}",
            "sys/fs/cgroup/unified/cgroup.procs": "",
        },
    )
    assert machine.cores(root) == 2
    assert machine.memory_left(root) == 2 * GIGABYTE, "files that lie in memory unused may go"


def test_version_1_without_limits_in_a_group_and_with_one_above(made: Made) -> None:
    """`/docker/abcd` is no group below `/docker/abc`."""
    root = made(
        "5:cpu,cpuacct:/user/me\n4:memory:/user/me\n",
        V1.format(mounted="/"),
        {
            "sys/fs/cgroup/cpu,cpuacct/user/me/cpu.cfs_quota_us": -1,
            "sys/fs/cgroup/cpu,cpuacct/user/me/cpu.cfs_period_us": 100_000,
            "sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_quota_us": 650_000,
            "sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_period_us": 100_000,
            "sys/fs/cgroup/memory/user/me/memory.limit_in_bytes": UNLIMITED_V1,
            "sys/fs/cgroup/memory/user/me/memory.usage_in_bytes": GIGABYTE,
        },
    )
    assert machine.cores(root) == 7
    assert machine.memory_left(root) == UNLIMITED_V1 - GIGABYTE, "the machine's own memory is less"


@pytest.mark.parametrize(
    ("groups", "mounts"),
    [
        ("0::/docker/abcd\n", CPU_V2.replace("/ /sys", "/docker/abc /sys")),
        ("0::/../../other\n", CPU_V2),
        ("0::/gone (deleted)\n", CPU_V2),
        ("0::/\n", CPU_V2.replace("/sys/fs/cgroup", r"/sys/fs/the\040groups")),
    ],
)
def test_a_group_that_cannot_be_seen_leaves_the_one_that_is_mounted(
    groups: str, mounts: str, made: Made
) -> None:
    folder = "sys/fs/the groups" if "040" in mounts else "sys/fs/cgroup"
    assert machine.cores(made(groups, mounts, {f"{folder}/cpu.max": "200000 100000"})) == 2


def test_the_softer_limit_of_memory_counts_as_one(made: Made) -> None:
    """Beyond `memory.high` the kernel slows a group until nothing goes on."""
    limits = {"memory.max": 8 * GIGABYTE, "memory.high": 2 * GIGABYTE, "memory.current": 3 * GIGABYTE}
    files: dict[str, object] = {f"sys/fs/cgroup/{name}": value for name, value in limits.items()}
    assert machine.memory_left(made("0::/\n", CPU_V2, files)) == 0


@pytest.mark.parametrize("broken", ["", "0\n", "x:y\n0::\n"])
def test_without_groups_there_is_no_limit(broken: str, made: Made, tmp_path: Path) -> None:
    assert machine.cores(tmp_path) == 16
    assert machine.memory_left(tmp_path) is None
    root = made(broken, "half a line\n1 2 3 - cgroup2\n", {})
    assert machine.cores(root) == 16
    assert machine.memory_left(root) is None


def test_a_process_that_is_kept_to_one_core_counts_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system keeps no process to a core")
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from whichopt.service import environment, machine; print(machine.cores(), environment.here().cores)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["1", "1"]
