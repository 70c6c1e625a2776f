"""Where kernels are kept for a user without a home, and that none is taken from a folder of others."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from adabelief.steps import cache, compiled_kernel

ROOT = Path(__file__).parents[3]
OWN = f"adabelief-{os.geteuid()}"
KIND = (torch.float32, torch.float32, torch.device("cpu"), False)


@pytest.fixture(autouse=True)
def no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("ADABELIEF_COMPILE", raising=False)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a uid that passwd does not know."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_a_home_that_can_be_written_has_them(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "adabelief"
    assert list(tmp_path.iterdir()) == [temporary], "asking makes nothing"
    made = cache.made()
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_user_without_a_home_has_a_folder_among_the_temporary_files(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_home(monkeypatch)
    assert cache.folder() == temporary / OWN
    assert not compiled_kernel.is_kept(*KIND)
    made = cache.made()
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    (made / "kernel.pt2").touch()
    assert cache.find("kernel.pt2") == made / "kernel.pt2"


@pytest.mark.parametrize("home", ["/nonexistent", "/proc", "", "relative", "/dev/null"])
def test_a_home_that_cannot_have_them_is_none(
    home: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) not in ("/", "/proc") and real(path, mode))
    monkeypatch.setenv("HOME", home)
    assert cache.folder() == temporary / OWN
    assert not compiled_kernel.is_kept(*KIND)


@pytest.mark.parametrize("given", ["", "relative/cache"])
def test_a_cache_home_that_is_empty_or_relative_is_as_if_not_set(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert cache.folder() == tmp_path / ".cache" / "adabelief"


def test_what_is_kept_in_a_home_that_is_read_only_is_found(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (cache.made() / "kernel.pt2").touch()
    monkeypatch.setattr(os, "access", lambda path, _: temporary in Path(path).parents or path == temporary)
    assert cache.find("kernel.pt2") == tmp_path / ".cache" / "adabelief" / "kernel.pt2"
    assert cache.folder() == temporary / OWN, "for new ones"


def plant(folder: Path) -> None:
    folder.mkdir()
    (folder / "kernel.pt2").touch()


def test_a_folder_that_others_may_write_to_is_not_taken(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_home(monkeypatch)
    plant(temporary / OWN)
    (temporary / OWN).chmod(0o777)
    assert cache.find("kernel.pt2") is None
    with pytest.raises(PermissionError, match=f"no cache folder that this user alone can write .*{OWN}"):
        cache.folder()
    (temporary / OWN).chmod(0o700)
    assert cache.find("kernel.pt2") is not None


@pytest.mark.parametrize("by_link", [False, True])
def test_a_folder_of_another_user_is_not_taken(
    by_link: bool, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_home(monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    own = temporary / "adabelief-54321"
    theirs = temporary / "theirs" if by_link else own
    plant(theirs)
    if by_link:
        own.symlink_to(theirs)
    real = os.lstat

    def of_somebody(path: str | Path) -> os.stat_result:
        found = list(real(path))
        found[stat.ST_UID] = 12345
        return os.stat_result(found)

    monkeypatch.setattr(os, "lstat", of_somebody)
    assert cache.find("kernel.pt2") is None
    with pytest.raises(PermissionError):
        cache.folder()


def test_no_place_at_all_is_told_and_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    no_home(monkeypatch)

    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert not compiled_kernel.is_kept(*KIND)
    with pytest.raises(PermissionError, match="no home, no temporary files"):
        cache.folder()


def test_the_compilers_own_folder_needs_no_name_of_the_user(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/given")
    cache.name_compilers_folder()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "/given"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    no_home(monkeypatch)
    cache.name_compilers_folder()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(temporary / OWN / "inductor")


WITHOUT_A_HOME = """
import os, pwd

def unknown(uid):
    raise KeyError(uid)

pwd.getpwuid = unknown
import torch
from adabelief import AdaBelief

p = torch.ones(3, requires_grad=True)
p.grad = torch.ones(3)
AdaBelief([p], lr=0.09, fused=True).step()
torch.testing.assert_close(p.detach(), torch.full((3,), 0.9))
"""


def test_fused_step_of_a_user_without_a_home(tmp_path: Path) -> None:
    """Without a compiler, which would take long: the step is taken, and one line says by what."""
    named = {name: value for name, value in os.environ.items() if name not in ("HOME", "USER", "LOGNAME")}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_HOME],
        env={**named, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "CXX": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Warning") == 1
    assert "no /nonexistent found" in done.stderr
