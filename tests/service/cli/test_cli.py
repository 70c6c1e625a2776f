"""The command line's own words; what it does over HTTP is in the journeys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.builders.concluded_jobs import concluded_job
from tests.builders.jobs import make_spec
from tests.builders.services import KEY
from whichopt.service.cli import app
from whichopt.service.db import Store
from whichopt.service.db.migrate import is_current

RUN = CliRunner()


def test_without_a_service_it_says_what_to_do(tmp_path: Path) -> None:
    for command in (["show"], ["watch", "x"], ["recommend"], ["cancel", "x"], ["catalog"]):
        found = RUN.invoke(app, [*command, "--data", str(tmp_path)])
        assert found.exit_code == 2
        assert "whichopt up" in found.output


def test_a_spec_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    found = RUN.invoke(app, ["submit", str(tmp_path / "none.json")])
    assert found.exit_code == 2
    assert "No such file" in found.output
    (tmp_path / "bad.json").write_text("{")
    assert "is not JSON" in RUN.invoke(app, ["submit", str(tmp_path / "bad.json")]).output
    assert "a job spec is a JSON object" in RUN.invoke(app, ["submit", "-"], input="[1]").output


def test_what_is_no_json_or_no_free_path_is_said_so(tmp_path: Path) -> None:
    assert "NaN is no number in JSON" in RUN.invoke(app, ["submit", "-"], input='{"seed": NaN}').output
    (tmp_path / "mine.txt").write_text("precious")
    found = RUN.invoke(app, ["export", "x", "--to", str(tmp_path / "mine.txt")])
    assert found.exit_code == 2
    assert "--force" in found.output
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_an_unknown_catalog_is_said_so() -> None:
    found = RUN.invoke(app, ["catalog", "optimisers"])
    assert found.exit_code == 2
    assert "optimizers, models, datasets, tasks" in found.output


def test_a_service_that_does_not_answer_is_said_so() -> None:
    found = RUN.invoke(app, ["show", "--url", "http://127.0.0.1:9", "--key", "x"])
    assert found.exit_code == 2
    assert "does not answer" in found.output
    assert "check that it is running and that this is its address" in found.output


def test_a_report_for_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    job, page = "0190b0f0-0000-7000-8000-000000000000", str(tmp_path / "nodir" / "x.html")
    found = RUN.invoke(app, ["report", job, "--html", page, "--url", "http://127.0.0.1:9", "--key", "x"])
    assert found.exit_code == 2
    assert found.output == f"whichopt: there is no such folder; make it: {tmp_path / 'nodir'}\n"


def test_migrate_makes_the_tables_and_a_first_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHOPT_DATABASE_URL", f"sqlite:///{tmp_path / 'w.db'}")
    first = RUN.invoke(app, ["migrate"])
    assert first.exit_code == 0
    assert "not be shown again: wo_" in first.output
    assert "shown again" not in RUN.invoke(app, ["migrate"]).output
    store = Store(f"sqlite:///{tmp_path / 'w.db'}")
    assert is_current(store)
    store.close()


def test_migrate_makes_the_folder_of_the_default_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WHICHOPT_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    assert RUN.invoke(app, ["migrate"]).exit_code == 0
    assert (tmp_path / "whichopt-data" / "whichopt.db").exists()
    assert (tmp_path / "whichopt-data").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("WHICHOPT_DATABASE_URL", "sqlite:///other/w.db")
    assert "there is no folder other" in RUN.invoke(app, ["migrate"]).output


def test_migrate_makes_the_key_of_the_environment_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHICHOPT_DATABASE_URL", f"sqlite:///{tmp_path / 'w.db'}")
    monkeypatch.setenv("WHICHOPT_API_KEY", "wo_key-of-the-environment")
    assert "shown again" not in RUN.invoke(app, ["migrate"]).output
    store = Store(f"sqlite:///{tmp_path / 'w.db'}")
    with store.read() as tx:
        assert tx.keys.find("wo_key-of-the-environment") is not None
        assert tx.keys.find("") is None
    store.close()


@pytest.mark.parametrize(("given", "passed_on"), [([], "--gpus=all"), (["--gpus", "0,2"], "--gpus=0,2")])
def test_up_hands_on_which_gpus_to_train_on(
    given: list[str], passed_on: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("whichopt.service.cli.serve.os.execv", lambda _, command: commands.append(command))
    assert RUN.invoke(app, ["up", "--data", str(tmp_path), *given]).exit_code == 0
    assert commands[0][1:4] == ["-P", "-m", "whichopt.workers.embedded"]
    assert passed_on in commands[0]


@pytest.mark.parametrize("kept", [False, True])
def test_a_demo_whose_folder_is_removed_says_so_at_its_end(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    outputs: list[object] = []

    class Ended:
        def __init__(self, command: list[str], *, stdout: object, **_: object) -> None:
            commands.append(command)
            outputs.append(stdout)

        def poll(self) -> int:
            return 1

        def send_signal(self, _: int) -> None: ...

        def wait(self) -> None: ...

    monkeypatch.setattr("whichopt.service.cli.serve.subprocess.Popen", Ended)
    given = ["--data", str(tmp_path)] if kept else []
    assert RUN.invoke(app, ["demo", *given]).exit_code == 2
    assert ("--removed" in commands[0]) != kept
    assert RUN.invoke(app, ["demo", "--json", *given]).exit_code == 2
    assert outputs[0] is None
    assert outputs[1] is not None, "beside JSON the service's words go to stderr"


def test_rerun_looks_for_its_file_before_training_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("whichopt.service.cli.evidence.os.execv", lambda _, command: commands.append(command))
    for absent, why in ((tmp_path / "none.json", "No such file"), (tmp_path, "Is a directory")):
        found = RUN.invoke(app, ["rerun", str(absent)])
        assert found.exit_code == 2
        assert f"cannot read {absent}: {why}" in found.stderr
    assert commands == []
    (tmp_path / "report.json").touch()
    RUN.invoke(app, ["rerun", str(tmp_path / "report.json")])
    assert [command[1:4] for command in commands] == [["-P", "-m", "whichopt.workers.rerun"]]
    RUN.invoke(app, ["rerun", str(tmp_path / "report.json"), "--data", "own.csv"])
    assert commands[-1][-1] == "--data=own.csv"
    RUN.invoke(app, ["rerun", str(tmp_path / "report.json"), "--arms", "winner,default", "--seed", "3"])
    assert commands[-1][5:] == ["--new-seeds=5", "--arms=winner,default", "--seed=3"]
    RUN.invoke(app, ["audit", str(tmp_path / "report.json"), "--seed", "7", "--function", "own.py:fit"])
    assert commands[-1][1:4] == ["-P", "-m", "whichopt.workers.audit"]
    assert commands[-1][5:] == ["--trials=8", "--seed=7", "--function=own.py:fit"]


def test_nothing_that_was_recommended_is_said_so(url: str) -> None:
    service = ["--url", url, "--key", KEY]
    found = RUN.invoke(app, ["recommend", "--dataset", "wine", "--optimizer", "sgd", *service])
    (line,) = found.stdout.splitlines()
    assert found.exit_code == 0
    assert "There is no recommendation yet for dataset=wine optimizer=sgd." in line
    assert "whichopt submit" in line
    assert "There is no recommendation yet." in RUN.invoke(app, ["recommend", *service]).stdout
    as_json = RUN.invoke(app, ["recommend", "--dataset", "wine", *service, "--json"])
    assert json.loads(as_json.stdout) == []


def test_a_variable_that_nothing_reads_is_told_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHOPT_URLL", "http://elsewhere")
    monkeypatch.setenv("WHICHOPT_DATABSE", "x")
    monkeypatch.setenv("WHICHOPT_LEASE_S", "wrong, but no matter of a command's")
    monkeypatch.setenv("WHICHOPT_KEY", KEY)
    shown = RUN.invoke(app, ["show", "--url", url, "--json"])
    assert (shown.exit_code, json.loads(shown.stdout)) == (0, [])
    assert shown.stderr.splitlines() == [
        "whichopt: WHICHOPT_DATABSE is not a setting of whichopt; did you mean WHICHOPT_DATABASE_URL?",
        "whichopt: WHICHOPT_URLL is not a setting of whichopt; did you mean WHICHOPT_URL?",
    ]


def test_a_terminal_of_another_encoding_shows_what_it_can(url: str, lite: Store) -> None:
    with lite.transaction() as tx:
        tx.jobs.add(make_spec(name="na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve \N{CHECK MARK}"), queue="cpu")
    shown = subprocess.run(
        [sys.executable, "-m", "whichopt.service.cli", "show", "--url", url, "--key", KEY],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "na?ve ?" in shown.stdout


def test_it_says_which_version_it_is() -> None:
    found = RUN.invoke(app, ["--version"])
    assert (found.exit_code, found.output) == (0, f"whichopt {version('whichopt')}\n")


def test_the_latest_jobs_are_chosen_by_state_verdict_and_words(
    url: str, lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHICHOPT_KEY", KEY)
    _, done = concluded_job(lite)
    with lite.transaction() as tx:
        _, waits = tx.jobs.add(make_spec(name="the second"), queue="cpu")

    def shown(*options: str) -> list[str]:
        found = RUN.invoke(app, ["show", "--url", url, "--json", *options])
        assert found.exit_code == 0, found.output
        return [job["id"] for job in json.loads(found.stdout)]

    assert shown() == [waits, done]
    assert shown("--verdict", "tie") == [done]
    assert shown("--state", "queued") == [waits]
    assert shown("--find", "SECOND wine") == [waits]
    both = RUN.invoke(app, ["show", done, "--find", "x", "--url", url])
    assert both.exit_code == 2
    assert "name no job with them" in both.stderr
