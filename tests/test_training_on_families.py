"""Training on samples that are simulated meanwhile: held-out ones are fixed, runs repeat and go on bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import pdesolve as ps
from pdesolve.catalogue import make_family
from pdesolve.cli import main
from pdesolve.data.task_choice import TaskChoice
from pdesolve.data.training_data import Streamed
from pdesolve.datasets.training_data import FromFamily, reference_samples
from pdesolve.surrogates.operator import OperatorSurrogate

FAMILY = ["--family", "darcy", "--family.points", "9", "--family.modes", "4"]
SMALL = ["--method.modes", "3", "--method.width", "4", "--method.depth", "1", "--method.training.batch", "8"]
# budgets count the CPU time of the whole process, here that of the tests before
WORDS = ["train", "fno", *FAMILY, *SMALL, "--threads", "1", "--device", "cpu"]
DARCY = make_family("darcy", {"points": 9, "modes": 4})

pytestmark = pytest.mark.usefixtures("own_folder")


def weights(run: str) -> dict[str, torch.Tensor]:
    surrogate = ps.load_surrogate(run, device="cpu")
    assert isinstance(surrogate, OperatorSurrogate)
    return {k: v for k, v in surrogate.module.state_dict().items() if isinstance(v, torch.Tensor)}


def same(first: str, second: str) -> bool:
    one, two = weights(first), weights(second)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_held_out_samples_are_never_trained_on() -> None:
    held = reference_samples(DARCY)
    assert {name: len(numbers) for name, numbers in held.splits.items()} == {"train": 64, "valid": 64, "test": 64}
    again = reference_samples(DARCY)
    np.testing.assert_array_equal(held.read("permeability"), again.read("permeability"))
    source = FromFamily(DARCY, TaskChoice())
    batches = source.batches(source.signature.task, batch=32, device=torch.device("cpu"), seed=0)
    known = {row.astype(np.float32).tobytes() for row in held.read("u")}
    seen: set[bytes] = set()
    for _ in range(6):
        batches.renew()
        assert batches.batch is not None
        seen |= {row.numpy().tobytes() for row in batches.batch.targets["u"][:, 0, 0]}
    assert len(seen) > 150 and not seen & known


def test_parts_of_a_family_have_no_sample_in_common() -> None:
    seen: list[set[bytes]] = []
    for part in FromFamily(DARCY, TaskChoice()).apart(4):
        assert part.windows(part.signature.task) is None
        held = part.held_out("valid")
        assert held is not None and held.samples == 32
        batches = part.batches(part.signature.task, batch=32, device=torch.device("cpu"), seed=0)
        batches.renew()
        assert batches.batch is not None
        fields = [*batches.batch.targets["u"][:, 0, 0].numpy(), *held.read("u").astype(np.float32)]
        seen.append({field.tobytes() for field in fields})
    assert len(seen[0]) == len(seen[1]) == 64 and not seen[0] & seen[1]


def test_a_run_on_a_family_repeats_goes_on_and_is_judged_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "--steps", "12", "--out", "a"]) == 0
    assert main(["train", "--config", "a/config.yaml", "--out", "b"]) == 0
    assert same("a", "b")
    capsys.readouterr()
    assert main(["eval", "a", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "the stored score was found again" in said and "on 64 samples of the family darcy test" in said
    report = json.loads(Path("a/run.json").read_text())["report"]
    assert report["samples"] == 64 and report["data"]["family"] == "darcy"
    assert main(["predict", "a", "--samples", "0,1", "--out", "p.nc"]) == 0


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main([*WORDS, "--steps", "12", "--out", "whole"]) == 0
    plain, calls = Streamed.renew, []

    def renew(self: Streamed) -> bool:
        calls.append(None)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return plain(self)

    monkeypatch.setattr(Streamed, "renew", renew)
    assert main([*WORDS, "--steps", "12", "--out", "parts"]) == 130
    assert main(["resume", "parts"]) == 0
    assert len(calls) > 10 and same("whole", "parts")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--family", "darcy", "--data", "d.h5"], "one of --data and --family"),
        (["--family.points", "9"], "write --family NAME"),
        (["--family", "dracy"], "darcy"),
        ([], "--data FILE or --family NAME"),
    ],
)
def test_bad_words_are_refused_in_a_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "fno", *words]) == 2
    said = capsys.readouterr().err
    assert line in said and said.count("\n") == 1, said
