"""A report of a job whose batches grow: its figures, its words, and what verify makes of its curves."""

from __future__ import annotations

from tests.builders.reports import growing_report, trained_report, with_trials
from whichopt.service.batches import NOISE_CURVE, SIZE_CURVE
from whichopt.service.evidence.report import batch_figures
from whichopt.service.evidence.report.consistency import inconsistencies
from whichopt.service.evidence.report.figures import optimizer_tones
from whichopt.service.evidence.report.html import render_html
from whichopt.service.evidence.report.verify import verify


def test_figures_show_the_finalists_whose_batches_grow() -> None:
    report = growing_report()
    sizes = batch_figures.batch_sizes(report, optimizer_tones(report), 300)
    noise = batch_figures.batch_noise(report, optimizer_tones(report), 300)
    assert sizes is not None
    assert noise is not None
    assert "adadagradnorm grew from" in sizes.alt
    assert "sgd" not in sizes.alt
    page = render_html(report)
    assert (page.count("How the batches grew"), page.count("Why they grew")) == (1, 1)
    assert "adadagradnorm (batches that grow), sgd (batch_size)" in page


def test_a_job_of_fixed_batches_has_no_such_figure() -> None:
    report = trained_report()
    assert batch_figures.batch_sizes(report, optimizer_tones(report), 300) is None
    assert batch_figures.batch_noise(report, optimizer_tones(report), 300) is None
    assert "How the batches grew" not in render_html(report)


def test_curves_of_batches_are_checked_like_others_but_noise_may_end_early() -> None:
    """The noise of a gradient of 0 is no number, so that its last point may be missing."""
    report = growing_report()
    assert verify(report).outcome == "confirmed"
    for name, contradicts in ((NOISE_CURVE, False), (SIZE_CURVE, True)):
        cut = []
        for trial in report.trials:
            assert trial.result is not None
            curves = dict(trial.result.curves)
            if name in curves:
                curves[name] = curves[name][:-1]
            cut.append(
                trial.model_copy(update={"result": trial.result.model_copy(update={"curves": curves})})
            )
        changed = with_trials(report, cut)
        found = inconsistencies(changed.spec, changed.trials, cut_short=False)
        assert any(name in one for one in found) == contradicts
