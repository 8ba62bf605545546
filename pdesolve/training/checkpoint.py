"""Checkpoints: all that a run needs to go on bit for bit, in one file of tensors and plain values.

A procedure is a sequence of calls of `fit`. The checkpoint holds where it stands (`Position`), how the calls before
ended, and the parts of the running one: objective, optimiser with its memory, batches, best parameters; and of the run
its generator, history, choices and the time it has spent. Torch reads it with weights_only, so that no file can run
anything.
"""

from __future__ import annotations

import math
import os
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from pickle import UnpicklingError  # what weights_only raises; nothing here is unpickled
from typing import TYPE_CHECKING, Any, Protocol

import torch

from pdesolve.errors import InputError
from pdesolve.training.processes import together
from pdesolve.training.sharding import whole

if TYPE_CHECKING:
    from pdesolve.training.run import Run

CHECKPOINT = "checkpoint.pt"
FORMAT = 4
_PARTS = ("owner", "outcomes", "parts", "generator", "history", "choices", "seconds", "cpu_seconds")
_COST = 0.02  # the most that writing checkpoints may take of a run's time


class Stateful(Protocol):
    """A part of a procedure that a checkpoint holds: what the procedure needs of it to go on bit for bit."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that going on needs, as tensors and plain values."""

    @abstractmethod
    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Stand where the part stood whose `state_dict` this was."""


@dataclass(frozen=True)
class Outcome:
    """How a stage of training ended: its steps, its last loss, and why it stopped.

    reason: steps, share (its own part of the budget), budget, target, converged (loss or gradient are rounding) or
    stalled (nothing better was found, though the gradient shows where).
    """

    steps: int
    loss: float
    reason: str


@dataclass
class Position:
    """Where a procedure stands.

    call: which call of `fit`, from 0. step: steps of it so far. since: steps since its batch was drawn. idle: steps in
    a row that found nothing better. until: CPU seconds of the run at which the call ends. shrink: factor of learning
    rates after divergences. loss: the last that was watched. reason: why the call ended, empty before.
    """

    call: int = -1
    step: int = 0
    since: int = 0
    idle: int = 0
    until: float = math.inf
    shrink: float = 1.0
    loss: float = math.nan
    reason: str = ""

    @property
    def outcome(self) -> Outcome:
        """How the call ended."""
        return Outcome(self.step, self.loss, self.reason)


class Checkpoint:
    """Where a run stands, and the file that brings it back there.

    folder: where the file goes; None keeps none. content: what `read_checkpoint` found, for a run that goes on. owner:
    what the run is of (problem, method, seed), so that no other run takes the file for its own. `choices`, `history`,
    `seconds` and `cpu_seconds` are those of the run before it goes on.
    """

    def __init__(self, folder: Path | None = None, content: Mapping[str, Any] | None = None, owner: str = "") -> None:
        self.folder, self.owner = folder, owner
        self.position = Position()
        self.outcomes: list[Outcome] = []
        self.resumed = content is not None
        self.choices: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.seconds = self.cpu_seconds = 0.0
        self._content = content
        self._calls = 0
        self._next = 0.0
        if content is not None:
            self.choices, self.history = content["choices"], content["history"]
            self.seconds, self.cpu_seconds = content["seconds"], content["cpu_seconds"]
            self.position = Position(**content["position"])
            self.outcomes = [Outcome(**outcome) for outcome in content["outcomes"]]

    def enter(self, run: Run, parts: Mapping[str, Stateful], *, seconds: float) -> Outcome | None:
        """Begin a call of `fit`, or go on with the one that the file is of; the outcome of one that has ended.

        seconds: CPU time of the call.

        Raises:
            InputError: the file is of another network or optimiser.
        """
        self._calls += 1
        call = self._calls - 1
        if call < len(self.outcomes):
            return self.outcomes[call]
        content, self._content = self._content, None
        if content is not None and call == self.position.call:
            self._restore(run, content, parts)
            # more budget, steps or a smaller target let a call go on; nothing does where its own share is over
            return self.leave() if self.position.reason in ("converged", "stalled", "share") else None
        before = self.position
        until = run.budget.spent + seconds
        self.position = Position(call=call, shrink=before.shrink, until=until)
        return None

    def leave(self) -> Outcome:
        """End a call of `fit`. In the file it counts as ended once the next one begins: until then it may go on."""
        del self.outcomes[self.position.call :]
        self.outcomes.append(self.position.outcome)
        return self.outcomes[-1]

    @property
    def steps(self) -> int:
        """Of all calls of `fit` so far."""
        return sum(outcome.steps for outcome in self.outcomes[: max(0, self.position.call)]) + self.position.step

    @property
    def begun(self) -> bool:
        """Whether any step has been taken: there is something to lose."""
        return self.resumed or self.position.call > 0 or self.position.step > 0

    def due(self) -> bool:
        """Whether writing the file again costs little of the run's time."""
        return self.folder is not None and time.perf_counter() >= self._next

    def write(self, run: Run, parts: Mapping[str, Stateful]) -> None:
        """Write the file aside and rename it, so that there is always a whole one.

        All processes call it: weights that are divided among them are put together for the one that has a folder.
        """
        if self.folder is None and not together():
            return
        states = {name: _plain(part.state_dict(), keep=self.folder is not None) for name, part in parts.items()}
        if self.folder is None:
            return
        start = time.perf_counter()
        content = {
            "format": FORMAT,
            "owner": self.owner,
            "position": asdict(self.position),
            "outcomes": [asdict(outcome) for outcome in self.outcomes[: self.position.call]],
            "parts": states,
            "generator": run.generator.get_state(),
            "history": run.history,
            "choices": run.choices,
            "seconds": run.seconds,
            "cpu_seconds": run.budget.spent,
        }
        path = self.folder / CHECKPOINT
        aside = path.with_name(f".{CHECKPOINT}.{os.getpid()}")
        try:
            torch.save(content, aside)
            aside.replace(path)
        except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError on a full disk
            aside.unlink(missing_ok=True)
            reason = str(error).splitlines()[0]
            raise InputError(f"cannot write {path}: {reason}; free some space, then pdesolve resume") from error
        end = time.perf_counter()
        self._next = end + (end - start) / _COST

    def _restore(self, run: Run, content: Mapping[str, Any], parts: Mapping[str, Stateful]) -> None:
        for name, part in parts.items():
            try:
                part.load_state_dict(content["parts"][name])
            except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
                reason = " ".join(str(error).split())[:160]
                raise InputError(
                    f"the checkpoint of {self.folder} does not fit the {name} of this run: {reason}; solve again"
                ) from error
        run.generator.set_state(content["generator"])


