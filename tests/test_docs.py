"""The page on physics-informed networks: its examples run, its tables are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, get_args

import pytest

from pdesolve.catalogue import make_method, make_problem
from pdesolve.command.arguments import split_settings
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
