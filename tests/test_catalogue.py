"""The catalogue: folders are the registry, nothing is imported before it is chosen, other distributions join."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pdesolve import catalogue
from pdesolve.cli import main
from pdesolve.equation import Equation
from pdesolve.errors import InputError
from pdesolve.family import Family
from pdesolve.method import Learner, Solver
from pdesolve.settings import build, settings_of

PACKAGE = Path(catalogue.__file__).parent
PROBLEMS = [entry.name for entry in catalogue.entries("problem")]
FAMILIES = [entry.name for entry in catalogue.entries("family")]
METHODS = [entry.name for entry in catalogue.entries("method")]
EQUATIONS = [entry.name for entry in catalogue.entries("equation")]


def test_the_folders_are_the_catalogue() -> None:
    files = {path.stem for path in (PACKAGE / "physics/problems").glob("[a-z]*.py")}
    assert set(PROBLEMS) == files >= {"burgers_shock", "kdv", "poisson_2d"}
    places = ("physics/solvers", "operators")
    folders = {path.parent.name for place in places for path in (PACKAGE / place).glob("*/method.py")}
    assert set(METHODS) == folders >= {"pinn", "fno"}
    assert {"Burgers", "Heat", "Wave"} <= set(EQUATIONS)
    families = {path.stem for path in (PACKAGE / "physics/families").glob("[a-z]*.py")}
    assert set(FAMILIES) == families
    kinds = [(entry.name, entry.kind) for entry in catalogue.entries()]
    assert len(set(kinds)) == len(kinds), "one name, one meaning"
    names = [entry.name for entry in catalogue.entries() if entry.kind != "family"]
    assert len(set(names)) == len(names), "families alone may be called like a problem"


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_every_entry_sums_itself_up_in_a_line(entry: catalogue.Entry) -> None:
    assert 10 < len(entry.summary) <= 110 and "\n" not in entry.summary
    assert entry.summary[0].isupper() and not entry.summary.endswith(".")


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_can_be_made_by_its_name_and_settings(name: str) -> None:
    function = catalogue.find_problem(name)
    settings = settings_of(function)
    assert not {"name", "class_path", "init_args"} & set(settings), "these names mean something in configurations"
    problem = catalogue.make_problem(name)
    assert problem.name == name and set(problem.settings) == set(settings)
    assert problem.description and problem.source
    # what a run folder keeps makes the same problem again, through text
    again = catalogue.make_problem(name, json.loads(json.dumps(problem.settings)))
    assert again.settings == problem.settings


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_a_frozen_dataclass_of_documented_settings(name: str) -> None:
    kind = catalogue.find_method(name)
    assert issubclass(kind, (Solver, Learner)) and dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    settings = settings_of(kind)
    assert not {"name", "class_path", "init_args"} & set(settings)
    assert not [s.name for s in settings.values() if not s.doc], "every setting says what it is under Attributes:"
    made, values = build("method", kind, {})
    assert made == kind() and build("method", kind, json.loads(json.dumps(values)))[0] == made
    assert catalogue.method_name(made) == name
    assert catalogue.documentation(catalogue.find(name)).startswith(catalogue.find(name).summary)


@pytest.mark.parametrize("name", METHODS)
def test_settings_made_in_python_are_checked_too(name: str) -> None:
    method: Any = catalogue.find_method(name)()
    made = [method, *(part for part in vars(method).values() if dataclasses.is_dataclass(part))]
    for part in made:
        for setting in dataclasses.fields(part):
            with pytest.raises(InputError):
                dataclasses.replace(part, **{setting.name: object()})


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_a_frozen_dataclass_of_documented_settings(name: str) -> None:
    kind = catalogue.find_family(name)
    assert issubclass(kind, Family) and dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    settings = settings_of(kind)
    assert not {"name", "class_path", "init_args", "n", "seed"} & set(settings)
    assert not [s.name for s in settings.values() if not s.doc], "every setting says what it is under Attributes:"
    made, values = build("family", kind, {})
    assert made == kind() and build("family", kind, json.loads(json.dumps(values)))[0] == made
    assert catalogue.family_name(made) == name


@pytest.mark.parametrize("name", EQUATIONS)
def test_every_equation_is_found_by_its_class(name: str) -> None:
    kind = catalogue.find_equation(name)
    assert issubclass(kind, Equation) and kind.__name__ == name


def test_a_name_of_two_things_is_told(capsys) -> None:
    assert main(["show", "allen_cahn"]) == 0
    shown = capsys.readouterr().out
    assert (
        shown.startswith("allen_cahn, a problem") and "also a family: pdesolve show allen_cahn --kind family" in shown
    )
    assert main(["show", "allen_cahn", "--kind", "family", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "family"
    assert main(["show", "elasticity"]) == 0
    shown = capsys.readouterr().out
    assert "stored on: a mesh or points of each sample" in shown and shown.rstrip().endswith("--out elasticity.h5")
    assert main(["show", "allen_cahn", "--kind", "famly"]) == 2
    assert "unknown kind 'famly': did you mean 'family'" in capsys.readouterr().err


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown problem 'burgers_shok': did you mean 'burgers_shock'"):
        catalogue.find_problem("burgers_shok")
    with pytest.raises(InputError, match="unknown method 'pin': did you mean 'pinn'"):
        catalogue.make_method("pin")
    with pytest.raises(InputError, match="unknown family 'burger'"):
        catalogue.make_family("burger")
    with pytest.raises(InputError, match="unknown equation"):
        catalogue.find_equation("pinn")
    with pytest.raises(InputError, match="did you mean 'kdv'"):
        catalogue.find("kvd")


@pytest.fixture
def another_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution on the path with a problem, a family and a method, as an installer lays it out."""
    package = tmp_path / "neighbour"
    package.mkdir()
    (package / "__init__.py").write_text('"""Solvers of the neighbours."""\n')
    (package / "pond.py").write_text(
        '"""Ripples on a pond: a neighbour\'s problem."""\n'
        "import dataclasses\n"
        "from pdesolve.physics.problems.heat_1d import problem as heat\n\n\n"
        "def ripples(*, depth: float = 2.0):\n"
        '    return dataclasses.replace(heat(), name="pond", values={"diffusivity": depth})\n'
    )
    (package / "guess.py").write_text(
        '"""Guessing: a neighbour\'s method."""\n'
        "from dataclasses import dataclass\n"
        "from pdesolve.method import Learner, Solver\n\n\n"
        "@dataclass(frozen=True)\n"
        "class Guess(Solver):\n"
        "    trials: int = 3\n\n"
        "    def solve(self, problem, run, *, values=None, learn=()):\n"
        "        raise NotImplementedError\n\n"
        "    def restore(self, problem, folder, *, values=None, device='cpu'):\n"
        "        raise NotImplementedError\n"
    )
    (package / "ponds.py").write_text(
        '"""Ponds of any depth: a neighbour\'s family."""\n'
        "from dataclasses import dataclass, replace\n"
        "import torch\n"
        "from pdesolve.family import Family\n"
        "from neighbour.pond import ripples\n\n\n"
        "@dataclass(frozen=True)\n"
        "class Ponds(Family):\n"
        "    deepest: float = 3.0\n\n"
        "    def problems(self, draws):\n"
        "        depths = torch.as_tensor(draws.uniform(0.0, self.deepest))\n"
        '        return [replace(ripples(), values={"diffusivity": depths})]\n\n'
        "    @property\n"
        "    def simulator(self):\n"
        "        raise NotImplementedError\n"
    )
    metadata = tmp_path / "neighbour-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: neighbour\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[pdesolve.problems]\npond = neighbour.pond:ripples\n\n[pdesolve.methods]\nguess = neighbour.guess:Guess\n\n"
        "[pdesolve.families]\nponds = neighbour.ponds\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "neighbour"]:
        del sys.modules[name]


