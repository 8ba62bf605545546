"""Surrogates that are one operator network: frames in, frames out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError  # what weights_only raises; nothing here is unpickled
from typing import Any

import torch
from torch import Tensor

from pdesolve.data.batch import Batch
from pdesolve.data.signature import Signature
from pdesolve.errors import InputError
from pdesolve.method import Surrogate
from pdesolve.nn.field_operator import FieldOperator
from pdesolve.nn.places import Places
from pdesolve.nn.precision import in_precision
from pdesolve.surrogates.placing import Placing

SURROGATE = "surrogate.pt"
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Frames:
    """What an operator surrogate goes on with: its inputs, the parameters, where they lie, and the last outcome."""

    inputs: Mapping[str, Tensor]
    parameters: Mapping[str, Tensor]
    given: Places
    outcome: Mapping[str, Tensor] | None = None


class OperatorSurrogate(Surrogate):
    """A surrogate that is one network between fields, applied again and again for later frames.

    settings: of the method that built the network, JSON values; they and the signature rebuild it. The network is in
    evaluation mode wherever nobody trains it: some have moments of batches, or means over images, of their own there.
    """

    def __init__(
        self, module: FieldOperator, *, method: str, settings: Mapping[str, Any], device: torch.device | str = "cpu"
    ) -> None:
        self.module = module.to(device).eval()
        self.signature = module.signature
        self.method, self.settings = method, dict(settings)
        self.device = torch.device(device)
        self.placing = Placing(module.signature)
        self.notes = {}
        trained = [p for p in module.parameters() if p.requires_grad]
        self.parameters = sum(p.numel() * (2 if p.is_complex() else 1) for p in trained)

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        return self.module.dtype

    @property
    def elsewhere(self) -> bool:  # type: ignore[override]
        return self.module.network.elsewhere

    def start(self, batch: Batch) -> Frames:
        missing = [slot.name for slot in self.signature.inputs if slot.name not in batch.inputs]
        if missing:
            raise InputError(
                f"{', '.join(missing)} is missing among {', '.join(batch.inputs) or 'no inputs'}: the surrogate was "
                f"trained on {', '.join(slot.name for slot in self.signature.inputs)}"
            )
        given = self.placing.of(batch, dtype=self.dtype, device=self.device)
        self.module.network.check(given)

        def here(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: value.to(device=self.device, dtype=self.dtype) for name, value in values.items()}

        return Frames(here(batch.inputs), here(batch.parameters), given)

    def step(self, carry: Frames) -> Frames:
        if carry.outcome is not None:
            carry = replace(carry, inputs=following(self.signature, carry.inputs, carry.outcome))
        outcome = self.module(carry.inputs, carry.parameters, carry.given, carry.given)
        return replace(carry, outcome=outcome)

    def read(self, carry: Frames, at: Places | None = None) -> dict[str, Tensor]:
        if carry.outcome is None:
            raise ValueError("nothing to read before the first step")
        if at is None:
            return dict(carry.outcome)
        if self.module.network.elsewhere:
            return self.module(carry.inputs, carry.parameters, carry.given, at)
        raise InputError(
            f"{self.method} gives values where it is given some: interpolate them, or give inputs on the grid you want"
        )

    def write(self, folder: Path) -> None:
        write_surrogate(self, folder / SURROGATE)


def following(signature: Signature, inputs: Mapping[str, Tensor], outcome: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs of the next step: the last frames of what was given and what came of it."""
    found = dict(inputs)
    for slot in signature.inputs:
        if slot.moving and slot.name in outcome:
            found[slot.name] = torch.cat([inputs[slot.name], outcome[slot.name]], 1)[:, -slot.frames :]
    return found


def write_surrogate(
    surrogate: OperatorSurrogate, path: Path, *, weights: Mapping[str, Tensor] | None = None
) -> None:  # fmt: skip
    """Write a surrogate aside and rename it. weights: in place of its own."""
    state = surrogate.module.state_dict() if weights is None else weights
    content = {
        "format": FORMAT,
        "method": surrogate.method,
        "settings": surrogate.settings,
        "signature": surrogate.signature.json(),
        "notes": surrogate.notes,
        # a plain dict: those of modules carry metadata that weights_only refuses
        "weights": {name: value.detach().cpu() for name, value in state.items() if isinstance(value, Tensor)},
    }
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(content, aside)
    aside.replace(path)


def read_surrogate(
    path: Path, build: Callable[[Signature], FieldOperator], *, method: str, settings: Mapping[str, Any],
    device: str = "cpu",
) -> OperatorSurrogate:  # fmt: skip
    """The surrogate of a file, whose network `build` makes of the signature.

    Raises:
        InputError: no such file, a damaged one, one of another format, method or settings.
    """
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise InputError(f"there is no {path}: train first, by pdesolve train") from None
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise InputError(f"{path} is damaged: {reason}; train again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise InputError(f"{path} has format {found}, this version reads {FORMAT}: train again")
    missing = [name for name in ("method", "settings", "signature", "notes", "weights") if name not in content]
    if missing:
        raise InputError(f"{path} is damaged: it lacks {missing[0]}; train again")
    if content["method"] != method:
        raise InputError(f"{path} is a surrogate of {content['method']}, not of {method}")
    try:
        signature = Signature.of_json(content["signature"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is damaged: its signature is none ({error!r}); train again") from error
    module = build(signature)
    floating = [value.dtype for value in content["weights"].values() if value.is_floating_point()]
    module = in_precision(module, floating[0]) if floating else module
    try:
        module.load_state_dict(content["weights"], strict=False)
        missing = [n for n, v in module.state_dict().items() if isinstance(v, Tensor) and n not in content["weights"]]
        if missing or set(content["weights"]) - set(module.state_dict()):
            raise RuntimeError(f"it lacks {missing[:1]} or has more")
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path} does not fit the {method} of these settings: {reason}") from error
    surrogate = OperatorSurrogate(module, method=method, settings=settings, device=device)
    surrogate.notes = content["notes"]
    return surrogate
