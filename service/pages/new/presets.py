"""The presets of a new job: how careful it is, in the fields of its budget. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from whichopt.service.pages.new.form import Form
from whichopt.service.pages.new.values import written
from whichopt.service.spec.budget import TRIALS, Budget

FIELDS = ("trials", "minutes", "studies", "epochs", "seeds")
"""The fields that a preset fills."""


@dataclass(frozen=True)
class Preset:
    """A preset and the text of each of its fields; of one by the clock any number of minutes will do."""

    name: str
    title: str
    words: str
    texts: Mapping[str, str]

    def fits(self, form: Form) -> bool:
        """Tell if the form has what the preset fills in."""
        return all(
            form.text(name) == text or (name == "minutes" and text != "" and form.text(name) != "")
            for name, text in self.texts.items()
        )


def _texts(*, trials: int | None, studies: int, seeds: int, minutes: int | None = None) -> Mapping[str, str]:
    filled = (trials, minutes, studies, Budget().epochs, seeds)
    return dict(zip(FIELDS, map(written, filled), strict=True))


_USUAL = Budget()

PRESETS = (
    Preset(
        "quick",
        "Quick look",
        "12 trials each, 4 fresh seeds. A hint, soon.",
        _texts(trials=12, studies=1, seeds=4),
    ),
    Preset(
        "careful",
        "Careful",
        f"{TRIALS} trials each in {_USUAL.replicates} studies, {_USUAL.confirm_seeds} fresh seeds.",
        _texts(trials=TRIALS, studies=_USUAL.replicates, seeds=_USUAL.confirm_seeds),
    ),
    # 48 trials cannot be divided into 5 equal studies; 50 can.
    Preset(
        "publication",
        "Publication",
        "50 trials each in 5 studies, 20 fresh seeds. Both verdicts have power.",
        _texts(trials=50, studies=5, seeds=20),
    ),
    Preset(
        "clock",
        "By the clock",
        "Equal seconds for each. Ends after the minutes that you give.",
        _texts(trials=None, studies=_USUAL.replicates, seeds=_USUAL.confirm_seeds, minutes=10),
    ),
)


def chosen(form: Form) -> str:
    """Return the name of the preset that the form fits; nothing if there is none."""
    return next((one.name for one in PRESETS if one.fits(form)), "")


def with_chosen(form: Form) -> Form:
    """Return the form with the preset filled in that was chosen in it since it was shown.

    A browser with scripts has filled it in already, and forgets the preset if a field is changed after that.
    """
    name = form.text("preset")
    preset = next((one for one in PRESETS if one.name == name), None)
    if preset is None or name == form.text("preset_was") or preset.fits(form):
        return form
    return form.with_values(**preset.texts)
