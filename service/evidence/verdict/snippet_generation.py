"""A recommendation for a generator and its critic as code that runs as pasted, with an optimizer for each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from whichopt.service.catalog.generation import GanOptions, RingOptions
from whichopt.service.catalog.optimizer_entry import OptimizerFacts
from whichopt.service.evidence.verdict.snippet import imports, optimizer_lines
from whichopt.service.evidence.verdict.snippet_images import augmentation_of, batch_of
from whichopt.service.evidence.verdict.snippet_steps import schedule_lines
from whichopt.service.space import Config
from whichopt.service.spec import ResolvedSpec, ResolvedWorkload

EXAMPLES = 256
"""Examples of the random data that stand in for the user's."""

CENTERED = (
    "class Centered(torch.nn.Module):",
    '    """Images from 0 to 1 as numbers from -1 to 1."""',
    "",
    "    def forward(self, images):",
    "        return 2 * images - 1",
    "",
    "",
)

NORMALIZING = "torch.nn.utils.parametrizations"

PLAYERS = ("critic", "generator")


def gan_snippet(spec: ResolvedSpec, label: str, config: Config) -> str:
    """Return Python code that trains both players with `config` of that optimizer.

    It needs torch and the optimizer's own package. The points of a ring are the job's own; for other data it
    has a stand-in, and the code says where the user's own go. At the end it prints the sliced Wasserstein
    distance.
    """
    workload, facts = spec.cataloged, spec.optimizer(label).facts
    options = GanOptions(**workload.model.options)
    training = spec.training_of(label, config)
    schedule = _for_both(
        schedule_lines(training.schedule, "total_steps = epochs * -(-len(inputs) // batch_size)")
    )
    data = _data(workload)
    lines = [
        *(["import numpy as np"] if "np." in "".join(data) else []),
        *imports(facts, schedule),
        *([f"from {NORMALIZING} import spectral_norm"] if options.spectral_norm else []),
        "",
        "torch.manual_seed(0)",
        *data,
        *_networks(workload, options),
        *augmentation_of(workload),
        "",
        *(line for player in PLAYERS for line in _optimizer(player, facts, config)),
        "",
        f"batch_size, epochs = {training.batch_size}, {spec.budget.epochs}",
        *schedule,
        "",
        f"latent, step = {options.latent}, 0",
        "for epoch in range(epochs):",
        "    for batch in torch.randperm(len(inputs)).split(batch_size):",
        f"        real = {batch_of(workload)}",
        "        made = generator(torch.randn(len(real), latent)).detach()",
        *(f"        {line}" for line in _critic_loss(options)),
        *_step("critic", spec.clip_norm, "        "),
        *([f"        if step % {options.critic_steps} == 0:"] if options.critic_steps > 1 else []),
        *_generator_step(options, spec.clip_norm),
        "        step += 1",
        *(f"        {player}_scheduler.step()" for player in PLAYERS if schedule),
        *(f"{player}_optimizer.eval()  # sets the params to evaluate" for player in PLAYERS if facts.modes),
        "",
        "generator.eval()",
        "with torch.no_grad():",
        "    made = generator(torch.randn(len(inputs), latent))",
        f"lines = torch.nn.functional.normalize(torch.randn({workload.shape.features}, 128), dim=0)",
        "along = [(examples @ lines).sort(dim=0).values for examples in (made, inputs)]",
        'print(f"sliced Wasserstein distance: {(along[0] - along[1]).abs().mean().item():.4f}")',
    ]
    return "\n".join(lines) + "\n"


