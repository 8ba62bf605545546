"""A surrogate as one file that runs without pdesolve, at a stated resolution and number of samples."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from pdesolve.data.signature import Signature
from pdesolve.errors import InputError, unknown_name
from pdesolve.geometry import Grid
from pdesolve.method import Surrogate
from pdesolve.nn.places import GridPlaces
from pdesolve.surrogates.operator import OperatorSurrogate
from pdesolve.surrogates.placing import resized

Format = Literal["pt2", "onnx"]
DESCRIPTION = "pdesolve.json"  # the name in a pt2 file under which its description lies
_OPSET = 18
_SIZES = "sizes are fixed: transforms and coordinates of a grid are part of the file; export once for each size"
_SAME = {torch.float64: 1e-10}  # relative to the largest value
_CLOSE = 1e-4


@dataclass(frozen=True)
class Export:
    """What was exported.

    inputs, outputs: {name: shape} in order. difference: the largest between the file, loaded again, and the surrogate,
    over the largest value.
    """

    path: Path
    inputs: dict[str, list[int]]
    outputs: dict[str, list[int]]
    difference: float


class _Positional(nn.Module):
    """An operator surrogate on one grid as a function of tensors, in the order of its signature."""

    def __init__(self, surrogate: OperatorSurrogate, places: GridPlaces) -> None:
        super().__init__()
        self.module, self.places = surrogate.module, places
        self.inputs = tuple(slot.name for slot in surrogate.signature.inputs)
        self.parameter_names = tuple(slot.name for slot in surrogate.signature.parameters)
        self.outputs = tuple(slot.name for slot in surrogate.signature.targets)

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        count = len(self.inputs)
        inputs = dict(zip(self.inputs, values[:count], strict=True))
        parameters = dict(zip(self.parameter_names, values[count:], strict=True))
        found = self.module(inputs, parameters, self.places, self.places)
        return tuple(found[name] for name in self.outputs)


def export(
    surrogate: Surrogate, path: str | Path, *, grid: Sequence[int] | None = None, batch: int = 1,
    format: Format = "pt2",
) -> Export:  # fmt: skip
    """Write one step of a surrogate as a program of torch.export or as ONNX, load it again and compare.

    The program takes the inputs (sample, time, component, *space) in their own units, then the parameters (sample,), in
    the order and by the names of the signature, and gives the targets; normalisation is inside. Sizes are fixed.

    grid: points along each axis of space, those of the training by default. batch: samples of a call.

    Raises:
        InputError: a surrogate that is no single network on a grid; sizes that do not fit; an operator that ONNX lacks;
            a program that does not give what the surrogate gives, of which no file is left.
    """
    if format not in ("pt2", "onnx"):
        raise unknown_name("format", format, ("pt2", "onnx"))
    if not isinstance(surrogate, OperatorSurrogate):
        raise InputError(f"a surrogate that is one network can be exported, got {type(surrogate).__name__}")
    path, program = Path(path), _program(surrogate, grid, batch)
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}: make it, or give another --out")
    values = _example(surrogate.signature, program, batch)
    names = [*program.inputs, *program.parameter_names]
    with torch.no_grad(), _evaluating(surrogate.module):
        expected = program(*values)
        try:
            exported = torch.export.export(program, tuple(values), strict=False)
        except Exception as error:  # torch.export raises of all kinds
            raise InputError(f"torch.export cannot follow {surrogate.method}: {_first(error)}") from error
    shapes = dict(zip(program.outputs, (list(value.shape) for value in expected), strict=True))
    description = {
        "method": surrogate.method, "sizes": _SIZES, "signature": surrogate.signature.json(),
        "inputs": {name: list(value.shape) for name, value in zip(names, values, strict=True)}, "outputs": shapes,
    }  # fmt: skip
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        if format == "pt2":
            torch.export.save(exported, aside, extra_files={DESCRIPTION: json.dumps(description)})
            found = torch.export.load(aside).module()(*values)
        else:
            found = _onnx(exported, aside, values, names, program.outputs, description)
        scale = max(float(value.abs().max()) for value in expected)
        pairs = zip(found, expected, strict=True)
        difference = max(float((f.detach() - e).abs().max()) for f, e in pairs) / (scale or 1.0)
        if not difference <= _SAME.get(surrogate.dtype, _CLOSE):
            raise InputError(
                f"the exported program differs from the surrogate by {difference:.1e} of the largest value: this "
                "version of torch does not export its operators rightly; no file was written"
            )
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return Export(path, description["inputs"], shapes, difference)


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Inside the block the module evaluates, and behind it trains if it did."""
    was = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was)


