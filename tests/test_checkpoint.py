"""Where a run stands: what has ended is not done again, what was under way goes on, and a full disk costs nothing."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pdesolve.errors import InputError
from pdesolve.training.checkpoint import CHECKPOINT, Checkpoint, Outcome, read_checkpoint


class Part:
    """A number that is stored."""

    def __init__(self, value: float) -> None:
        self.value = value

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state_dict: Any, /) -> None:
        self.value = state_dict["value"]


def run() -> Any:
    """What a checkpoint asks of a run."""
    spent = SimpleNamespace(spent=2.0)
    return SimpleNamespace(budget=spent, generator=torch.Generator(), history=[], choices={}, seconds=1.0)


def written(folder: Path, reason: str) -> dict[str, Any]:
    """The file of a run whose first call has ended after 7 steps, and whose second is at step 3."""
    checkpoint = Checkpoint(folder)
    assert checkpoint.enter(run(), {"part": Part(1.0)}, seconds=math.inf) is None
    checkpoint.position.step, checkpoint.position.loss, checkpoint.position.shrink = 7, 0.5, 0.1
    checkpoint.position.reason = "steps"
    assert checkpoint.leave() == checkpoint.leave() == Outcome(7, 0.5, "steps")
    assert checkpoint.outcomes == [Outcome(7, 0.5, "steps")], "a call ends once"
    assert checkpoint.enter(run(), {"part": Part(2.0)}, seconds=math.inf) is None
    assert (checkpoint.position.call, checkpoint.position.step) == (1, 0)
    assert checkpoint.position.shrink == 0.1, "what has diverged goes on carefully"
    checkpoint.position.step, checkpoint.position.reason = 3, reason
    if reason:
        checkpoint.leave()  # the file is written once more, for whoever gives it more steps
    checkpoint.write(run(), {"part": Part(3.0)})
    return read_checkpoint(folder, "")


@pytest.mark.parametrize(
    ("reason", "over"), [("", False), ("steps", False), ("budget", False), ("converged", True), ("share", True)]
)
def test_calls_that_ended_return_and_the_one_under_way_goes_on(reason: str, over: bool, tmp_path: Path) -> None:
    again, part = Checkpoint(tmp_path, written(tmp_path, reason)), Part(0.0)
    assert again.enter(run(), {"part": part}, seconds=math.inf) == Outcome(7, 0.5, "steps")
    assert part.value == 0.0, "its parts are not those in the file"
    outcome = again.enter(run(), {"part": part}, seconds=math.inf)
    assert part.value == 3.0 and (outcome is not None) == over
    assert again.position.step == 3 and again.position.shrink == 0.1


def test_a_full_disk_leaves_the_last_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "")
    checkpoint = Checkpoint(tmp_path)

    def full(content: Any, path: Path) -> None:
        path.write_bytes(b"a part")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(InputError, match=r"cannot write .*: No space left on device; free some space"):
        checkpoint.write(run(), {"part": Part(9.0)})
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT], "and nothing beside it"
    assert read_checkpoint(tmp_path, "")["parts"]["part"]["value"] == 3.0
