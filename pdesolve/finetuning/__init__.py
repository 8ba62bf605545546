"""Fine-tuning at test time: what a surrogate predicts is where a solve of the equation begins.

The unknowns are the values of the field on the grid of the data; least squares in float64 makes the residual of the
discrete equation small, so that what comes out is as good as the discretisation, whatever the surrogate was.
"""

from pdesolve.finetuning.procedure import finetune
from pdesolve.finetuning.result import Finetuned

__all__ = ["Finetuned", "finetune"]