def test_other_distributions_join_by_entry_points(another_distribution: Path, capsys) -> None:
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert "Ripples on a pond: a neighbour's problem" in listed and "Guessing: a neighbour's method" in listed
    assert "neighbour" not in sys.modules, "listing imports nothing"
    problem = catalogue.make_problem("pond", {"depth": "0.5"})
    assert problem.values == {"diffusivity": 0.5} and "neighbour.guess" not in sys.modules
    family = catalogue.make_family("ponds", {"deepest": "0.5"})
    assert family.deepest == 0.5 and catalogue.family_name(family) == "ponds"  # type: ignore[attr-defined]
    assert main(["show", "ponds"]) == 0
    assert "one for each sample" in (shown := capsys.readouterr().out) and "stored on: 101 points" in shown
    with pytest.raises(InputError, match="did you mean 'deepest'"):
        catalogue.make_family("ponds", {"deepst": 1})
    method = catalogue.make_method("guess", {"trials": "5"})
    assert method.trials == 5  # type: ignore[attr-defined]
    assert catalogue.method_name(method) == "guess"
    with pytest.raises(InputError, match="did you mean 'depth'"):
        catalogue.make_problem("pond", {"dept": 1})


def test_what_another_distribution_got_wrong_is_one_line(another_distribution: Path) -> None:
    (another_distribution / "neighbour-1.0.dist-info" / "entry_points.txt").write_text(
        "[pdesolve.problems]\nlake = neighbour.pond:ripples\nsum = builtins:sum\nnumber = neighbour.numbers:five\n\n"
        "[pdesolve.methods]\ngone = neighbour.gone:Gone\nabsent = neighbour.guess:Absent\n"
        "dict = builtins:dict\n"
    )
    (another_distribution / "neighbour" / "numbers.py").write_text("def five():\n    return 5\n")
    assert catalogue.make_problem("lake").name == "lake", "a run folder finds it by its name in the catalogue"
    for make, name, words in (
        (catalogue.make_method, "gone", "method 'gone' of another distribution cannot be loaded from neighbour.gone"),
        (catalogue.make_method, "absent", "has no attribute 'Absent'"),
        (catalogue.make_method, "dict", "builtins:dict needs one subclass of Solver or Learner, it has 0"),
        (catalogue.make_problem, "number", "must return a Problem, it returns 5"),
        (catalogue.make_problem, "sum", "needs a function that returns a Problem"),
    ):
        with pytest.raises(InputError, match=words):
            make(name)
