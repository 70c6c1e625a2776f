"""What the README shows is run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from whichopt.service.cli import app
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.spec.budget import Budget

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_journey_in_a_repl_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = (block for block in blocks("python") if "next_round" in block)
    exec(compile(code, "README.md", "exec"), {})
    assert "seeds" in capsys.readouterr().out


def test_the_code_on_adabelief_runs_and_its_figures_are_right() -> None:
    training, settings = (block for block in blocks("python") if "from adabelief" in block)
    names: dict[str, object] = {}
    exec(compile(training, "README.md", "exec"), names)
    exec(compile(settings, "README.md", "exec"), names)
    for call, figure in re.findall(r"^(translate\..*?)  # ([-\de.]+)", settings, flags=re.MULTILINE):
        # The figures are given to two digits.
        assert eval(call, names) == pytest.approx(float(figure), rel=0.02), call


def test_the_job_in_the_readme_is_a_job() -> None:
    (text,) = re.findall(r"<<'JSON'\n(.*?)\nJSON", README, flags=re.DOTALL)
    spec = resolve(JobSpec.model_validate(json.loads(text)))
    assert spec.labels == ("adabelief", "adamw", "sgd-narrow")


def test_the_commands_in_the_readme_exist() -> None:
    shown = set(re.findall(r"^whichopt (\w+)", "\n".join(blocks("sh")), flags=re.MULTILINE))
    assert {"up", "submit", "show", "recommend", "catalog"} <= shown
    for command in shown | {"watch", "forecast", "cancel", "export", "demo", "migrate"}:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command


def test_the_defaults_in_the_readme_are_the_defaults() -> None:
    budget = Budget()
    stated = f"`trials` {budget.trials} per optimizer, `replicates` {budget.replicates} studies"
    assert stated in README
    assert f"`epochs` {budget.epochs}, `confirm_seeds` {budget.confirm_seeds}" in README
    assert "WHICHOPT_" in README
    assert Settings.model_config["env_prefix"] == "WHICHOPT_"


def test_every_file_that_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (Path(__file__).parent.parent / target).exists(), target
