"""The catalogue: which problems, families, methods and equations there are.

It reads folders and docstrings and imports nothing but what is chosen: adding a problem, a family, a method or an
equation is adding its file. Other distributions join by the entry points `pdesolve.problems` (a function that returns a
Problem), `pdesolve.families` (a Family class) and `pdesolve.methods` (a Solver class). Names are those of one kind: a
family may be called like a problem of the same equation.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pdesolve.errors import InputError, unknown_name
from pdesolve.settings import Setting, build, settings_of

if TYPE_CHECKING:
    from pdesolve.equation import Equation
    from pdesolve.family import Family
    from pdesolve.method import Learner, Solver
    from pdesolve.problem import Problem

Kind = Literal["problem", "family", "method", "equation"]
PLURALS: dict[str, Kind] = {"problems": "problem", "families": "family", "methods": "method", "equations": "equation"}

_PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """One name of the catalogue. `target` is where it lives: "module:object" (or a module that holds just one)."""

    name: str
    kind: Kind
    summary: str
    target: str

    def json(self) -> dict[str, str]:
        return asdict(self)


def entries(kind: Kind | None = None) -> tuple[Entry, ...]:
    """The catalogue, or its part of one kind, in the order of names."""
    found = {"problem": _problems, "family": _families, "method": _methods, "equation": _equations}
    kinds = found if kind is None else [kind]
    return tuple(entry for k in kinds for entry in sorted(found[k](), key=lambda e: e.name.lower()))


def find(name: str, kind: Kind | None = None) -> Entry:
    """The entry of a name, or the one of a kind: problems are looked for first, then families.

    Raises:
        InputError: an unknown name, with the nearest known one.
    """
    known = entries(kind)
    for entry in known:
        if entry.name == name:
            return entry
    raise unknown_name(kind or "problem, family, method or equation", name, {entry.name for entry in known})


def is_problem_file(name: str) -> bool:
    """Whether the name of a problem is that of a YAML file rather than of the catalogue."""
    return name.endswith((".yaml", ".yml"))


def find_problem(name: str) -> Callable[..., Problem]:
    """The function that makes the problem `name`; its keyword arguments are the problem's settings."""
    function: Any = _load(find(name, "problem"), "problem")
    if not inspect.isfunction(function):
        raise InputError(f"problem {name!r} needs a function that returns a Problem, got {function!r}")
    return function


def find_method(name: str) -> type[Solver] | type[Learner]:
    """The class of the method `name`, a solver or a learner; its dataclass fields are the method's settings."""
    from pdesolve.method import Learner, Solver

    return _one_class(find(name, "method"), Solver, Learner)


def make_problem(name: str, settings: Mapping[str, Any] | None = None) -> Problem:
    """The problem `name` with some of its settings changed; it remembers all of them, so that a run can be repeated.

    A name that ends in .yaml is that of a problem file.

    Raises:
        InputError: an unknown problem or setting, with the nearest known one; a value that does not fit.
    """
    from pdesolve.problem import Problem
    from pdesolve.problem_file import read_problem

    if is_problem_file(name):
        return read_problem(name, settings)
    problem, values = build("problem", find_problem(name), settings or {})
    if not isinstance(problem, Problem):
        raise InputError(f"problem {name!r}: its function must return a Problem, it returns {problem!r}")
    # the name by which a run folder finds it again
    return replace(problem, settings=values, name=name)


def problem_settings(name: str) -> dict[str, Setting]:
    """The settings of the problem `name`, or of a problem file."""
    if not is_problem_file(name):
        return settings_of(find_problem(name))
    from pdesolve.problem_file import settings_of_file

    return settings_of_file(name)


def make_method(name: str, settings: Mapping[str, Any] | None = None) -> Solver:
    """The solver `name` with some of its settings changed.

    Raises:
        InputError: an unknown method or setting, with the nearest known one; a value that does not fit; a learner.
    """
    from pdesolve.method import Solver

    kind = find_method(name)
    if not issubclass(kind, Solver):
        raise InputError(f"{name} learns from data and solves no problem: pdesolve train {name} --data FILE")
    return build("method", kind, settings or {})[0]


def make_learner(name: str, settings: Mapping[str, Any] | None = None) -> Learner:
    """The learner `name` with some of its settings changed.

    Raises:
        InputError: an unknown method or setting, with the nearest known one; a value that does not fit; a solver.
    """
    from pdesolve.method import Learner

    kind = find_method(name)
    if not issubclass(kind, Learner):
        raise InputError(f"{name} solves problems without data: pdesolve solve PROBLEM --method {name}")
    return build("method", kind, settings or {})[0]


def method_name(method: Solver | Learner) -> str:
    """The name of a method in the catalogue; for a class that is in none, the class's own."""
    return _name_of(type(method), "method")


def find_family(name: str) -> type[Family]:
    """The class of the family `name`; its dataclass fields are the family's settings."""
    from pdesolve.family import Family

    return _one_class(find(name, "family"), Family)


def make_family(name: str, settings: Mapping[str, Any] | None = None) -> Family:
    """The family `name` with some of its settings changed.

    Raises:
        InputError: an unknown family or setting, with the nearest known one; a value that does not fit.
    """
    return build("family", find_family(name), settings or {})[0]


