"""The pages on methods: examples run, commands have settings that exist, tables are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from conftest import draw_nothing

from pdesolve.catalogue import make_method, make_problem
from pdesolve.command.arguments import split_settings
from pdesolve.geometry import PointCloud
from pdesolve.nn import Basis, Widths
from pdesolve.physics.solvers.insr.checks import SchemeName as InsrScheme
from pdesolve.physics.solvers.insr.checks import check as check_insr
from pdesolve.physics.solvers.insr.method import Insr
from pdesolve.physics.solvers.pig.method import Pig
from pdesolve.physics.solvers.pig.network import Perceptron, Placement
from pdesolve.physics.solvers.reference.solution import FormulaSolution
from pdesolve.physics.solvers.teng.checks import check as check_teng
from pdesolve.physics.solvers.teng.method import Teng
from pdesolve.physics.solvers.teng.quadrature import PointsName
from pdesolve.physics.solvers.teng.schemes import SchemeName as TengScheme
from pdesolve.physics.solvers.teng.solves import ProjectionName
from pdesolve.physics.solvers.teng.variants import VariantName, check_choices
from pdesolve.training.budget import parse_duration
from pdesolve.training.optimisers import Optimiser

TEXT = (Path(__file__).parent.parent / "docs/pinn.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_examples_run_one_after_the_other(tmp_path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDESOLVE_CACHE", str(tmp_path / "cache"))
    for name in ("solution_figure", "history_figure", "save_figure"):  # most of a short run's time
        monkeypatch.setattr(f"pdesolve.plotting.{name}", lambda *_: None)
    shorter = {"10s": "2s", "20s": "3s"}
    for module in ("solving", "resuming"):
        monkeypatch.setattr(f"pdesolve.{module}.parse_duration", lambda text: parse_duration(shorter.get(text, text)))
    names: dict[str, Any] = {}
    codes = [code for kind, code in BLOCKS if kind == "python"]
    assert len(codes) == 3
    for code in codes:
        exec(compile(code, "pinn.md", "exec"), names)
    assert "tensor([3.0000, 1.5000], dtype=torch.float64)" in capsys.readouterr().out
    before, after = (names[name].proof for name in ("solution", "more"))
    assert before.errors["u"]["relative_l2"] < 0.5 and after.cpu_seconds > before.cpu_seconds


def test_commands_have_settings_that_exist() -> None:
    lines = [line for kind, code in BLOCKS if kind == "sh" for line in code.splitlines()]
    assert len(lines) == 3
    for line in lines:
        rest, settings = split_settings(shlex.split(line)[2:])
        make_problem(rest[0], settings.get("problem"))
        make_method("pinn", settings["method"])


def test_tables_name_every_optimiser_and_every_reason() -> None:
    named = {name for row in re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    reasons = {"converged", "target", "stalled", "budget", "steps", "features", "diverged"}
    assert named == {"auto", "output_layer", *get_args(Optimiser), *reasons}


def test_commands_of_the_page_on_marching_have_settings_that_exist() -> None:
    text = (Path(__file__).parent.parent / "docs/marching.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for code in blocks for line in code.splitlines() if line.startswith("pdesolve solve")]
    assert len(lines) == 8
    for line in lines:
        rest, settings = split_settings(shlex.split(line)[2:])
        problem = make_problem(rest[0], settings.get("problem"))
        method = make_method(rest[rest.index("--method") + 1], settings.get("method"))
        assert isinstance(method, Teng | Insr)
        if isinstance(method, Insr):
            check_insr(method, problem, None, ())
        else:
            check_teng(method, problem, None, ())
            check_choices(method)


def test_the_example_of_the_page_on_marching_runs(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a reference in place of the run that the page makes."""
    text = (Path(__file__).parent.parent / "docs/marching.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    problem = make_problem("advection_2d")
    assert problem.exact is not None
    solution = FormulaSolution(problem, problem.exact.formula)
    monkeypatch.setattr("pdesolve.load", lambda folder: solution if folder == "runs/carried" else None)
    exec(compile(code, "marching.md", "exec"), {})
    points = torch.tensor([[0.37, 0.1, 0.2], [0.37, 0.1, 0.4]], dtype=torch.float64)
    expected = solution.on(PointCloud(problem.axes, points))["u"].numpy()
    assert capsys.readouterr().out == f"{expected}\n"


def test_commands_of_the_page_on_gaussians_have_settings_that_exist() -> None:
    text = (Path(__file__).parent.parent / "docs/pig.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for code in blocks for line in code.splitlines() if line.startswith("pdesolve solve")]
    assert len(lines) == 7
    for line in lines:
        rest, settings = split_settings(shlex.split(line)[2:])
        method = make_method("pig", settings.get("method"))
        assert isinstance(method, Pig)
        method.refuse(make_problem(rest[0], settings.get("problem")))
    named = set(re.findall(r"`(\w+)`", text))
    for names in (Basis, Perceptron, Placement, Widths):
        assert set(get_args(names)) - {"logarithm", "trained"} <= named


@pytest.mark.slow
def test_the_example_of_the_page_on_gaussians_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parent.parent / "docs/pig.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code.replace('budget="5s"', "steps=3"), "pig.md", "exec"), names)
    assert names["solution"].proof.errors["u"]["relative_l2"] < 0.5


def test_tables_of_the_page_on_marching_name_every_scheme_and_variant() -> None:
    text = (Path(__file__).parent.parent / "docs/marching.md").read_text()
    named = set(re.findall(r"`(\w+)`", text))
    for names in (VariantName, TengScheme, ProjectionName, PointsName, InsrScheme):
        assert set(get_args(names)) - {"auto"} <= named


def test_the_examples_of_the_page_on_surrogates_run(tmp_path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    draw_nothing(monkeypatch)
    text = (Path(__file__).parent.parent / "docs/surrogates.md").read_text()
    codes = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert "steps=200" in codes[0]
    names: dict[str, Any] = {}
    for code in codes:
        exec(compile(code.replace("steps=200", "steps=3"), "surrogates.md", "exec"), names)
    assert names["u"].shape == names["batch"].targets["u"].shape == (4, 1, 1, 32, 32)
    said = capsys.readouterr().out
    assert "relative_l2" in said and "torch.Size([4, 1, 1, 32, 32])" in said
