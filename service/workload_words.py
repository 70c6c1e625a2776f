"""The data, the model and the goal of a job in a line each, for pages and terminals. Pure."""

from __future__ import annotations

from whichopt.service.catalog.listed_layers import layers_of, listed, params_of
from whichopt.service.shape_words import examples_words
from whichopt.service.spec.augment import augment_words
from whichopt.service.spec.workloads import AnyWorkload, ResolvedFunction


def data_line(workload: AnyWorkload) -> str:
    """Say what a job learns from, how the rows are divided, and what is done to training images; of a
    function, what its rehearsal told."""
    augmented = augment_line(workload)
    return _data(workload) if augmented is None else f"{_data(workload)}; training images: {augmented}"


def _data(workload: AnyWorkload) -> str:
    if isinstance(workload, ResolvedFunction):
        known = workload.rehearsed
        if known is None or known.parts is None:
            return "the function's own"
        train, validation, test = known.parts
        return f"{train:,} training, {validation:,} validation, {test:,} test"
    sizes, upload = workload.sizes, workload.upload
    parts = f"{sizes.train:,} training, {sizes.validation:,} validation, {sizes.test:,} test"
    if workload.label_noise:
        wrong = f"{100 * workload.label_noise:g}% of the training labels are wrong"
        parts = f"{parts}; label_noise {workload.label_noise:g}: {wrong}"
    shape = workload.shape
    examples = examples_words(workload.task, shape, workload.dataset.options)
    if upload is None:
        origin = "" if workload.dataset_origin is None else f" from {workload.dataset_origin.words}"
        return f"{examples}{origin}; {parts}"
    if shape.tokens is not None or shape.image is not None:  # which no columns are made into
        return f"{examples}; split {upload.split}: {parts}"
    columns = f"{examples} from {len(upload.columns):,} columns"
    return f"{columns}, target {upload.target}; split {upload.split}: {parts}"


def model_line(workload: AnyWorkload) -> str:
    """Say how large a job's model is, and of how many layers, if the job describes them."""
    if isinstance(workload, ResolvedFunction):
        known = workload.rehearsed
        return "the function's own" if known is None else f"the function's own, {known.params:,} params"
    model, origin = workload.model, workload.model_origin
    if origin is not None:
        place = model.name if origin.target == model.name else f"{model.name} from {origin.words}"
        return place if origin.params is None else f"{place}, {origin.params:,} params"
    layers = layers_of(model.name, model.options)
    params = params_of(model.name, model.options, workload.shape)
    name = model.name if layers is None else f"{len(listed(layers, workload.shape))} layers"
    return name if params is None else f"{name}, {params:,} params"


def goal_line(workload: AnyWorkload) -> str:
    """Say what a job's configs are judged by, and whether its classes are weighted in training."""
    goal = f"{workload.goal.metric}, {workload.goal.direction.better} is better"
    weight = None if isinstance(workload, ResolvedFunction) else workload.class_weight
    return goal if weight is None else f"{goal}; class_weight {weight}"


def augment_line(workload: AnyWorkload) -> str | None:
    """Say what is done to each training image; None if nothing is."""
    augment = () if isinstance(workload, ResolvedFunction) else workload.augment
    return augment_words(augment) if augment else None
