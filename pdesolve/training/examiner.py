"""What looks after a fit: whether its losses are sound, and which parameters were the best."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from pdesolve.training.checkpoint import Stateful


class Examiner(Stateful, ABC):
    """Looks at losses, keeps the best parameters, says what went astray. Its state is checkpointed.

    stage: the name of the stage that is under way. first: the first loss of all.
    """

    stage: str = ""
    first: float

    @abstractmethod
    def looks(self) -> bool:
        """Whether the loss of this step is looked at."""

    @abstractmethod
    def renew(self) -> None:
        """Be ready for another batch."""

    @abstractmethod
    def examine(self, loss: float) -> None:
        """Look at a loss.

        Raises:
            Diverged: it is not finite or has exploded; `diagnosis` says more.
        """

    @abstractmethod
    def restore(self) -> None:
        """Put the best parameters back."""

    @abstractmethod
    def diagnosis(self, batch: Any, rate: float | None) -> str:
        """One line: the term that went astray, where, the step, and what to do. rate: the learning rate, for advice."""
