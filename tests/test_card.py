"""The card of a training run."""

from __future__ import annotations

from pathlib import Path

import pytest
from waves import waves_file

import pdesolve as ps
from pdesolve.operators.fno.method import FNO
from pdesolve.training.operator_training import Training


@pytest.mark.usefixtures("own_folder")
def test_a_card_tells_the_data_the_errors_and_no_machine_path(tmp_path: Path) -> None:
    learner = FNO(modes=4, width=4, depth=1, training=Training(batch=16))
    out = tmp_path / "runs"
    found = ps.train(learner, waves_file(tmp_path), out=out, steps=3, threads=1, device="cpu", budget=600, seed=7)
    text = (out / "card.md").read_text()
    assert found.report is not None and found.report.table() in text
    for part in (
        "waves.h5",
        "2010.08895",
        "seed 7",
        "grid: 16 along x",
        "after 3 steps",
        "- modes: 4",
        "torch ",
        "- frames: 1 to the next 1 (`--frames steps`), 1 to a step",
    ):
        assert part in text
    assert str(tmp_path) not in text
