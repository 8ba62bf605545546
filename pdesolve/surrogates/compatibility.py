"""Whether data are of the kind that a surrogate was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.dataset import Dataset
from pdesolve.data.signature import Signature, Slot
from pdesolve.errors import InputError


def check_data(signature: Signature, data: Dataset, slots: Iterable[Slot]) -> None:
    """Refuse data on which a surrogate would work without a meaning; on another resolution it may.

    slots: of the signature, whose variables are read.

    Raises:
        InputError: data of other variables, components, parameters, axes or spacing than it was trained on.
    """
    known = {**data.variables, **data.parameters}
    needed = list(slots)
    missing = [slot.name for slot in (*needed, *signature.parameters) if slot.name not in known]
    if missing:
        trained = dict.fromkeys(slot.name for slot in (*signature.inputs, *signature.targets, *signature.parameters))
        raise InputError(
            f"the data have {', '.join(known) or 'no variables'} and no {', '.join(dict.fromkeys(missing))}: the "
            f"surrogate was trained on {', '.join(trained)}"
        )
    for slot in needed:
        found = max(1, len(known[slot.name].components))
        if found != slot.components:
            raise InputError(f"{slot.name} has {found} components, the surrogate was trained on {slot.components}")
    _check_axes(signature, data)
    if any(slot.moving for slot in needed):
        _check_spacing(signature, data)


def _check_axes(signature: Signature, data: Dataset) -> None:
    names = tuple(axis.name for axis in signature.axes)
    if signature.members and data.space != names:
        raise InputError(
            f"the data lie over {', '.join(data.space) or 'no axis'}, the surrogate was trained on {', '.join(names)}"
        )
    for axis in signature.axes if signature.members else ():
        known = data.coordinates.get(axis.name)
        if known is None:
            continue
        low, high = float(known.points.min()), float(known.points.max())
        if low < axis.lower - 0.01 * axis.length or high > axis.upper + 0.01 * axis.length:
            raise InputError(
                f"{axis.name} of the data runs from {low:.6g} to {high:.6g}, the surrogate was trained on "
                f"{axis.lower:.6g} to {axis.upper:.6g}: is it in another unit?"
            )


def _check_spacing(signature: Signature, data: Dataset) -> None:
    known, stride = data.coordinates.get("t"), getattr(signature.frames, "stride", 1)
    if known is None or signature.spacing is None or known.points.ndim > 1 or len(known.points) < 2:
        return
    found = stride * float(np.diff(known.points).mean())
    if abs(found - signature.spacing) > 0.01 * signature.spacing:
        raise InputError(
            f"frames of the data are {found:.6g} apart, {stride} to a step, the surrogate was trained on "
            f"{signature.spacing:.6g}: choose frames at that distance"
        )


def check_finite(fields: Mapping[str, Tensor], numbers: Tensor) -> None:
    """Refuse fields {name: (window, ...)} with values that are not finite. numbers: (window,), of
    their samples.

    Raises:
        InputError: the first of them, and which sample it is of.
    """
    for name, values in fields.items():
        bad = ~torch.isfinite(values).flatten(1).all(1)
        if bool(bad.any()):
            number = int(numbers[bad.nonzero()[0, 0]])
            raise InputError(f"{name} of sample {number} has values that are not finite: leave it out")
