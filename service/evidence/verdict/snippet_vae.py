"""A recommendation for a VAE as code that runs as pasted."""

from __future__ import annotations

from whichopt.service.catalog.generation import VaeOptions
from whichopt.service.evidence.verdict.snippet import imports, optimizer_lines
from whichopt.service.evidence.verdict.snippet_generation import EXAMPLES, chain, network
from whichopt.service.evidence.verdict.snippet_images import augmentation_of, batch_of
from whichopt.service.evidence.verdict.snippet_steps import steps_of
from whichopt.service.space import Config
from whichopt.service.spec import ResolvedSpec

PARTS = (
    "def parts(inputs):",
    '    """What each example costs in nats: its reconstruction, and the divergence of its codes."""',
    '    center, log_variance = model["encoder"](inputs).chunk(2, dim=1)',
    '    logits = model["decoder"](center + (log_variance / 2).exp() * torch.randn_like(center))',
    "    cost = torch.nn.functional.binary_cross_entropy_with_logits(logits, inputs, reduction='none')",
    "    divergence = (center.square() + log_variance.exp() - 1 - log_variance) / 2",
    "    return cost.sum(dim=1), divergence.sum(dim=1)",
)


def vae_snippet(spec: ResolvedSpec, label: str, config: Config) -> str:
    """Return Python code that trains the job's autoencoder with `config` of that optimizer.

    It needs torch and the optimizer's own package. Random data stand in, and the code says where the user's
    own go.
    """
    workload, facts = spec.cataloged, spec.optimizer(label).facts
    options = VaeOptions(**workload.model.options)
    features = workload.shape.features
    steps = steps_of(spec, label, config)
    encoder = chain((features, *options.hidden, 2 * options.latent), "torch.nn.ReLU()")
    decoder = chain((options.latent, *reversed(options.hidden), features), "torch.nn.ReLU()")
    lines = [
        *imports(facts, steps.settings),
        "",
        "torch.manual_seed(0)",
        f"inputs = torch.rand({EXAMPLES}, {features})  # your data here, scaled to 0 to 1",
        *network("encoder", encoder),
        *network("decoder", decoder),
        'model = torch.nn.ModuleDict({"encoder": encoder, "decoder": decoder})',
        "",
        "",
        *PARTS,
        *augmentation_of(workload),
        "",
        "",
        *optimizer_lines(facts, config),
        "",
        *steps.settings,
        "",
        "for epoch in range(epochs):",
        "    for batch in torch.randperm(len(inputs)).split(batch_size):",
        f"        reconstruction, divergence = parts({batch_of(workload)})",
        "        loss = (reconstruction + divergence).mean()",
        *steps.lines("        "),
        *(["optimizer.eval()  # sets the params that are to be evaluated and saved"] if facts.modes else []),
        'print(f"last negative ELBO: {loss.item():.4f} nats an example")',
    ]
    return "\n".join(lines) + "\n"
