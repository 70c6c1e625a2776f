"""The metrics by which a model's outputs are judged: which way is better, and what a guess scores."""

from __future__ import annotations

from dataclasses import dataclass

from whichopt.service.states import Direction


@dataclass(frozen=True)
class Metric:
    """A metric of a task.

    `constant` says what a constant predictor scores: one that has learned from the targets of training alone,
    and answers the same for every example. A confirm run that diverged counts as one. `absent` says what
    becomes of classes without an example in the split; None where there are no classes.

    `ratio` is True if 0 is the metric's natural end, so that a percentage of it has a meaning.

    `code` is the metric in Python, as a snippet prints it: of `outputs` and `truth`, which are (N, classes)
    and (N,), or (N,) each. For classes it may use `present`, those that have examples, and of these `one_hot`
    and `scores` (N, classes).

    `by_example` is True if it is the mean of a value of each example: then confirm keeps these values.
    """

    name: str
    title: str
    direction: Direction
    unit: str
    constant: str
    absent: str | None = None
    ratio: bool = True
    code: str | None = None
    by_example: bool = False


CLASSIFICATION = (
    Metric(
        name="nll",
        title="Negative log-likelihood",
        direction=Direction.MINIMIZE,
        unit="nats an example",
        constant="the cross-entropy of the class frequencies of training: ln K for K classes of equal size",
        absent="it is a mean over examples, so they do not enter",
        code="torch.nn.functional.cross_entropy(outputs, truth).item()",
        by_example=True,
    ),
    Metric(
        name="accuracy",
        title="Accuracy",
        direction=Direction.MAXIMIZE,
        unit="share of examples",
        constant="the share of the class that training has most of",
        absent="it is a mean over examples, so they do not enter",
        code="sklearn.metrics.accuracy_score(truth, outputs.argmax(1))",
        by_example=True,
    ),
    Metric(
        name="balanced_accuracy",
        title="Balanced accuracy",
        direction=Direction.MAXIMIZE,
        unit="mean share over classes",
        constant="1 / K for K classes",
        absent="they are left out of the mean",
        code="sklearn.metrics.balanced_accuracy_score(truth, outputs.argmax(1))",
    ),
    Metric(
        name="macro_f1",
        title="Macro F1",
        direction=Direction.MAXIMIZE,
        unit="mean over classes",
        constant="the F1 of the class that training has most of, over K: at most 1 / K for K classes",
        absent="they are left out of the mean",
        code='sklearn.metrics.f1_score(truth, outputs.argmax(1), labels=present, average="macro")',
    ),
    Metric(
        name="roc_auc",
        title="ROC AUC, each class against the rest",
        direction=Direction.MAXIMIZE,
        unit="mean over classes",
        constant="0.5",
        absent="they are left out of the mean",
        code="sklearn.metrics.roc_auc_score(one_hot, scores)",
    ),
    Metric(
        name="average_precision",
        title="Average precision, each class against the rest",
        direction=Direction.MAXIMIZE,
        unit="mean over classes",
        constant="1 / K for K classes, whatever their sizes",
        absent="they are left out of the mean",
        code="sklearn.metrics.average_precision_score(one_hot, scores)",
    ),
)

REGRESSION = (
    Metric(
        name="rmse",
        title="Root mean squared error",
        direction=Direction.MINIMIZE,
        unit="the target's own units",
        constant="the root mean squared distance to the mean of training: about the standard deviation",
        code="sklearn.metrics.root_mean_squared_error(truth, outputs)",
    ),
    Metric(
        name="mae",
        title="Mean absolute error",
        direction=Direction.MINIMIZE,
        unit="the target's own units",
        constant="the mean distance to the mean of training",
        code="sklearn.metrics.mean_absolute_error(truth, outputs)",
        by_example=True,
    ),
    Metric(
        name="r2",
        title="R², the share of the variance that is explained",
        direction=Direction.MAXIMIZE,
        unit="share of the variance",
        constant="0 or a little less, as the mean of training is not quite that of the split",
        ratio=False,
        code="sklearn.metrics.r2_score(truth, outputs)",
    ),
)
