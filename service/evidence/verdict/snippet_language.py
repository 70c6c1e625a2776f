"""A recommendation for a language model as code that runs as pasted, on the job's own text."""

from __future__ import annotations

from whichopt.service.catalog.language import NAMES_VOCABULARY, UNICODE_NAMES
from whichopt.service.catalog.tasks import metric
from whichopt.service.evidence.verdict.snippet import imports, optimizer_lines
from whichopt.service.evidence.verdict.snippet_networks import network
from whichopt.service.evidence.verdict.snippet_steps import Steps
from whichopt.service.seeds import trial_seeds
from whichopt.service.space import Config
from whichopt.service.spec import ResolvedSpec, ResolvedWorkload
from whichopt.service.states import Phase

WIDTH = 90
"""Characters of a line of the vocabulary."""

LANES, LANE = 64, 16
"""How an evaluation walks along the test windows (`whichopt.workers.workload.language`)."""

NAMES = (
    "# The names of Unicode 3.2, of which Python keeps a frozen copy, in an order that their hashes draw.",
    'names = [unicodedata.ucd_3_2_0.name(chr(code), "") for code in range(0xE0100)]',
    'by_rule = ("CJK UNIFIED IDEOGRAPH-", "CJK COMPATIBILITY IDEOGRAPH-", "HANGUL SYLLABLE ")',
    "names = [name for name in names if name and not name.startswith(by_rule)]",
    "names.sort(key=lambda name: hashlib.sha256(name.encode()).digest())",
)


def language_snippet(spec: ResolvedSpec, label: str, config: Config) -> str:
    """Return Python code that trains the job's network along its text with `config` of that optimizer.

    It needs torch and the optimizer's own package. It reads the text as the job does, trains as a
    confirm run, but for the last bits, and prints the test score. A text that a report knows by its name
    alone has a stand-in, and the code says where the user's own goes.
    """
    facts = spec.optimizer(label).facts
    total = "-(-epochs * len(train) // batch_size)"
    steps = Steps(
        spec.training_of(label, config), spec.budget.epochs, total, examples=f"{total} * batch_size"
    )
    model, carries = network(spec.cataloged)
    text = _text(spec.cataloged)
    scores = _scores(spec, carries=carries)
    lines = [
        *_standard(text),
        *imports(facts, [*steps.settings, *scores]),
        "",
        *text,
        *_windows(spec),
        "",
        "torch.manual_seed(0)",
        *model,
        *optimizer_lines(facts, config),
        "",
        *steps.settings,
        *([] if steps.has_total else [f"total_steps = {total}"]),
        "",
        "# Each row of a batch runs along the text, and its next window follows in the next step.",
        "lanes = torch.arange(batch_size) * len(train) // batch_size",
        *(["state = None"] if carries else []),
        "for step in range(total_steps):",
        "    batch = train[(lanes + step) % len(train)]",
        *_outputs("    ", "inputs[batch]", carries=carries),
        "    loss = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), targets[batch].flatten())",
        *(["    state = tuple(part.detach() for part in state)"] if carries else []),
        *steps.lines("    "),
    ]
    if facts.modes:
        lines.append("optimizer.eval()  # sets the params that are to be evaluated and saved")
    return "\n".join([*lines, *scores]) + "\n"


def _standard(text: list[str]) -> list[str]:
    """Return the imports that the text needs."""
    return [f"import {name}" for name in ("gzip", "hashlib", "unicodedata") if f"{name}." in "\n".join(text)]


