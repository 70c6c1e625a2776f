"""A recommendation as code that runs as pasted: the optimizer in full, its schedule, a training loop."""

from __future__ import annotations

from collections.abc import Sequence

from whichopt.service.catalog import tasks
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.modules import code
from whichopt.service.catalog.optimizer_entry import OptimizerFacts
from whichopt.service.evidence.verdict import snippet_labels, snippet_models, snippet_rows, snippet_table
from whichopt.service.evidence.verdict.snippet_images import augmentation_of, batch_of
from whichopt.service.evidence.verdict.snippet_steps import steps_of
from whichopt.service.seeds import trial_seeds
from whichopt.service.space import Config
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.uploads import Upload, Written

_EXAMPLES = 256
"""Number of examples of the random data that stands in for the user's."""


def snippet(spec: ResolvedSpec, label: str, config: Config) -> str:
    """Python code that trains the job's model with `config` of the optimizer `label`.

    It needs torch and the optimizer's own package. On a person's own file it reads, prepares and divides the
    rows as the job does, by pandas, and prints the test score; otherwise it says where the user's data go. A
    model that is no chain of torch's modules has a stand-in, and the code says where the user's own goes.
    """
    upload = spec.workload.upload
    written = None if upload is None else upload.written
    facts = spec.optimizer(label).facts
    steps = steps_of(spec, label, config)
    scores = [] if written is None else _scores(spec)
    lines = [
        *imports(facts, steps.settings, own_data=written is not None, scores=scores),
        "",
        *(_stand_ins(spec) if upload is None or written is None else _own_data(spec, upload, written)),
        *_class_weights(spec),
        *augmentation_of(spec.cataloged),
        "",
        *optimizer_lines(facts, config),
        "",
        *steps.settings,
        "",
        "for epoch in range(epochs):",
        "    for batch in torch.randperm(len(inputs)).split(batch_size):",
        f"        loss = {_loss(spec)}",
        *steps.lines("        "),
    ]
    if facts.modes:
        lines.append("optimizer.eval()  # sets the params that are to be evaluated and saved")
    lines += scores or ['print(f"last loss: {loss.item():.4f}")']
    return "\n".join(lines) + "\n"


def imports(
    facts: OptimizerFacts,
    steps: Sequence[str],
    *,
    own_data: bool = False,
    scores: Sequence[str] = (),
) -> list[str]:
    """Return the imports of code with that optimizer, the lines of those steps and of those scores.

    `own_data` says whether it reads a file.
    """
    package, _, name = facts.build.target.rpartition(".")
    named = {} if package.startswith("torch.") else {package: {name}}
    if any("AdaptiveBatch(" in line for line in steps):
        named.setdefault("adadagrad", set()).update(("AdaptiveBatch", "Growth"))
    return [
        *(["import math", ""] if "math." in "".join(steps) else []),
        *(["import numpy as np", "import pandas as pd"] if own_data else []),
        *(["import sklearn.metrics"] if "sklearn." in "".join(scores) else []),
        "import torch",
        *(f"from {known} import {', '.join(sorted(names))}" for known, names in sorted(named.items())),
    ]


def optimizer_lines(facts: OptimizerFacts, config: Config) -> list[str]:
    """Return the call that makes the optimizer in full, of the params of `model`."""
    package, _, name = facts.build.target.rpartition(".")
    arguments = {**facts.arguments(config), **facts.build.fixed}
    return [
        f"optimizer = {facts.build.target if package.startswith('torch.') else name}(",
        f"    {facts.build.params_code('model.parameters()')},",
        *(f"    {argument}={value!r}," for argument, value in arguments.items()),
        ")",
        *(["optimizer.train()"] if facts.modes else []),
    ]