def read_checkpoint(folder: Path, owner: str) -> dict[str, Any]:
    """The content of a folder's checkpoint, on the CPU.

    Raises:
        InputError: there is none, it is damaged, of another format or of another run.
    """
    path = folder / CHECKPOINT
    verb = "train" if owner.startswith("data:") else "solve"
    again = f"start again by pdesolve {verb} --config {folder / 'config.yaml'}"
    if not path.exists():
        raise InputError(f"{folder} holds no {CHECKPOINT}: its method writes none, or ended before the first; {again}")
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise InputError(f"{path} is damaged: {reason}; {again}") from error
    wanted = {field.name for field in fields(Position)}
    if not isinstance(content, dict) or content.get("format") != FORMAT or set(content.get("position", ())) != wanted:
        found = content.get("format") if isinstance(content, dict) else None
        raise InputError(f"{path} has format {found}, this version reads {FORMAT}: {again}")
    missing = [name for name in _PARTS if name not in content]
    if missing:
        raise InputError(f"{path} is damaged: it lacks {missing[0]}; {again}")
    if content["owner"] != owner:
        raise InputError(f"{path} belongs to another run: {_first_difference(content['owner'], owner)}; {again}")
    return content


def reopened(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a finished run's checkpoint, so that its last call of `fit` tries to go on."""
    return {**content, "position": {**content["position"], "reason": "", "idle": 0}}


def _first_difference(theirs: str, ours: str) -> str:
    """The first line in which two descriptions of runs differ."""
    for a, b in zip(theirs.splitlines(), ours.splitlines(), strict=False):
        if a != b:
            return f"it has {a.strip()}, the folder {b.strip()}"
    return "it has other settings than the folder"


def _plain(state: Any, *, keep: bool) -> Any:
    """The same state of plain dictionaries, without the metadata of modules, which weights_only refuses.

    That is an attribute of torch's dictionaries, and an entry in those of neuraloperator's models. keep: False for
    processes that only have to give their parts of tensors.
    """
    if isinstance(state, Mapping):
        return {k: _plain(value, keep=keep) for k, value in state.items() if str(k).split(".")[-1] != "_metadata"}
    if isinstance(state, torch.Tensor):
        found = whole(state)
        if found is state:
            return state.detach()
        return found.detach().cpu() if keep else None
    return state
