"""The part of a snippet that has the network of a text: the class, with torch's own modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.language import LSTM, TRANSFORMER, LSTMOptions, TransformerOptions
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.modules import code
from whichopt.service.catalog.shapes import Shape
from whichopt.service.spec import ResolvedWorkload


def network(workload: ResolvedWorkload) -> tuple[list[str], bool]:
    """Return the lines that make the network as `model`, and whether it takes and gives a state."""
    entry = next((one for one in built_in().models if one.name == workload.model.name), None)
    if entry is not None and entry.name in _CLASSES:
        write, carries = _CLASSES[entry.name]
        return write(entry.options(**workload.model.options), workload.shape), carries
    if entry is not None and entry.modules is not None:
        return code(entry.modules(entry.options(**workload.model.options), workload.shape)), False
    tokens = workload.shape.outputs
    return [
        "model = torch.nn.Sequential(  # your model here",
        f"    torch.nn.Embedding({tokens}, 64), torch.nn.Linear(64, {tokens})",
        ")",
    ], False


def _lstm(options: ModelOptions, shape: Shape) -> list[str]:
    assert isinstance(options, LSTMOptions)
    between = f", dropout={options.dropout!r}" if options.dropout and options.layers > 1 else ""
    sizes = f"{options.embedding}, {options.hidden}, {options.layers}"
    outputs = "self.dropout(outputs)" if options.dropout else "outputs"
    return [
        "",
        "",
        "class Network(torch.nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        f"        self.embedding = torch.nn.Embedding({shape.outputs}, {options.embedding})",
        f"        self.lstm = torch.nn.LSTM({sizes}, batch_first=True{between})",
        *([f"        self.dropout = torch.nn.Dropout({options.dropout!r})"] if options.dropout else []),
        f"        self.head = torch.nn.Linear({options.hidden}, {shape.outputs})",
        "",
        "    def forward(self, tokens, state=None):",
        "        outputs, state = self.lstm(self.embedding(tokens), state)",
        f"        return self.head({outputs}), state",
        "",
        "",
        "model = Network()",
    ]


def _transformer(options: ModelOptions, shape: Shape) -> list[str]:
    assert isinstance(options, TransformerOptions)
    width, heads = options.width, options.heads
    return [
        "",
        "",
        "class Block(torch.nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        f"        self.norm1 = torch.nn.LayerNorm({width})",
        f"        self.attention = torch.nn.Linear({width}, {3 * width})",
        f"        self.project = torch.nn.Linear({width}, {width})",
        f"        self.norm2 = torch.nn.LayerNorm({width})",
        f"        self.up = torch.nn.Linear({width}, {4 * width})",
        f"        self.down = torch.nn.Linear({4 * width}, {width})",
        "",
        "    def forward(self, x):",
        f"        each = self.attention(self.norm1(x)).unflatten(-1, (3, {heads}, {width // heads}))",
        "        query, key, value = each.permute(2, 0, 3, 1, 4)",
        "        attend = torch.nn.functional.scaled_dot_product_attention",
        "        attended = attend(query, key, value, is_causal=True).transpose(1, 2).flatten(2)",
        "        x = x + self.project(attended)",
        '        inner = torch.nn.functional.gelu(self.up(self.norm2(x)), approximate="tanh")',
        "        return x + self.down(inner)",
        "",
        "",
        "class Network(torch.nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        f"        self.embedding = torch.nn.Embedding({shape.outputs}, {width})",
        f"        self.positions = torch.nn.Embedding({shape.features}, {width})",
        "        for table in (self.embedding, self.positions):",
        "            torch.nn.init.normal_(table.weight, std=0.02)",
        f"        self.blocks = torch.nn.ModuleList(Block() for _ in range({options.layers}))",
        f"        self.norm = torch.nn.LayerNorm({width})",
        f"        self.head = torch.nn.Linear({width}, {shape.outputs})",
        "",
        "    def forward(self, tokens):",
        "        x = self.embedding(tokens) + self.positions.weight[: tokens.shape[1]]",
        "        for block in self.blocks:",
        "            x = block(x)",
        "        return self.head(self.norm(x))",
        "",
        "",
        "model = Network()",
    ]


_CLASSES: Mapping[str, tuple[Callable[[ModelOptions, Shape], list[str]], bool]] = {
    LSTM.name: (_lstm, True),
    TRANSFORMER.name: (_transformer, False),
}
"""The networks that are no chain of torch's modules, and whether they carry a state."""