def family_name(family: Family) -> str:
    """The name of a family in the catalogue; for a class that is in none, the class's own."""
    return _name_of(type(family), "family")


def find_equation(name: str) -> type[Equation]:
    """The class of the equation `name`."""
    from pdesolve.equation import Equation

    return _one_class(find(name, "equation"), Equation)


def documentation(entry: Entry) -> str:
    """The docstring of the entry's module, of a method's folder (its card), without importing it."""
    if is_problem_file(entry.target):
        return ""
    module, _, name = entry.target.partition(":")
    if entry.kind == "method" and not name:
        module = module.removesuffix(".method")
    path = _source(module)
    return "" if path is None else _docstring(path)


def _problems() -> Iterator[Entry]:
    for name, path in _modules("physics", "problems"):
        yield Entry(name, "problem", _summary(path), f"pdesolve.physics.problems.{name}:problem")
    yield from _others("problem")


def _families() -> Iterator[Entry]:
    for name, path in _modules("physics", "families"):
        yield Entry(name, "family", _summary(path), f"pdesolve.physics.families.{name}")
    yield from _others("family")


def _methods() -> Iterator[Entry]:
    for parts in (("physics", "solvers"), ("operators",)):
        for name, path in _modules(*parts, folders=True):
            yield Entry(name, "method", _summary(path), ".".join(("pdesolve", *parts, name, "method")))
    yield from _others("method")


def _equations() -> Iterator[Entry]:
    for name, path in _modules("physics", "equations"):
        for kind, docstring in _classes(path).items():
            yield Entry(kind, "equation", _first_sentence(docstring), f"pdesolve.physics.equations.{name}:{kind}")


@cache
def _modules(*parts: str, folders: bool = False) -> tuple[tuple[str, Path], ...]:
    """The modules (or the packages with a `method` module) of a folder of this package: name and file."""
    folder = _PACKAGE.joinpath(*parts)
    found = []
    for module in pkgutil.iter_modules([str(folder)]):
        if module.name.startswith("_"):
            continue
        if module.ispkg and folders and (folder / module.name / "method.py").exists():
            found.append((module.name, folder / module.name / "__init__.py"))
        elif not module.ispkg and not folders:
            found.append((module.name, folder / f"{module.name}.py"))
    return tuple(found)


def _others(kind: Kind) -> Iterator[Entry]:
    plural = next(plural for plural, one in PLURALS.items() if one == kind)
    for point in _points(f"pdesolve.{plural}", tuple(sys.path)):
        path = _source(_module(point))
        yield Entry(point.name, kind, "" if path is None else _summary(path), point.value.replace(" ", ""))


@cache
def _points(group: str, places: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The entry points of a group, read once for each place that distributions lie in."""
    return tuple(entry_points(group=group))


def _module(point: EntryPoint) -> str:
    return point.value.partition(":")[0].strip()


def _name_of(made: type, kind: Kind) -> str:
    targets = (made.__module__, f"{made.__module__}:{made.__qualname__}")
    return next((entry.name for entry in entries(kind) if entry.target in targets), made.__name__)


def _load(entry: Entry, default: str) -> Any:
    module, _, name = entry.target.partition(":")
    try:
        value: Any = import_module(module)
        for part in (name or default).split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError) as error:
        if module.startswith("pdesolve."):
            raise
        raise InputError(
            f"{entry.kind} {entry.name!r} of another distribution cannot be loaded from {entry.target}: {error}; "
            "install that distribution again, or ask its authors"
        ) from error
    return value


def _one_class(entry: Entry, *bases: type) -> Any:
    """The class that an entry names, or the one subclass of `bases` that its module defines."""
    module, _, name = entry.target.partition(":")
    if name:
        found = [_load(entry, name)]
    else:
        members = vars(import_module(module)).values()
        found = [m for m in members if inspect.isclass(m) and issubclass(m, bases) and m.__module__ == module]
    found = [m for m in found if inspect.isclass(m) and issubclass(m, bases)]
    if len(found) != 1:
        wanted = " or ".join(base.__name__ for base in bases)
        raise InputError(
            f"{entry.kind} {entry.name!r}: {entry.target} needs one subclass of {wanted}, it has {len(found)}"
        )
    return found[0]


def _source(module: str) -> Path | None:
    """The file of a module. Only its top-level package is asked of the import system, and nothing is imported."""
    top, *rest = module.split(".")
    spec = find_spec(top)
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.has_location and spec.origin else None
    for place in spec.submodule_search_locations or ():
        folder = Path(place, *rest)
        for path in (folder.with_suffix(".py"), folder / "__init__.py"):
            if path.is_file():
                return path
    return None


@cache
def _classes(path: Path) -> dict[str, str]:
    """The public classes of a module and their docstrings."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    classes = [node for node in nodes if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    return {node.name: ast.get_docstring(node) or "" for node in classes}


@cache
def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _summary(path: Path) -> str:
    return _first_sentence(_docstring(path))


def _first_sentence(text: str) -> str:
    """The first paragraph's first line, which the house style keeps to one sentence."""
    return text.strip().partition("\n")[0].rstrip(",.:")
