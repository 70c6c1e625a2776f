"""The options of a model, as a job writes them beside its name."""

from __future__ import annotations

from pydantic import ConfigDict

from whichopt.service.numeric import NumbersAreNumbers


class ModelOptions(NumbersAreNumbers):
    """The options of a model; none, unless its entry has a subclass."""

    model_config = ConfigDict(frozen=True, extra="forbid")
