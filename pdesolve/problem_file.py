"""Problems as text: one YAML file says what a paper's section "Problem" says.

    name: spill                                   # names run folders; the file's name by default
    domain:                                       # a box by its axes, or a shape (see pdesolve/text/domains.py)
      difference:
        - {x: [0, 2], y: [0, 1]}
        - disk: {centre: [0.6, 0.5], radius: 0.2, boundary: pillar}
    time: [0, 1]                                  # left out for a stationary problem; {t: [0, 1], unit: s}
    unknowns: u                                   # [u, v], or {u: {unit: K}, velocity: {components: [x, y]}}
    parameters:                                   # numbers are settings: --problem.diffusivity 0.1
      diffusivity: 0.05                           # {value: 0.05, unit: m2 s-1, bounds: [0, .inf]}
      source: exp(-20*((x - 0.3)**2 + (y - 0.5)**2))
      wind: {file: wind.nc, variable: w}          # .nc, .npz, .npy, .csv (see pdesolve/text/files.py)
    equation: dt(u) = diffusivity*laplacian(u) - wind*dx(u) + source - u**2
    initial: {u: 0}                               # for dtt(u) = ... also the rate, {u: 0, dt(u): 1}
    boundary:                                     # parts by name, `x_min, x_max`, all, elsewhere
      x_min: u = sin(pi*y)*t
      pillar: 2*u + dn(u) = 1                     # dn is the derivative along the outward normal
      elsewhere: dn(u) = 0
    observations: data.csv                        # {file: data.csv, noise: 0.01}; columns: axes and unknowns
    evaluation: {points: 101, times: 20}          # where errors are measured: points along each axis, equal steps;
                                                  # `placement: cells` keeps off walls
    exact: {u: ...}                               # a solution in closed form, where one is known

`description`, `paper`, `conserved` (names of conserved quantities that the walls keep) and `up_to_constant` (a pressure
that no boundary gives: judged less its mean) may stand there too.

A system is a list of equations, the i-th for the i-th unknown, or for that whose dt it has; rows without a time
derivative belong to unknowns without one (a pressure). `equation: Burgers` takes an equation of the catalogue. A
stationary equation is written with any two sides, `-laplacian(u) = source`.

Formulas have numbers, pi, e, names, + - * / **, sin cos tan exp log sqrt sinh cosh tanh sech arctan erf abs max min
step (0 below 0, 1 from 0 on), and the words of the calculus: dt dx dxx dxy ... (d and the axes), d(u, x1, 2), grad div
curl laplacian, dot(a, b), advect(v, f) = (v . grad) f, vector(a, b), mean(u), integrate(u). The component x of a vector
v is v_x. Exponents are numbers. Nothing else is read, and nothing is ever run.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdesolve.catalogue import is_problem_file
from pdesolve.errors import InputError
from pdesolve.text.document import Item, read_document, read_text

if TYPE_CHECKING:
    from pdesolve.problem import Problem
    from pdesolve.settings import Setting

COPY = "problem.yaml"  # in a run folder, with the files it needs in the folder beside
_INPUTS = "inputs"


@dataclass(frozen=True)
class ProblemFile:
    """Where a problem was read from, and what was written there."""

    path: Path
    text: str

    def kept_in(self, folder: Path | None) -> Path:
        """The copy in a run folder, which no one edits; the file itself where there is none."""
        copy = self.path if folder is None else folder / COPY
        return copy if copy.is_file() else self.path

    def keep(self, folder: Path) -> None:
        """Write a copy of the text and of the files it names to a run folder, so that the run needs nothing else."""
        document = read_document(self.text, self.path.name)
        written, taken = self.text, set[str]()
        for item, path in sorted(_references(document, self.path.parent), key=lambda pair: -pair[0].span[0]):
            name = path.name
            while name in taken:
                name = f"_{name}"
            taken.add(name)
            (folder / _INPUTS).mkdir(exist_ok=True)
            shutil.copyfile(path, folder / _INPUTS / name)
            if path.suffix == ".xdmf" and path.with_suffix(".h5").is_file():  # where XDMF has its numbers
                shutil.copyfile(path.with_suffix(".h5"), folder / _INPUTS / path.with_suffix(".h5").name)
            start, end = item.span
            written = f"{written[:start]}'{_INPUTS}/{name}'{written[end:]}"
        aside = folder / f".{COPY}.{os.getpid()}"
        aside.write_text(written, encoding="utf-8", newline="")
        aside.replace(folder / COPY)


def read_problem(path: str | Path, settings: Mapping[str, Any] | None = None) -> Problem:
    """The problem of a YAML file. `settings` are numbers, or their texts, for its number parameters.

    Raises:
        InputError: one line that names the file, the line, what was expected, what came and what to write.
    """
    from pdesolve.text.reader import make_problem

    path = Path(path)
    if not is_problem_file(path.name):
        raise InputError(f"a problem is read from a .yaml file, got {path.name}: rename it")
    text = read_text(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they come once more from the problem that knows its file
        problem = make_problem(read_document(text, path.name), path.parent, path.stem, _numbers(settings or {}))
    return replace(problem, file=ProblemFile(path, text))


def problem_text(problem: Problem) -> str:
    """The problem as YAML that `read_problem` reads back to the same solution.

    A problem that was read is given back as it was written.

    Raises:
        InputError: the part of the problem that cannot be written: values in memory, code that branches.
    """
    if problem.file is not None:
        return problem.file.text
    from pdesolve.text.writer import written

    return written(problem)


def settings_of_file(path: str | Path) -> dict[str, Setting]:
    """The settings of a problem file: its number parameters."""
    from pdesolve.text.parameters import settings_of

    return settings_of(read_problem(path))


def _numbers(settings: Mapping[str, Any]) -> dict[str, float]:
    from pdesolve.fields.formula import constant
    from pdesolve.text.syntax import parse

    numbers = {}
    for name, value in settings.items():
        number = value if isinstance(value, (int, float)) else constant(parse(str(value)))
        if number is None or isinstance(number, bool):
            raise InputError(f"problem.{name} must be a number, got {value!r}")
        numbers[name] = float(number)
    return numbers


def _references(item: Item, folder: Path) -> Iterator[tuple[Item, Path]]:
    """The items that name files, with the files."""
    if not isinstance(item.content, dict):
        for entry in item.content if isinstance(item.content, list) else ():
            yield from _references(entry, folder)
        return
    for name, entry in item.content.items():
        if name == "observations":
            named = entry.content if isinstance(entry.content, list) else [entry]
            texts = [each for each in named if each.is_text]
        else:
            texts = [entry] if name in ("file", "mesh") and entry.is_text else []
        for each in texts:
            path = folder / str(each.content).strip()
            if path.is_file():
                yield each, path
        yield from _references(entry, folder)
