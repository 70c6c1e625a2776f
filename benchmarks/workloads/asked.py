"""The workloads as data: the job of each, and what the paper says of such ones."""

from __future__ import annotations

from typing import Any

from benchmarks.shared.asked_races import Asked, Collapse

OPTIMIZERS = ("adabelief", "sgd", "adam", "adamw", "radam")

IMAGES = (
    "On CIFAR with VGG11, ResNet34 and DenseNet121: as fast as the adaptive methods and as accurate as SGD, "
    "which these do not reach. ImageNet, ResNet18: SGD 70.23%, AdaBelief 70.08%, AdamW 67.93%"
)
TEXTS = "On Penn Treebank, LSTMs of 1 to 3 layers: by the abstract, it outperforms the other methods"
GANS = (
    "On CIFAR-10: no collapse, and better images than a well-tuned Adam. SN-GAN, by the same author: FID "
    "12.87, Adam 13.25"
)
BOWLS = "Not in the paper. DeepOBS, tuned: SGD with momentum 87.045, Adam 87.112, SGD 87.397"


def _lstm(layers: int) -> dict[str, Any]:
    return {
        "workload": {
            "dataset": {"name": "unicode_names", "characters": 100_000, "length": 32},
            "model": {"name": "lstm", "layers": layers, "hidden": 48, "embedding": 24},
        },
        "budget": {"trials": 24, "replicates": 3, "epochs": 8, "confirm_seeds": 8},
        "batch_size": 16,
        "clip_norm": 1.0,
    }


WORKLOADS: tuple[Asked, ...] = (
    Asked(
        name="quadratic_deep",
        job={
            "workload": {"dataset": "quadratic_deep", "model": "quadratic"},
            "budget": {"trials": 48, "replicates": 3, "epochs": 100, "confirm_seeds": 10},
            "batch_size": 128,
            "schedule": {"name": "constant"},
        },
        optimizers=OPTIMIZERS,
        paper=BOWLS,
    ),
    Asked(
        name="digits, cnn",
        job={
            "workload": {"dataset": "digits", "model": "cnn"},
            "budget": {"trials": 36, "replicates": 3, "epochs": 15, "confirm_seeds": 10},
        },
        optimizers=OPTIMIZERS,
        paper=IMAGES,
        beside="accuracy",
    ),
    Asked(
        name="mnist1d, cnn",
        job={
            "workload": {"dataset": "mnist1d", "model": {"name": "cnn", "channels": [16, 32]}},
            "budget": {"trials": 36, "replicates": 3, "epochs": 12, "confirm_seeds": 10},
        },
        optimizers=OPTIMIZERS,
        paper=IMAGES,
        beside="accuracy",
    ),
    Asked(
        name="digits, resnet18 an eighth as wide",
        job={
            "workload": {"dataset": "digits", "model": {"name": "resnet18", "width": 0.125}},
            "budget": {"trials": 24, "replicates": 3, "epochs": 10, "confirm_seeds": 8},
        },
        optimizers=OPTIMIZERS,
        paper=IMAGES,
        beside="accuracy",
    ),
    Asked(
        name="names, lstm of 1 layer", job=_lstm(1), optimizers=OPTIMIZERS, paper=TEXTS, beside="perplexity"
    ),
    Asked(
        name="names, lstm of 2 layers", job=_lstm(2), optimizers=OPTIMIZERS, paper=TEXTS, beside="perplexity"
    ),
    Asked(
        name="ring, gan",
        job={
            "workload": {
                "task": "generation",
                "dataset": {"name": "ring", "modes": 8, "examples": 5000},
                "model": {"name": "gan", "hidden": [64, 64]},
            },
            # With so many, each champion has at least 20: confirm ends at its first look at the earliest.
            "budget": {"trials": 24, "replicates": 3, "epochs": 100, "confirm_seeds": 28},
            "batch_size": 128,
            "schedule": {"name": "constant"},
        },
        optimizers=OPTIMIZERS,
        paper=GANS,
        beside="modes",
        collapse=Collapse("modes", below=4.0),
    ),
)
