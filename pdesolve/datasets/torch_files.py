"""Tensors of .pt files, read with weights_only=True: mapped into memory, so that parts of them can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdesolve.data.arrays import Array, Slices
from pdesolve.datasets.numpy_files import BARE
from pdesolve.datasets.stored import kept
from pdesolve.errors import InputError

Keys = tuple[str | int, ...]
_NUMPY = {
    torch.float64: "f8", torch.float32: "f4", torch.float16: "f2", torch.bfloat16: "f4", torch.int64: "i8",
    torch.int32: "i4", torch.int16: "i2", torch.int8: "i1", torch.uint8: "u1", torch.bool: "?",
    torch.complex64: "c8", torch.complex128: "c16",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Stored(Array):
    """A tensor in the mappings and lists of a .pt file, by the keys that lead to it."""

    path: str
    keys: Keys
    sizes: tuple[int, ...]
    kind: np.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.sizes

    @property
    def dtype(self) -> np.dtype:
        return self.kind

    @property
    def chunks(self) -> None:
        return None

    def read(self, index: Slices) -> np.ndarray:
        found = contents(Path(self.path))
        for key in self.keys:
            found = found[key]
        part = found.detach()[index]
        return np.array((part.float() if part.dtype == torch.bfloat16 else part).resolve_conj().numpy())


def contents(path: Path) -> Any:
    """What the file holds: tensors, and mappings and lists of them.

    Raises:
        InputError: pickled objects that are no tensors, a file that is truncated.
    """
    return kept(str(path), "torch", 2**20, lambda: _load(path))


def _load(path: Path) -> Any:
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return torch.load(path, map_location="cpu", weights_only=True)  # from before torch 1.6: read whole
    except Exception as error:  # pickles and zip files fail in many ways
        message = " ".join(str(error).split())
        if "weights_only" in message or "WeightsUnpickler" in message or "Unsupported" in message:
            what = message.partition("GLOBAL ")[2].partition(" ")[0]
            raise InputError(
                f"{path} holds pickled Python objects{f' ({what})' if what else ''}, which may run any program: save "
                "its tensors alone, torch.save({'x': x, 'y': y}, path), where the file comes from"
            ) from None
        raise InputError(f"{path} is no whole .pt file ({message[:120]}): copy or download it again") from None


def tensors(path: Path) -> dict[Keys, Array]:
    """All tensors of the file by the keys that lead to them; a bare one by no key."""
    found: dict[Keys, Array] = {}
    _collect(path, contents(path), (), found)
    return found


def torch_arrays(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The tensors of one mapping by name; a bare one as `values`. None where there are lists of them."""
    found = tensors(path)
    if list(found) == [()]:
        return {BARE: found[()]}, {}
    if any(len(keys) != 1 or not isinstance(keys[0], str) for keys in found):
        return {}, {}
    return {str(keys[0]): array for keys, array in found.items()}, {}


def _collect(path: Path, node: Any, keys: Keys, found: dict[Keys, Array]) -> None:
    if len(keys) > 8 or len(found) > 10**6:
        raise InputError(f"{path} nests mappings and lists too deep or holds too many tensors: save fewer in a file")
    if isinstance(node, Tensor):
        if node.layout != torch.strided or node.dtype not in _NUMPY:
            raise InputError(f"{'.'.join(map(str, keys))} of {path} is a tensor of {node.dtype}, {node.layout}")
        found[keys] = Stored(str(path), keys, tuple(node.shape), np.dtype(_NUMPY[node.dtype]))
    elif isinstance(node, Mapping):
        for key, value in node.items():
            _collect(path, value, (*keys, key if isinstance(key, int) else str(key)), found)
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            _collect(path, value, (*keys, i), found)
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        from pdesolve.data.arrays import Memory

        found[keys] = Memory(np.array(node))
