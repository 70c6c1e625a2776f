"""The mean of paired differences over seeds and test examples together, both taken as random.

Let d_se be how much better one config does than another on seed s and test example e, for S seeds crossed
with E examples. In the two-way random model (Cornfield and Tukey 1956, Annals of Mathematical Statistics 27:
907-949; Searle, Casella and McCulloch 1992, Variance Components, section 4.5),

    d_se = delta + a_s + b_e + c_se,    Var(mean) = var(a) / S + var(b) / E + var(c) / (S E).

Let A be the variance of the S means over examples, over S, and B that of the E means over seeds, over E:

    E[A] = var(a) / S + var(c) / (S E),    E[B] = var(b) / E + var(c) / (S E).

So A + B has the variance of the mean and once more the part of single cells, which the analysis of variance
would take away. It stays, as in `estimates.crossed_difference`: what is taken away is itself an estimate, and
accuracies, whose cells are coarse, are covered with it (`benchmarks.examples` prints both). A + B is also
what the pigeonhole bootstrap estimates (Owen 2007, Annals of Applied Statistics 1: 386-411; McCullagh 2000,
Bernoulli 6: 285-301: no bootstrap of crossed data does better). The degrees of freedom are Satterthwaite's
(1946): (A + B)^2 / (A^2 / (S - 1) + B^2 / (E - 1)).

*Few, skewed examples.* Losses of single examples are skewed: most are near zero, and few are large. A t
interval from 36 of them holds the truth in as few as 87 % of the draws for some pairs of configs
(`benchmarks.examples`), for two reasons, and is widened for both.

- The few large ones may be missing. So B counts the example that lies farthest off once more, which makes it
  larger by its square over E (E - 1): a fifth in all for 36 examples, nothing for thousands.
- The mean and its estimated error go together, so that the interval lies wrongly, by Johnson (1978, Journal
  of the American Statistical Association 73: 536-544) and Hall (1992, Journal of the Royal Statistical
  Society B 54: 221-228) by about |g| / (6 sqrt(E)) * (1 + 2 t^2) * sqrt(B), where g is the skewness of the E
  means over seeds. Both ends move out by that, since g from few examples is known badly. It falls as 1 / E.

An example of a kind that is not among the E cannot be allowed for by anything.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from whichopt.service.evidence.statistics.estimates import ROUNDING, critical_t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


class OverBoth(NamedTuple):
    """A mean over seeds and examples: its standard error on `df` degrees of freedom, and `lean`, by which an
    end moves for each 1 + 2 t^2."""

    mean: float
    error: float
    df: float
    lean: float

    def bounds(self, tail: float) -> tuple[float, float]:
        """The interval with probability `tail` beyond each end."""
        t = critical_t(self.df, tail)
        reach = t * self.error + (1 + 2 * t * t) * self.lean
        return self.mean - reach, self.mean + reach


def over_seeds_and_examples(
    differences: Matrix, *, center: float | None = None, examples: int | None = None, least_error: float = 0.0
) -> OverBoth | None:
    """Estimate the mean difference on new seeds and new examples like these.

    Args:
        differences: one row a seed, one column an example.
        center: the mean over all examples, if the columns are a part of them; their own mean if omitted.
        examples: the number of all examples, if the columns are a part of them.
        least_error: the least standard error of the mean over seeds, in the same unit.

    Returns:
        The estimate; None if nothing tells a spread: with fewer than two seeds or two examples, or if every
        example has the same difference.
    """
    import numpy as np

    seeds, columns = differences.shape
    if min(seeds, columns) < 2:
        return None
    by_seed, by_example = differences.mean(axis=1), differences.mean(axis=0)
    mean = float(by_seed.mean()) if center is None else center
    count = columns if examples is None else examples
    of_seeds = max(float(by_seed.var(ddof=1)) / seeds, least_error**2)
    off = by_example - by_example.mean()
    square = float((off**2).mean())
    if math.sqrt(square) <= ROUNDING * float(np.abs(differences).max()):
        return None
    farthest = float((off**2).max())
    of_examples = (square * columns + farthest) / (columns - 1) / count
    skewness = float((off**3).mean()) / square**1.5
    total = of_seeds + of_examples
    a, b = of_seeds / total, of_examples / total
    df = 1 / (a * a / (seeds - 1) + b * b / (columns - 1))
    lean = abs(skewness) / (6 * math.sqrt(count)) * math.sqrt(of_examples)
    return OverBoth(mean, math.sqrt(total), df, lean)
