"""The tasks `generation` and `autoencoding`: there is nothing to learn but the inputs themselves."""

from __future__ import annotations

from whichopt.service.catalog.metrics import Metric
from whichopt.service.catalog.task_entry import TaskEntry
from whichopt.service.states import Direction

GENERATION_METRICS = (
    Metric(
        name="sliced_wasserstein",
        title="Sliced Wasserstein distance",
        direction=Direction.MINIMIZE,
        unit="units of the data; of images, share of the range from black to white",
        constant="the distance of the split from samples that all lie at the mean of training",
    ),
    Metric(
        name="frechet",
        title="Fréchet distance of means and covariances, squared",
        direction=Direction.MINIMIZE,
        unit="squares of a fixed classifier's scores; of points, of their own units",
        constant="the distance of the split from samples that all lie at the mean of training",
    ),
    Metric(
        name="modes",
        title="Modes found",
        direction=Direction.MAXIMIZE,
        unit="number of modes",
        constant="at most 1, as all samples are the same",
    ),
    Metric(
        name="high_quality",
        title="High-quality samples",
        direction=Direction.MAXIMIZE,
        unit="share of samples",
        constant="0 or 1, as all samples are the same",
    ),
)

AUTOENCODING_METRICS = (
    Metric(
        name="negative_elbo",
        title="Negative ELBO",
        direction=Direction.MINIMIZE,
        unit="nats an example",
        constant="the negative log-likelihood if each number is foretold by its mean in training",
        by_example=True,
    ),
    Metric(
        name="reconstruction",
        title="Reconstruction, the negative log-likelihood given a code",
        direction=Direction.MINIMIZE,
        unit="nats an example",
        constant="the negative log-likelihood if each number is foretold by its mean in training",
        by_example=True,
    ),
    Metric(
        name="kl",
        title="Divergence of the codes from their prior",
        direction=Direction.MINIMIZE,
        unit="nats an example",
        constant="0, as its codes tell nothing",
        by_example=True,
    ),
)

GENERATION = TaskEntry(
    name="generation",
    title="Generation",
    metrics=GENERATION_METRICS,
    loss="torch.nn.functional.softplus",
    targets=lambda examples, outputs: f"torch.randn({examples}, {outputs})",
    of_inputs=True,
    about="A generator learns to make examples like those of the data, against a critic. Selected on the "
    "sliced Wasserstein distance between as many samples as the split has and the split, unless the job "
    "names another metric; the losses of the two players say nothing of quality.",
)

AUTOENCODING = TaskEntry(
    name="autoencoding",
    title="Autoencoding",
    metrics=AUTOENCODING_METRICS,
    loss="torch.nn.functional.binary_cross_entropy_with_logits",
    targets=lambda examples, outputs: f"torch.rand({examples}, {outputs})",
    of_inputs=True,
    about="Codes are learned from which the inputs, scaled to 0 to 1, can be made again: the negative ELBO "
    "in training, with a Bernoulli likelihood; selected on the negative ELBO (nats an example) unless the "
    "job names another metric.",
)

TASKS = (GENERATION, AUTOENCODING)
