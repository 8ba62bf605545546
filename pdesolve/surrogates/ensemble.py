"""Ensembles: surrogates of one signature that predict together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.data.signature import Signature
from pdesolve.errors import InputError
from pdesolve.method import Surrogate
from pdesolve.nn.places import Places
from pdesolve.surrogates.description import read_description
from pdesolve.surrogates.rollout import OnDivergence, Rollout
from pdesolve.training.run import write_json

ENSEMBLE = "ensemble.json"
FORMAT = 1


class Ensemble(Surrogate):
    """Several surrogates as one: the mean of what they predict, and their spread.

    Each goes on from its own outcome, so that a rollout's spread grows as its members part. members: of one signature
    but for the moments, trained from several seeds or on several draws of the samples.

    Raises:
        InputError: fewer than two members, or such of several signatures.

    Source: B. Lakshminarayanan, A. Pritzel and C. Blundell (2017), Deep ensembles, arXiv 1612.01474.
    """

    def __init__(self, members: Sequence[Surrogate]) -> None:
        if len(members) < 2:
            raise InputError(f"an ensemble has two members at least, got {len(members)}: train with several seeds")
        shapes = {_shape(member.signature) for member in members}
        if len(shapes) > 1:
            raise InputError(f"the members of an ensemble have one task, got {len(shapes)} that differ in variables")
        self.members = tuple(members)
        first = members[0]
        self.signature, self.dtype, self.device = first.signature, first.dtype, first.device
        self.parameters = sum(member.parameters for member in members)
        self.elsewhere = all(member.elsewhere for member in members)
        self.notes = {"members": [member.notes for member in members]}

    def start(self, batch: Batch) -> tuple[Any, ...]:
        return tuple(member.start(batch) for member in self.members)

    def step(self, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(member.step(own) for member, own in zip(self.members, carry, strict=True))

    def read(self, carry: tuple[Any, ...], at: Places | None = None) -> dict[str, Tensor]:
        return mean(self.apart(carry, at))

    def apart(self, carry: tuple[Any, ...], at: Places | None = None) -> dict[str, Tensor]:
        """What `read` is the mean of, {name: (member, sample, time, component, *space)}."""
        return _stacked([member.read(own, at) for member, own in zip(self.members, carry, strict=True)])

    @torch.no_grad()
    def predict_apart(self, batch: Batch, at: Places | None = None) -> dict[str, Tensor]:
        """The predictions of all members, {name: (member, sample, time, component, *space)}; else as `predict`."""
        return _stacked([member.predict(batch, at) for member in self.members])

    def rollout_apart(self, batch: Batch, steps: int, *, on_divergence: OnDivergence = "stop") -> Rollout:
        """The rollouts of all members, with a leading dimension of members; a sample diverges with any of them."""
        found = [member.rollout(batch, steps, on_divergence=on_divergence) for member in self.members]
        diverged = torch.stack([rollout.diverged for rollout in found])
        never = torch.iinfo(diverged.dtype).max
        first = torch.where(diverged == 0, never, diverged).amin(0)
        return Rollout(_stacked([rollout.states for rollout in found]), torch.where(first == never, 0, first))

    def write(self, folder: Path) -> None:
        """Store the members in folders of their own, and how to make them again."""
        entries = []
        for i, member in enumerate(self.members):
            method, settings = getattr(member, "method", None), getattr(member, "settings", None)
            if method is None or settings is None:
                raise InputError(f"a {type(member).__name__} does not say by which method it was made: store it apart")
            own = folder / f"member_{i}"
            own.mkdir(parents=True, exist_ok=True)
            member.write(own)
            entries.append({"method": method, "settings": settings})
        write_json(folder / ENSEMBLE, {"format": FORMAT, "members": entries})


def read_ensemble(folder: Path, *, device: str = "cpu") -> Ensemble:
    """The ensemble that `Ensemble.write` stored in a folder.

    Raises:
        InputError: no such file, a damaged one, one of another format.
    """
    from pdesolve.catalogue import make_learner

    content = read_description(folder / ENSEMBLE, FORMAT, "store it by Ensemble.write")
    entries = content.get("members")
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and {"method", "settings"} <= set(e) for e in entries
    ):
        raise InputError(f"{folder / ENSEMBLE} is damaged: it lists no members; store the ensemble again")
    return Ensemble(
        [
            make_learner(str(entry["method"]), entry["settings"]).restore(folder / f"member_{i}", device=device)
            for i, entry in enumerate(entries)
        ]
    )


def mean(apart: dict[str, Tensor]) -> dict[str, Tensor]:
    """The mean over members."""
    return {name: values.mean(0) for name, values in apart.items()}


def _stacked(found: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([one[name] for one in found]) for name in found[0]}


def _shape(signature: Signature) -> tuple[Any, ...]:
    slots = [(s.name, s.frames, s.components) for s in (*signature.inputs, *signature.targets, *signature.parameters)]
    return (*slots, signature.frames, tuple(axis.name for axis in signature.axes))
