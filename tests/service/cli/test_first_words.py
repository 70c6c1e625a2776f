"""The words of the command line that a newcomer meets first: a job's id, its evidence, and common slips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tests.builders.concluded_jobs import concluded_job, running_job
from tests.builders.services import KEY
from whichopt import read_report, verify
from whichopt.service.cli import app
from whichopt.service.client import Client
from whichopt.service.db import Store

ROOT = Path(__file__).parents[3]
RUN = CliRunner()


def test_a_followed_job_is_named_at_once_and_its_evidence_at_the_end(lite: Store, url: str) -> None:
    _, uid = concluded_job(lite)
    found = RUN.invoke(app, ["watch", uid, "--url", url, "--key", KEY])
    assert found.exit_code == 0
    assert found.stderr.splitlines()[0] == f"job {uid}"
    assert found.stdout.endswith(f"evidence: whichopt report {uid} --html report.html --url {url}\n")
    as_json = RUN.invoke(app, ["watch", uid, "--json", "--url", url, "--key", KEY])
    assert "evidence" not in as_json.stdout.splitlines()[-1]
    assert as_json.stdout.startswith("{")


def test_a_job_that_is_no_longer_followed_goes_on(
    lite: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    _, uid = running_job(lite)
    monkeypatch.setattr(Client, "wait", interrupted)
    monkeypatch.setenv("WHICHOPT_URL", url)
    found = RUN.invoke(app, ["watch", uid, "--key", KEY])
    assert found.exit_code == 130
    assert found.stderr.splitlines() == [
        f"job {uid}",
        f"job {uid} goes on: 'whichopt watch {uid}' follows it, 'whichopt cancel {uid}' ends it",
    ]


def test_a_wrong_key_is_told_in_the_words_of_commands(url: str, tmp_path: Path) -> None:
    given = RUN.invoke(app, ["show", "--url", url, "--key", "wo_of-another-service"])
    (tmp_path / "api-key").write_text("wo_of-another-service")
    kept = RUN.invoke(app, ["show", "--url", url, "--data", str(tmp_path)])
    for found in (given, kept):
        assert found.exit_code == 2
        assert "--key (WHICHOPT_KEY, WHICHOPT_KEY_FILE)" in found.output
        assert "--data" in found.output
        assert "X-API-Key" not in found.output
    assert str(tmp_path / "api-key") in kept.output


@pytest.mark.parametrize(("code", "said"), [(2, ""), (-9, "exit code -9; see {logs}")])
def test_a_demo_that_does_not_start_says_why_once(
    code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended:
        def __init__(self, *_: object, **__: object) -> None: ...

        def poll(self) -> int:
            return code

        def send_signal(self, _: int) -> None: ...

        def wait(self) -> None: ...

    logs = tmp_path / "logs"
    logs.mkdir()
    monkeypatch.setattr("whichopt.service.cli.serve.subprocess.Popen", Ended)
    found = RUN.invoke(app, ["demo", "--data", str(tmp_path)])
    assert found.exit_code == 2
    told = f"whichopt: the service did not start: it ended with {said.format(logs=logs)}\n" if said else ""
    assert found.output == told
    without = RUN.invoke(app, ["demo"])
    assert "logs" not in without.output, "the folder is removed as the command ends"


def test_a_command_that_is_not_there_is_told_with_those_that_are() -> None:
    near, far = RUN.invoke(app, ["submitt"]), RUN.invoke(app, ["frobnicate"])
    assert (near.exit_code, far.exit_code) == (2, 2)
    assert "Did you mean 'submit'?" in near.output
    for command in ("submit", "watch", "lint"):
        assert command in far.output


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("learning_rate=0.1", "choose one of: lr, betas, beta1, beta2, eps, weight_decay"),
        ("betas=0.9", "write betas=0.9,0.999"),
        ("lr=abc", "lr cannot be 'abc', as it must be a number"),
    ],
)
def test_a_wrong_setting_is_told_with_how_to_write_it(setting: str, said: str) -> None:
    found = RUN.invoke(app, ["translate", "adam", "sgd", setting])
    assert found.exit_code == 2
    assert said in " ".join(found.output.split())


def test_a_file_that_cannot_be_written_is_told_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    normal = Path.open

    def refused(path: Path, *given: Any, **options: Any) -> Any:
        if path.suffix == ".part":
            raise PermissionError(13, "Permission denied", str(path))
        return normal(path, *given, **options)

    answers = httpx.MockTransport(lambda _: httpx.Response(200, content=b"a file"))
    monkeypatch.setattr(Path, "open", refused)
    with Client("http://service", KEY, transport=answers) as client, pytest.raises(PermissionError) as raised:
        client.studies("0190b0f0-0000-7000-8000-000000000000", tmp_path / "studies.db")
    assert raised.value.filename == str(tmp_path)


def test_the_catalog_says_what_is_special_and_nothing_that_is_empty(url: str) -> None:
    found = RUN.invoke(app, ["catalog", "--url", url, "--key", KEY])
    free = found.stdout.partition("\nschedulefree_sgd ")[2].partition("\nadadagrad ")[0]
    assert "the job's is not for it" in free
    assert "one at a time" in free
    lines = [line.strip() for line in found.stdout.splitlines()]
    assert not [line for line in lines if line.endswith((":", ": {}", ": []"))]


def test_catalogs_in_a_pipe_have_no_padding(url: str) -> None:
    found = RUN.invoke(app, ["catalog", "--url", url, "--key", KEY])
    assert found.exit_code == 0
    assert "    hyperparameter" in found.stdout
    assert all(line == line.rstrip() for line in found.stdout.splitlines())


def test_what_an_extra_brings_is_told_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    report = read_report(ROOT / "tests" / "earlier" / "0.1" / "reports" / "finished.json")
    monkeypatch.setattr("whichopt.service.extras.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"pip install 'whichopt\[verify\]'"):
        verify(report)
