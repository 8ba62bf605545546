"""`pdesolve solve`: a problem by a method, proven."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pdesolve import cli
from pdesolve.cli import DIVERGED, INTERRUPTED, MISSED
from pdesolve.command.arguments import (
    Parser,
    add_settings,
    only_json,
    print_json,
    settings_text,
    split_settings,
)
from pdesolve.command.options import Options, read_request
from pdesolve.errors import InputError

if TYPE_CHECKING:
    from pdesolve.method import Solution
    from pdesolve.proof import Proof, Requirement

_OPTIONS = ("budget", "target", "steps", "seed", "device", "dtype", "threads", "learn", "observe")

_EPILOG = """settings:
  --method.NAME VALUE   a setting of the method   --problem.NAME VALUE   a setting of the problem
  pdesolve solve PROBLEM --method METHOD --help   names them, with types, defaults and meaning

examples:
  pdesolve solve burgers_shock --method pinn --budget 40s
  pdesolve solve burgers_shock --method pinn --method.width 64 --problem.viscosity 0.01 --require rel_l2=1e-2
  pdesolve solve my.yaml --method pinn --learn viscosity --observe data.csv
  pdesolve solve --config runs/burgers_shock-pinn-1/config.yaml --seed 1

exit codes: 0 done, 2 bad input, 3 diverged, 4 a requirement was missed, 130 interrupted,
143 terminated"""


def parser() -> Parser:
    made = Parser("solve", "Solve a problem by a method, prove the solution and keep it in a run folder.", _EPILOG)
    made.add_argument("problem", nargs="?", metavar="PROBLEM", help="a name of pdesolve list, or a .yaml file")
    made.add_argument("--method", metavar="METHOD", help="a name; pdesolve list methods names them")
    made.add_argument("--config", metavar="FILE", help="YAML file of the same names; the command line wins")
    made.add_argument("--out", metavar="FOLDER", help="the run folder (default: a new one under runs/)")
    made.add_argument(
        "--require", metavar="NAME=BOUND", action="append", default=[],
        help="exit with 4 unless rel_l2, max, final, residual or violation is at most BOUND; may be repeated",
    )  # fmt: skip
    made.add_argument("--json", action="store_true", help="print the proof as one JSON object and nothing else")
    add_settings(made, Options, "how to solve")
    return made


def run(arguments: Sequence[str]) -> int:
    rest, settings = split_settings(arguments)
    given = parser().read(rest, setting=_setting, settings=_settings)
    options = {name: getattr(given, name) for name in _OPTIONS}
    request = read_request(given.config, given.problem, given.method, options, settings)

    from pdesolve.catalogue import make_method, make_problem
    from pdesolve.proof import Requirement
    from pdesolve.solving import solve

    with only_json(given.json):
        requirements = [Requirement.parse(text) for text in given.require]
        problem = make_problem(request.problem, request.problem_settings)
        method = make_method(request.method, request.method_settings)
        told = request.options
        solution = solve(
            problem,
            method,
            learn=told.learn,
            observe=told.observe,
            budget=told.budget,
            target=told.target,
            steps=told.steps,
            seed=told.seed,
            device=told.device,
            dtype=told.dtype,
            threads=told.threads,
            out=given.out,
            began=cli.began,
        )
    return conclude(solution, requirements, given.json)


def conclude(solution: Solution, requirements: Sequence[Requirement], as_json: bool) -> int:
    """Print the proof of a solution, as one JSON object or for people, and say how the command ends."""
    proof = solution.proof
    if proof is None:  # in a process beside the first, which says it all
        return 0
    missed = [line for requirement in requirements if (line := requirement.missed(proof))]
    if as_json:
        print_json(proof.json())
    else:
        _print(solution, missed)
    ended = {"interrupted": INTERRUPTED, "diverged": DIVERGED}.get(proof.status, 0)
    return ended or (MISSED if missed else 0)


def _print(solution: Solution, missed: Sequence[str]) -> None:
    assert solution.proof is not None
    print(solution.proof.table())
    for line in missed:
        print(line)
    picture = solution.run / "figures" / "solution.png" if solution.run else None
    if picture is not None and picture.exists():
        print(f"picture: {picture}")
    print(f"next: pdesolve {_next(solution, solution.proof)}")


def _next(solution: Solution, proof: Proof) -> str:
    """What to do with a run: go on with one that ended early, unless it would end the same way again."""
    from pdesolve.catalogue import make_method
    from pdesolve.run_folder import CONFIG

    run = solution.run
    if run is None or proof.status == "finished" or not (run / "checkpoint.pt").exists():
        return f"predict {run} --out solution.nc"
    anew = make_method(proof.method, proof.settings).after_divergence(solution) if proof.status == "diverged" else {}
    if not anew:
        return f"resume {run}"
    return " ".join([f"solve --config {run / CONFIG}", *(f"--method.{name} {value}" for name, value in anew.items())])


def _setting(given: argparse.Namespace, name: str) -> str | None:
    """--method.NAME or --problem.NAME where the method or the problem that is given has that setting."""
    from pdesolve.catalogue import find_method, problem_settings
    from pdesolve.settings import settings_of

    with suppress(InputError):  # what is wrong with these is said once the options are right
        request = read_request(given.config, given.problem, given.method, {}, {})
        if name in settings_of(find_method(request.method)):
            return f"--method.{name}"
        if name in problem_settings(request.problem):
            return f"--problem.{name}"
    return None


def _settings(given: argparse.Namespace) -> Iterator[str]:
    from pdesolve.catalogue import find_method, problem_settings
    from pdesolve.settings import settings_of

    if given.problem:
        yield f"settings of the problem {given.problem}:\n{settings_text(problem_settings(given.problem), 'problem')}"
    if given.method:
        table = settings_text(settings_of(find_method(given.method)), "method")
        yield f"settings of the method {given.method}:\n{table}"