def _text(workload: ResolvedWorkload) -> list[str]:
    """Return the lines that make `tokens` of the text."""
    options, upload = workload.dataset.options, workload.upload
    vocabulary = NAMES_VOCABULARY
    if upload is not None and upload.text is not None:
        vocabulary = upload.text.vocabulary
        opened = "gzip.open" if (upload.file.name or "").endswith(".gz") else "open"
        written = "" if upload.written is None else upload.written.encoding or ""
        encoding = "utf-16" if written.startswith("utf-16") else "utf-8-sig"
        mode = ', "rt"' if opened == "gzip.open" else ""
        name = upload.file.name or "text.txt"
        lines = [f"with {opened}({name!r}{mode}, encoding={encoding!r}) as file:", "    text = file.read()"]
    elif workload.dataset.name == UNICODE_NAMES.name:
        lines = [*NAMES, f'text = ("\\n".join(names) + "\\n")[:{options["characters"]}]']
    else:
        lines = [f"text = {NAMES_VOCABULARY!r} * 1000  # your text here"]
    if options.get("tokens") == "bytes":
        return [*lines, "tokens = torch.tensor(list(text.encode()))"]
    return [
        *lines,
        *_literal("vocabulary", vocabulary),
        "place = {character: number for number, character in enumerate(vocabulary)}",
        "tokens = torch.tensor([place.get(character, len(vocabulary)) for character in text])",
    ]


def _literal(name: str, text: str) -> list[str]:
    """Return the assignment of a text to a name, in several lines if it is long."""
    if len(repr(text)) <= WIDTH:
        return [f"{name} = {text!r}"]
    pieces = [text[at : at + WIDTH // 2] for at in range(0, len(text), WIDTH // 2)]
    return [f"{name} = (", *(f"    {piece!r}" for piece in pieces), ")"]


def _windows(spec: ResolvedSpec) -> list[str]:
    """Return the lines that cut the text into windows, and divide them as one of the job's confirm runs."""
    sizes, seed = spec.sizes, trial_seeds(spec.seed, Phase.CONFIRM, 0).split
    return [
        "",
        "# Windows of the text: each token is to be followed by the next one.",
        f"length = {spec.cataloged.shape.features}",
        "windows = (len(tokens) - 1) // length",
        "inputs = tokens[: windows * length].view(windows, length)",
        "targets = tokens[1 : windows * length + 1].view(windows, length)",
        f"test = torch.arange({sizes.test}) + {sizes.train + sizes.validation}  # the end of the text",
        f"begin = {_begin(seed, sizes.train + sizes.validation)}  # of the stretch that validates",
        f"train = (begin + {sizes.validation} + torch.arange({sizes.train}))"
        f" % {sizes.train + sizes.validation}",
    ]


def _begin(seed: int, rest: int) -> int:
    import numpy as np  # not at the start of the service

    return int(np.random.default_rng(seed).integers(rest))


def _outputs(margin: str, inputs: str, *, carries: bool) -> list[str]:
    call = f"outputs, state = model({inputs}, state)" if carries else f"outputs = model({inputs})"
    return [margin + call]


def _scores(spec: ResolvedSpec, *, carries: bool) -> list[str]:
    """Return the lines that print the metric that the job selects on, of the test windows."""
    name = spec.goal.metric
    found = metric(spec.cataloged.task, name)
    code = "losses.mean().item()" if found is None or found.code is None else found.code
    hits = "hits" in code
    return [
        "",
        "# The test windows are read in lanes, too, each of which begins without a state.",
        "model.eval()",
        f"rounds = -(-len(test) // max(1, min({LANES}, len(test) // {LANE})))",
        "lanes = torch.arange(-(-len(test) // rounds)) * rounds",
        *(["state = None"] if carries else []),
        f"{'hits' if hits else 'losses'} = []",
        "with torch.no_grad():",
        "    for step in range(rounds):",
        "        batch = test[(lanes + step).clamp(max=len(test) - 1)]",
        *_outputs("        ", "inputs[batch]", carries=carries),
        *(
            ["        hits.append((outputs.argmax(-1) == targets[batch]).double())"]
            if hits
            else [
                "        found = torch.nn.functional.cross_entropy(",
                '            outputs.flatten(0, 1), targets[batch].flatten(), reduction="none"',
                "        )",
                "        losses.append(found.view(len(batch), length).double())",
            ]
        ),
        f"{'hits' if hits else 'losses'} = torch.stack({'hits' if hits else 'losses'}, dim=1)"
        ".flatten(0, 1)[: len(test)]",
        f'print("test {name}:", {code})',
    ]
