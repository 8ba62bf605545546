"""The radial functions of a run each time that its collocation points moved, kept in its folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError  # what weights_only raises; nothing here is unpickled

import torch

from pdesolve.errors import InputError
from pdesolve.nn.radial import RadialBasis

MOTION = "motion"


def record(folder: Path, layer: RadialBasis, step: int) -> None:
    """Add a frame: centres, sizes and all else of a layer at a step of its stage."""
    frames = folder / MOTION
    frames.mkdir(exist_ok=True)
    content = {name: tensor.detach().cpu() for name, tensor in layer.state_dict().items()}
    number = len(list(frames.glob("*.pt")))
    aside = frames / f".{number:05d}.{os.getpid()}"
    torch.save({"step": step, "layer": content}, aside)
    aside.replace(frames / f"{number:05d}.pt")


def recorded(folder: Path, layer: RadialBasis) -> Iterator[int]:
    """The steps of a folder's frames one after the other, the layer being as it was then.

    Raises:
        InputError: a file that is no frame of this layer.
    """
    for path in sorted((folder / MOTION).glob("*.pt")):
        try:
            content = torch.load(path, weights_only=True, map_location=layer.centres.device)
            layer.load_state_dict(content["layer"])
        except (OSError, RuntimeError, KeyError, EOFError, UnpicklingError) as error:
            raise InputError(f"cannot read the Gaussians in {path}: {str(error).splitlines()[0][:120]}") from error
        yield content["step"]