def _stand_ins(spec: ResolvedSpec) -> list[str]:
    shape = spec.cataloged.shape
    targets = tasks.task(spec.cataloged.task).targets(_EXAMPLES, shape.outputs)
    return [
        "torch.manual_seed(0)",
        *_model(spec),
        f"inputs = torch.randn({_EXAMPLES}, {shape.features})  # your {_what(spec)} here",
        f"targets = {targets}",
        *snippet_labels.of_stand_ins(spec.cataloged, _EXAMPLES),
    ]


def _what(spec: ResolvedSpec) -> str:
    """Return what stands in for: data, or images as the job scales those of a person."""
    upload = spec.cataloged.upload
    if upload is None or upload.images is None:
        return "data"
    return "images, each channel less its mean in training, over its deviation,"


def _own_data(spec: ResolvedSpec, upload: Upload, written: Written) -> list[str]:
    """The person's own rows: the training rows of one of the job's seeds, and its test rows."""
    seed = trial_seeds(spec.seed, Phase.CONFIRM, 0).split
    numbers = ["mean, unit = labels[train].mean(), labels[train].std() or 1.0"]
    numbers += ["targets = torch.tensor((labels[train] - mean) / unit, dtype=torch.float32).reshape(-1, 1)"]
    classes = ["targets = torch.tensor(labels[train]).long()"]
    return [
        *snippet_table.reading(upload, written),
        *snippet_table.target(upload, written),
        *snippet_rows.division(upload, spec.sizes, seed),
        *snippet_labels.of_own_rows(spec.cataloged),
        *snippet_table.features(upload, written),
        "",
        "torch.manual_seed(0)",
        *_model(spec),
        "inputs = features[train]",
        *(numbers if upload.classes is None else classes),
    ]


def _scores(spec: ResolvedSpec) -> list[str]:
    """The metric that the job selects on, of the test rows."""
    name, workload = spec.goal.metric, spec.cataloged
    found = tasks.metric(workload.task, name)
    code = "outputs" if found is None or found.code is None else found.code
    lines = ["model.eval()", "with torch.no_grad():"]
    if workload.upload is not None and workload.upload.classes is None:
        lines += ["    outputs = model(features[test])[:, 0].double() * unit + mean", "truth = labels[test]"]
    else:
        lines += ["    outputs = model(features[test]).double()", "truth = torch.tensor(labels[test]).long()"]
    if "present" in code or "one_hot" in code:
        lines += ["present = truth.unique()"]
    if "one_hot" in code:
        lines += ["scores = outputs.log_softmax(1)[:, present]", "one_hot = truth.unsqueeze(1) == present"]
    return [*lines, f'print("test {name}:", {code})']


def _model(spec: ResolvedSpec) -> list[str]:
    workload = spec.cataloged
    entry = next((one for one in built_in().models if one.name == workload.model.name), None)
    if entry is not None and entry.modules is not None:
        return code(entry.modules(entry.options(**workload.model.options), workload.shape))
    if (lines := snippet_models.CODE.get(workload.model.name)) is not None:
        return list(lines(workload.shape))
    features, outputs = workload.shape.features, workload.shape.outputs
    return [
        "model = torch.nn.Sequential(  # your model here",
        f"    torch.nn.Linear({features}, 64), torch.nn.ReLU(), torch.nn.Linear(64, {outputs})",
        ")",
    ]


def _class_weights(spec: ResolvedSpec) -> list[str]:
    """The weights of the classes, by their numbers in the data that are trained on; nothing without them."""
    if spec.cataloged.class_weight is None:
        return []
    return [
        f"counts = torch.bincount(targets, minlength={spec.cataloged.shape.outputs})",
        "class_weights = len(targets) / (counts.count_nonzero() * counts.clamp(min=1))",
    ]


def _loss(spec: ResolvedSpec) -> str:
    weights = "" if spec.cataloged.class_weight is None else ", weight=class_weights"
    inputs = batch_of(spec.cataloged)
    return f"{tasks.task(spec.cataloged.task).loss}(model({inputs}), targets[batch]{weights})"
