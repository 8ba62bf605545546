"""Arrays of zarr stores, version 2 and 3, in a folder or a zip file. Needs the extra `zarr`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdesolve.data.arrays import Array, Slices
from pdesolve.datasets.stored import check_size, kept
from pdesolve.errors import InputError

if TYPE_CHECKING:
    from pdesolve.datasets.labelled_files import LabelledFile

# the rest of numcodecs, `pickle` among it, may run programs or is not needed for numbers
_CODECS = {
    "blosc", "zlib", "gzip", "bz2", "lzma", "lz4", "zstd", "shuffle", "delta", "fixedscaleoffset", "bitround",
    "quantize", "packbits", "astype", "crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3", "transpose",
    "bytes", "sharding_indexed", "endian", "pcodec", "zfpy",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Zarr(Array):
    """An array of a store."""

    path: str
    name: str
    sizes: tuple[int, ...]
    kind: np.dtype
    pieces: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.sizes

    @property
    def dtype(self) -> np.dtype:
        return self.kind

    @property
    def chunks(self) -> tuple[int, ...]:
        return self.pieces

    def read(self, index: Slices) -> np.ndarray:
        found = _member(self.path, self.name)
        try:
            return np.asarray(found[index if self.sizes else ()]).astype(self.kind, copy=False)
        except Exception as error:  # codecs and stores fail in many ways
            reason = " ".join(str(error).split())[:120]
            raise InputError(f"{self.name} of {self.path} cannot be read ({reason}): is the store whole?") from None


def zarr_arrays(path: Path) -> dict[str, Array]:
    """The arrays at the root of a store; none where there are groups in it, or dimensions with names."""
    root = _root(str(path.absolute()))
    if zarr_labelled(path) is not None:
        return {}
    if _is_array(root):
        return {"values": _array(path, "", root)}
    members = _members(path, root)
    if not all(map(_is_array, members.values())):
        return {}
    return {name: _array(path, name, found) for name, found in members.items() if found.dtype.kind in "biufc"}


def zarr_labelled(path: Path) -> LabelledFile | None:
    """The variables of a store that xarray wrote, or another that names dimensions."""
    from pdesolve.datasets.labelled_files import Labelled, LabelledFile

    root = _root(str(path))
    if _is_array(root):
        return None
    variables: dict[str, Labelled] = {}
    left_out: dict[str, str] = {}
    named = False
    for name, found in _members(path, root).items():
        if not _is_array(found):
            left_out[name] = "is a group, and only what lies at the root is opened"
            continue
        about = dict(found.attrs)
        dims = about.pop("_ARRAY_DIMENSIONS", None) or getattr(found.metadata, "dimension_names", None)
        if found.shape and dims is None:
            left_out[name] = "does not name its dimensions"
            continue
        if found.dtype.kind not in "biufc":
            left_out[name] = "holds no numbers"
            continue
        named |= bool(found.shape)
        fill = getattr(found.metadata, "fill_value", None)
        # zero is what zarr itself fills with, in stores where nothing is missing
        if getattr(found.metadata, "zarr_format", 3) == 2 and fill and found.dtype.kind == "f":
            about.setdefault("_FillValue", float(fill))
        variables[name] = Labelled(_array(path, name, found), tuple(map(str, dims or ())), about)
    return LabelledFile(path, variables, dict(root.attrs), left_out, {}) if named else None


def _array(path: Path, name: str, found: Any) -> Zarr:
    strange = sorted(_codecs(found.metadata.to_dict()) - _CODECS)
    if strange:
        raise InputError(f"{name or 'the array'} of {path} is packed by {', '.join(strange)}, which is not read here")
    pieces = tuple(found.shards or found.chunks)
    check_size(path, f"a piece of {name}", int(np.prod(pieces, dtype=object)) * found.dtype.itemsize, 2**62)
    return Zarr(str(path.absolute()), name, tuple(found.shape), found.dtype.newbyteorder("="), pieces)


def _codecs(node: Any) -> set[str]:
    """The names of all codecs in the description of an array."""
    return {str(name).removeprefix("numcodecs.") for name in _named(node, "codecs", "filters", "compressor")}


def _named(node: Any, *keys: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in keys or key in ("configuration", "index_codecs"):
                for codec in value if isinstance(value, (list, tuple)) else [value]:
                    if isinstance(codec, dict) and key != "configuration":
                        yield str(codec.get("name") or codec.get("id"))
                    elif codec is not None and not isinstance(codec, (dict, str, int, float)):
                        yield str(getattr(codec, "codec_id", type(codec).__name__))
                    yield from _named(codec, *keys)


def _members(path: Path, root: Any) -> dict[str, Any]:
    try:
        return dict(sorted(root.members()))
    except Exception as error:  # descriptions that zarr does not understand
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path} holds an array that zarr does not read ({reason})") from None


def _is_array(root: Any) -> bool:
    return hasattr(root, "shape")


def _member(path: str, name: str) -> Any:
    """An array of a store, kept open until its description changes."""
    folder = Path(path) / name
    about = next((folder / file for file in ("zarr.json", ".zarray") if (folder / file).is_file()), Path(path))

    def find() -> Any:
        root = _root(path)
        try:
            return root[name] if name else root
        except KeyError:
            raise InputError(f"{name} of {path} is gone: it was there when the data set was opened") from None

    return kept(str(about), ("zarr", name), 2**16, find)


def _root(path: str) -> Any:
    try:
        import zarr
        from zarr.storage import ZipStore
    except ImportError:
        raise InputError(f'{path} is a zarr store, which needs zarr: pip install "pdesolve-suite[zarr]"') from None
    try:
        store = path if Path(path).is_dir() else ZipStore(path, mode="r")
        return zarr.open(store, mode="r")
    except (ValueError, KeyError, TypeError, OSError, json.JSONDecodeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path} is no whole zarr store ({reason}): copy or download it again") from None
