"""The part of a snippet that makes a model which is no chain of torch's modules: by the model's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from whichopt.service.catalog.shapes import Shape

BOWL = (
    "",
    "",
    "class Quadratic(torch.nn.Module):",
    "    def __init__(self, hessian):",
    "        super().__init__()",
    "        self.theta = torch.nn.Parameter(torch.ones(len(hessian)))",
    '        self.register_buffer("hessian", hessian)',
    "",
    "    def forward(self, x):",
    '        """The loss of each example, from the parameters\' distance to it."""',
    "        off = self.theta - x",
    "        return 0.5 * (off @ self.hessian * off).sum(dim=1, keepdim=True)",
    "",
    "",
)


def _quadratic(shape: Shape) -> Sequence[str]:
    steep = round(0.1 * shape.features)
    return (
        *BOWL,
        f"eigenvalues = torch.cat([torch.rand({shape.features - steep}), 30 + 30 * torch.rand({steep})])",
        f"turned = torch.linalg.qr(torch.randn({shape.features}, {shape.features})).Q",
        "model = Quadratic(turned.T * eigenvalues @ turned)  # one like the job's; your own Hessian here",
    )


CODE: Mapping[str, Callable[[Shape], Sequence[str]]] = {"quadratic": _quadratic}
"""The lines that make `model`, by the name of the model in the catalog."""
