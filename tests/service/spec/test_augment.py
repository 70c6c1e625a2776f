"""Augmentation in a job: as it is asked for, resolved, said, linted, and in the code of a recommendation."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.builders.present import present
from whichopt.service.errors import InvalidSpec
from whichopt.service.evidence.verdict.snippet import snippet
from whichopt.service.evidence.verdict.snippet_tasks import snippet_of
from whichopt.service.lint import lint
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.spec.augment import Crop, Flip
from whichopt.service.spec.digest import digest
from whichopt.service.workload_words import augment_line, data_line
from whichopt.workers.workload.augmentation import cropped, flipped


def resolved(augment: Any = None, dataset: str = "digits", model: str = "cnn") -> ResolvedSpec:
    workload = {"dataset": dataset, "model": model}
    if augment is not None:
        workload["augment"] = augment
    return resolve(JobSpec.model_validate({"workload": workload, "optimizers": ["adamw"]}))


@pytest.mark.parametrize(
    ("augment", "wanted"),
    [
        (["flip"], (Flip(name="flip"),)),
        (["crop"], (Crop(name="crop", padding=1),)),  # an eighth of 8 pixels
        ([{"name": "crop", "padding": 4}, "flip"], (Crop(name="crop", padding=4), Flip(name="flip"))),
        ([], ()),
    ],
)
def test_what_is_asked_for_is_written_out(augment: Any, wanted: tuple[Any, ...]) -> None:
    spec = resolved(augment)
    assert spec.cataloged.augment == wanted
    again = resolve(JobSpec.model_validate(spec.model_dump(mode="json")))
    assert again == spec
    assert ResolvedSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_spec_without_any_keeps_its_bytes() -> None:
    for spec in (resolved(), resolved([])):
        assert "augment" not in spec.model_dump_json()
        assert digest(spec) == digest(resolved())
    assert (
        "augment"
        not in JobSpec.model_validate({"workload": {"dataset": "wine", "model": "mlp"}}).model_dump_json()
    )
    assert len({digest(resolved(one)) for one in ([], ["flip"], ["crop"], ["flip", "crop"])}) == 4


@pytest.mark.parametrize(
    ("augment", "dataset", "said", "field"),
    [
        (["flip"], "wine", "dataset 'wine' has none", "workload.augment"),
        (["flip"], "noisy_digits", "images that go with them", "workload.augment"),
        (["flip", "flip"], "digits", "'flip' twice", "workload.augment.1"),
        (
            [{"name": "crop", "padding": 5}],
            "digits",
            "at most half of that is allowed, 4",
            "workload.augment.0.padding",
        ),
    ],
)
def test_what_does_not_fit_is_refused(augment: Any, dataset: str, said: str, field: str) -> None:
    with pytest.raises(InvalidSpec, match=said) as caught:
        resolved(augment, dataset, "linear")
    assert caught.value.field == field


@pytest.mark.parametrize(
    "augment", [["rotate"], "flip", [{"name": "crop", "padding": "2"}], [{"padding": 2}], [7]]
)
def test_what_is_no_augmentation_is_invalid(augment: Any) -> None:
    with pytest.raises(ValidationError):
        resolved(augment)


def test_it_is_said() -> None:
    workload = resolved(["flip", "crop"]).workload
    assert augment_line(workload) == "flip, crop by up to 1 pixel"
    assert data_line(workload).endswith("test; training images: flip, crop by up to 1 pixel")
    assert augment_line(resolved().workload) is None


def test_mirrored_digits_and_wide_crops_are_findings() -> None:
    found = {one.code: one for one in lint(resolved(["flip", {"name": "crop", "padding": 3}]))}
    assert found["flipped_signs"].field == "workload.augment.0"
    assert "no 2" in found["flipped_signs"].why
    assert found["wide_crop"].field == "workload.augment.1"
    codes = {one.code for one in lint(resolved(["crop"]))}
    assert not codes & {"flipped_signs", "wide_crop"}


def test_the_snippet_augments_as_the_job_does() -> None:
    code = snippet(
        resolved(["flip", {"name": "crop", "padding": 2}]), "adamw", resolved().optimizers[0].default
    )
    assert "torchvision" not in code
    assert "model(augmented(inputs[batch]))" in present(code)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code.replace("= 64, 20", "= 64, 1")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "last loss" in done.stdout
    names: dict[str, Any] = {"torch": torch}
    start = code.index("def augmented")
    exec(code[start : code.index("return images.flatten(1)") + len("return images.flatten(1)")], names)
    images = torch.randn(40, 1, 8, 8)
    torch.manual_seed(3)
    found = names["augmented"](images.flatten(1))
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(found, cropped(flipped(images, generator), 2, generator).flatten(1))


def test_the_snippet_without_any_is_as_before() -> None:
    assert "augmented" not in snippet(resolved(), "adamw", resolved().optimizers[0].default)


@pytest.mark.parametrize(("task", "model"), [("generation", "gan"), ("autoencoding", "vae")])
def test_the_code_of_tasks_that_make_images_augments_them_too(task: str, model: str) -> None:
    workload = {"dataset": "digits", "model": model, "task": task, "augment": ["crop"]}
    spec = resolve(JobSpec.model_validate({"workload": workload, "optimizers": ["adam"]}))
    code = snippet_of(spec, "adam", spec.optimizers[0].default)
    assert "augmented(inputs[batch])" in present(code)
    compile(code, "pasted", "exec")
    assert code.index("def augmented") < code.index("augmented(inputs[batch])")
