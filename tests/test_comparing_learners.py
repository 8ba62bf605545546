"""Several learners on the same data: a row each, one figure, one list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from waves import waves_file

from pdesolve.cli import main

SMALL = ["--fno.modes", "4", "--fno.width", "4", "--fno.depth", "1", "--deeponet.functions", "8"]
WORDS = ["--methods", "fno,deeponet", "--steps", "4", "--threads", "1", "--device", "cpu", "--budget", "100"]

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.mark.draws
def test_learners_are_compared_on_the_same_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("learning.draw_training", "learning.draw_examples", "datasets.evaluation.draw_examples"):
        monkeypatch.setattr(f"pdesolve.{place}", lambda *_: None)  # the figure of the comparison is drawn
    data = str(waves_file(tmp_path))
    words = ["compare", "--data", data, *WORDS, *SMALL, "--seeds", "0,1", "--past", "2", "--out", "c", "--json"]
    assert main(words) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["method"], row["seed"]) for row in rows] == [("fno", 0), ("fno", 1), ("deeponet", 0), ("deeponet", 1)]
    assert all(row["steps"] == 4 and row["samples"] == 4 and row["split"] == "test" for row in rows)
    assert rows[0]["settings"]["modes"] == 4
    table = Path("c/comparison.txt").read_text().splitlines()
    assert table[0].split()[:3] == ["run", "relative", "L2"] and table[2].startswith("fno seed 0")
    worst = rows[3]["metrics"]["u"]["relative_l2"]
    assert f"{worst:.2e}" in table[5] and str(rows[3]["parameters"]) in table[5]
    assert Path("c/comparison.png").stat().st_size > 5000
    assert json.loads(Path("c/comparison.json").read_text())["runs"] == rows
    assert main(["eval", "c/fno-seed-1", "--device", "cpu"]) == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["heat_1d", "--data", "waves.h5", "--methods", "fno"], "a problem or --data"),
        (["heat_1d", "--methods", "pinn", "--past", "2"], "--past is of --data"),
        (["--data", "waves.h5", "--methods", "fno", "--sweep", "problem.viscosity=1,2"], "sweeps"),
        (["--data", "waves.h5", "--methods", "pinn"], "pinn"),
        (["--data", "waves.h5", "--methods", "fno", "--unet.width", "3"], "unet"),
    ],
)
def test_bad_words_are_refused_in_a_line(
    tmp_path: Path, words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    waves_file(tmp_path)
    assert main(["compare", *words]) == 2
    said = capsys.readouterr().err
    assert line in said and said.count("\n") == 1, said


def test_help_says_which_dtype_and_a_bare_command_names_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "float64 or float32 (default: float64 of problems, float32 of --data)" in said
    assert main(["compare"]) == 2
    assert "pdesolve compare --data darcy.h5 --methods fno,unet" in capsys.readouterr().err