def _program(surrogate: OperatorSurrogate, sizes: Sequence[int] | None, batch: int) -> _Positional:
    signature = surrogate.signature
    if signature.grid is None:
        raise InputError("a surrogate of points has places of their own in each call: only those on grids are exported")
    sizes = signature.shape if sizes is None else tuple(sizes)
    axes = ", ".join(axis.name for axis in signature.axes)
    if len(sizes) != len(signature.axes) or min(sizes) < 2:
        raise InputError(
            f"the surrogate has the axes of space {axes}, got the sizes {','.join(map(str, sizes))}: give 2 or more "
            f"for each, as in --grid {','.join(map(str, signature.shape))}"
        )
    if batch < 1:
        raise InputError(f"a call takes at least one sample, got {batch}")
    members = tuple(resized(member, size) for member, size in zip(signature.members, sizes, strict=True))
    places = GridPlaces.of(Grid(members), dtype=surrogate.dtype, device=surrogate.device)
    surrogate.module.network.check(places)
    return _Positional(surrogate, places)


def _example(signature: Signature, program: _Positional, batch: int) -> list[Tensor]:
    """Inputs of the means and deviations of the training, the same in each call."""
    generator, like = torch.Generator().manual_seed(0), program.module.input_mean

    def drawn(mean: Sequence[float], std: Sequence[float], *shape: int) -> Tensor:
        tail = [1] * (len(shape) - 3)
        around, by = (torch.tensor(row, dtype=torch.float64).view(1, 1, -1, *tail) for row in (mean, std))
        return (around + by * torch.randn(shape, generator=generator, dtype=torch.float64)).to(like)

    fields = [drawn(s.mean, s.std, batch, s.frames, s.components, *program.places.shape) for s in signature.inputs]
    numbers = [drawn(s.mean, s.std, batch, 1, 1).flatten() for s in signature.parameters]
    return [*fields, *numbers]


def _onnx(
    exported: Any, path: Path, values: Sequence[Tensor], names: Sequence[str], outputs: Sequence[str],
    description: dict[str, Any],
) -> list[Tensor]:  # fmt: skip
    """Write ONNX and evaluate it by the reference of the package onnx."""
    try:
        import onnx  # pyright: ignore[reportMissingImports]
        import onnxscript  # noqa: F401  # pyright: ignore[reportMissingImports]
        from onnx.reference import ReferenceEvaluator  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(f'ONNX needs the package {error.name}: pip install "pdesolve-suite[onnx]"') from None
    try:
        made = torch.onnx.export(
            exported, (), input_names=list(names), output_names=list(outputs), dynamo=True, verbose=False,
            opset_version=_OPSET,
        )  # fmt: skip
    except Exception as error:  # torch.onnx raises of all kinds
        operator = next(iter(re.findall(r"op='([\w.]+)'", _causes(error))), None)
        lacks = f"ONNX has no operator for {operator}" if operator else f"torch.onnx failed: {_first(error)}"
        raise InputError(f"{lacks}; write --format pt2, which has all that torch has") from error
    assert made is not None  # where no file is named
    model = made.model_proto
    onnx.helper.set_model_props(model, {DESCRIPTION: json.dumps(description)})
    path.write_bytes(model.SerializeToString())
    given = {name: value.cpu().numpy() for name, value in zip(names, values, strict=True)}
    found = ReferenceEvaluator(onnx.load(path)).run(None, given)
    return [torch.from_numpy(np.asarray(value)).to(values[0].device) for value in found]


def _first(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:160]


def _causes(error: BaseException | None) -> str:
    """What an error and all that led to it say."""
    found = []
    while error is not None:
        found.append(str(error))
        error = error.__cause__ or error.__context__
    return " ".join(found)