def _data(workload: ResolvedWorkload) -> list[str]:
    if workload.dataset.name == "ring":
        ring = RingOptions(**workload.dataset.options)
        return [
            "# The job's own points, of which the service trains on 60% and keeps the others for its scores.",
            "random = np.random.default_rng(0)",
            f"place = random.permutation(np.arange({ring.examples}) % {ring.modes})",
            f"angle = 2 * np.pi * place / {ring.modes}",
            f"centers = {ring.radius!r} * np.stack([np.cos(angle), np.sin(angle)], axis=1)",
            f"points = centers + {ring.deviation!r} * random.standard_normal(centers.shape)",
            'inputs = torch.from_numpy(points.astype("float32"))',
        ]
    scaled = ", scaled to 0 to 1" if workload.shape.image is not None else ""
    made = "rand" if scaled else "randn"
    return [f"inputs = torch.{made}({EXAMPLES}, {workload.shape.features})  # your data here{scaled}"]


def _networks(workload: ResolvedWorkload, options: GanOptions) -> list[str]:
    features, bounded = workload.shape.features, workload.shape.image is not None
    generator = chain((options.latent, *options.hidden, features), "torch.nn.ReLU()")
    critic = chain(
        (features, *options.hidden, 1), "torch.nn.LeakyReLU(0.2)", normalized=options.spectral_norm
    )
    return [
        *(["", "", *CENTERED] if bounded else [""]),
        *network("generator", [*generator, *(["torch.nn.Sigmoid()"] if bounded else [])]),
        *network("critic", [*(["Centered()"] if bounded else []), *critic]),
    ]


def chain(widths: Sequence[int], activation: str, *, normalized: bool = False) -> list[str]:
    """Return the code of each module of a chain of linear layers with an activation between each two."""
    made = []
    for pair in pairwise(widths):
        layer = f"torch.nn.Linear({pair[0]}, {pair[1]})"
        made += [f"spectral_norm({layer})" if normalized else layer, activation]
    return made[:-1]


def network(name: str, modules: Sequence[str]) -> list[str]:
    """Return the lines that make the network of that name of those modules."""
    return [f"{name} = torch.nn.Sequential(", *(f"    {module}," for module in modules), ")"]


def _optimizer(player: str, facts: OptimizerFacts, config: Config) -> list[str]:
    lines = (
        line.replace("model.parameters()", f"{player}.parameters()")
        for line in optimizer_lines(facts, config)
    )
    return [
        line.replace("optimizer", f"{player}_optimizer", 1) if line.startswith("optimizer") else line
        for line in lines
    ]


def _for_both(schedule: Sequence[str]) -> list[str]:
    """The lines of a schedule with a scheduler for each player."""
    if not schedule:
        return []
    *before, last = schedule
    return [
        *before,
        *(
            last.replace("scheduler =", f"{player}_scheduler =").replace("(optimizer", f"({player}_optimizer")
            for player in PLAYERS
        ),
    ]


def _critic_loss(options: GanOptions) -> list[str]:
    if options.loss == "nonsaturating":
        return [
            "softplus = torch.nn.functional.softplus",
            "critic_loss = softplus(-critic(real)).mean() + softplus(critic(made)).mean()",
        ]
    return [
        "between = torch.lerp(real, made, torch.rand(len(real), 1)).requires_grad_()",
        "(slopes,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)",
        f"penalty = {options.penalty!r} * (slopes.norm(dim=1) - 1).square().mean()",
        "critic_loss = critic(made).mean() - critic(real).mean() + penalty",
    ]


def _generator_step(options: GanOptions, clip_norm: float | None) -> list[str]:
    margin = "        " if options.critic_steps == 1 else "            "
    judged = "critic(generator(torch.randn(len(real), latent)))"
    loss = f"softplus(-{judged}).mean()" if options.loss == "nonsaturating" else f"-{judged}.mean()"
    return [f"{margin}generator_loss = {loss}", *_step("generator", clip_norm, margin)]


def _step(player: str, clip_norm: float | None, margin: str) -> list[str]:
    clipped = f"torch.nn.utils.clip_grad_norm_({player}.parameters(), max_norm={clip_norm!r})"
    return [
        f"{margin}{player}_optimizer.zero_grad()",
        f"{margin}{player}_loss.backward()",
        *([] if clip_norm is None else [f"{margin}{clipped}"]),
        f"{margin}{player}_optimizer.step()",
    ]
