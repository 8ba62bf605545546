"""From teacher forcing to rollout: how many steps of a window go on from their own outcome, as training goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass

_WIDTH = 0.2  # of the transition, in fractions of the training


@dataclass(frozen=True)
class Curriculum:
    """A window of k steps begins as a rollout and goes on from the truth; the rollout grows over the training:

        φ(e) = (1 + tanh((e − 1/2) / 0.2)) / 2,   steps fed with their own outcome = min(⌊k φ⌋, k − 1)

    e is the fraction of the training that has passed. So it begins with one-step predictions from true states, easy to
    learn, and ends with the rollout that the surrogate is judged by.

    steps: of the training. M. Takamoto, F. Alesiani and M. Niepert (2023), arXiv 2304.14118; there one step is always
    its own and the transition goes by epochs.
    """

    steps: int

    def own(self, step: int, window: int) -> int:
        """How many of the steps of a window behind the first are fed with an outcome, at a step of the training."""
        share = (1 + math.tanh((step / self.steps - 0.5) / _WIDTH)) / 2
        return min(math.floor(window * share), window - 1)
