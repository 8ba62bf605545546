"""`pdesolve resume`: go on with a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pdesolve import cli
from pdesolve.command.arguments import Parser, number, only_json
from pdesolve.command.solve import conclude
from pdesolve.errors import InputError

_EPILOG = """examples:
  pdesolve resume runs/burgers_shock-pinn-1                     an interrupted or killed run: as if nothing had been
  pdesolve resume runs/burgers_shock-pinn-1 --budget 10min      a finished one, with more time in all

Where steps are counted (--steps) the end is the same bit for bit. A run that diverged goes on from its best parameters
with a tenth of the learning rate; a march in time that diverged would do so again, its last line says what to change.

exit codes: 0 done, 2 bad input, 3 diverged, 4 a requirement was missed, 130 interrupted,
143 terminated"""


def parser() -> Parser:
    made = Parser("resume", "Go on with a run from its last checkpoint, in the same folder.", _EPILOG)
    made.add_argument("run", nargs="?", metavar="RUN", help="a run folder that `pdesolve solve` or `train` wrote")
    made.add_argument("--budget", metavar="VALUE", help="CPU time in all, that before included (default: the run's)")
    made.add_argument("--steps", metavar="VALUE", help="steps in all, those before included (default: the run's)")
    made.add_argument("--target", metavar="VALUE", help="relative L2 error at which to stop (default: the run's)")
    made.add_argument("--device", metavar="VALUE", help="auto, cpu, cuda or cuda:1 (default: the run's)")
    made.add_argument("--threads", metavar="VALUE", help="CPU threads (default: the run's)")
    made.add_argument(
        "--require", metavar="NAME=BOUND", action="append", default=[],
        help="exit with 4 unless rel_l2, max, final, residual or violation is at most BOUND; may be repeated",
    )  # fmt: skip
    made.add_argument("--json", action="store_true", help="print the proof as one JSON object and nothing else")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.run is None:
        raise InputError("resume needs a run folder: pdesolve resume runs/burgers_shock-pinn-1")
    steps, threads = number(given.steps, int, "--steps"), number(given.threads, int, "--threads")
    target = number(given.target, float, "--target")

    from pdesolve.proof import Requirement
    from pdesolve.resuming import resume
    from pdesolve.run_folder import read_run

    if "data" in read_run(Path(given.run))["config"]:
        from pdesolve.command import train
        from pdesolve.datasets.training import resume_training

        if given.require:
            raise InputError("--require is for solutions: a surrogate is judged by pdesolve eval")
        with only_json(given.json):
            surrogate = resume_training(
                given.run, budget=given.budget, steps=steps, target=target, device=given.device, threads=threads,
                began=cli.began,
            )  # fmt: skip
        return train.conclude(surrogate, given.json)

    with only_json(given.json):
        requirements = [Requirement.parse(text) for text in given.require]
        solution = resume(
            given.run, budget=given.budget, steps=steps, target=target, device=given.device, threads=threads,
            began=cli.began,
        )  # fmt: skip
    return conclude(solution, requirements, given.json)
