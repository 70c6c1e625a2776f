"""The data folder has one key, whoever makes it; `tune` keeps a copy before it migrates, as a home does."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from whichopt.service.db.standing import head
from whichopt.service.errors import StorageBroken
from whichopt.workers import data_folder
from whichopt.workers.tune.folder import opened

EARLIEST = Path(__file__).parents[1] / "earlier" / "0.1" / "data" / "whichopt.db"


def test_who_comes_at_the_same_time_has_the_same_key(tmp_path: Path) -> None:
    together = threading.Barrier(8)
    keys: list[str] = []

    def comes() -> None:
        together.wait()
        keys.append(data_folder._key(tmp_path))

    threads = [threading.Thread(target=comes) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert set(keys) == {(tmp_path / "api-key").read_text().strip()}
    assert (tmp_path / "api-key").stat().st_mode & 0o777 == 0o600


def test_an_earlier_versions_database_is_copied_before_tune_migrates_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(EARLIEST, tmp_path / "whichopt.db")
    with opened(tmp_path) as folder:
        assert folder.store.url.database == str(tmp_path.resolve() / "whichopt.db")
    copy = tmp_path / f"whichopt.db.before-{head()}"
    assert copy.exists()
    assert str(copy) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [("file", "is a file, or lies in one; give data= a folder"), ("weak", "remove the file, and a new key")],
)
def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "weak").mkdir()
    (tmp_path / "weak" / "api-key").write_text("1234")
    with pytest.raises(StorageBroken, match=said), opened(tmp_path / name):
        pass


def test_what_a_killed_process_left_is_removed_when_the_folder_is_opened(tmp_path: Path) -> None:
    left = tmp_path / "runs" / "whichopt-run-x"
    left.mkdir(parents=True)
    with opened(tmp_path) as folder:
        assert list(folder.runs.iterdir()) == []
