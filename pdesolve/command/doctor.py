"""`pdesolve doctor`: what this installation has and what it lacks."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pdesolve import __version__
from pdesolve.cli import BAD_INPUT
from pdesolve.command.arguments import Parser, print_json, print_table

# Distributions and what they are imported as; a test holds both tables against pyproject.toml.
CORE = {
    "torch": "torch", "numpy": "numpy", "scipy": "scipy", "h5py": "h5py", "h5netcdf": "h5netcdf", "xarray": "xarray",
    "matplotlib": "matplotlib", "torchdiffeq": "torchdiffeq", "neuraloperator": "neuralop",
    "safetensors": "safetensors", "jaxtyping": "jaxtyping", "jsonargparse": "jsonargparse", "pyyaml": "yaml",
    "rich": "rich",
}  # fmt: skip
EXTRAS = {
    "mesh": {"meshio": "meshio"},
    "gp": {"gpytorch": "gpytorch"},
    "notebook": {"jupyterlab": "jupyterlab", "ipywidgets": "ipywidgets"},
    "track": {"tensorboard": "tensorboard"},
    "view": {"pyvista": "pyvista"},
    "zarr": {"zarr": "zarr"},
    "onnx": {"onnx": "onnx", "onnxscript": "onnxscript"},
    "netcdf": {"netCDF4": "netCDF4"},
    "spherical": {"torch-harmonics": "torch_harmonics"},
}


def parser() -> Parser:
    made = Parser("doctor", "What this installation has and what it lacks. Exits with 2 where it cannot work.")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    content = examine()
    if given.json:
        print_json(content)
    else:
        _print(content)
    return BAD_INPUT if content["missing"] else 0


def examine() -> dict[str, Any]:
    """Versions, devices, threads, compiler, extras and folders, and the `missing` distributions of the core."""
    versions = {name: _version(name, module) for name, module in CORE.items()}
    missing = [name for name, found in versions.items() if found is None]
    return {
        "pdesolve": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "versions": versions,
        "missing": missing,
        **({} if "torch" in missing else _torch()),
        "compiler": _compiler(),
        "extras": {
            extra: all(importlib.util.find_spec(module) is not None for module in modules.values())
            for extra, modules in EXTRAS.items()
        },
        "cache": None if missing else _cache(),
        "data": _folder(os.environ.get("PDESOLVE_DATA")),
    }


def _version(name: str, module: str) -> str | None:
    if importlib.util.find_spec(module) is None:
        return None
    try:
        return version(name)
    except PackageNotFoundError:
        return "of unknown version"


def _torch() -> dict[str, Any]:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "devices": ["cpu", *(f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(count))],
        "cuda": torch.version.cuda,
        "cores": cores,
        "threads": torch.get_num_threads(),
    }


def _compiler() -> str | None:
    """The C++ compiler that torch.compile would call."""
    names = (os.environ.get("CXX"), "g++", "clang++", "c++", "cl")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def _cache() -> dict[str, Any] | None:
    """Where reference solutions are kept."""
    from pdesolve.cache import folder

    return _folder(str(folder()))


def _folder(path: str | None) -> dict[str, Any] | None:
    if not path:
        return None
    folder = Path(path).expanduser()
    # a folder that is not there yet can be made where its nearest parent can be written
    place = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    return {"path": str(folder), "exists": folder.is_dir(), "writable": os.access(place, os.W_OK)}


def _print(content: dict[str, Any]) -> None:
    compiler = content["compiler"] or "none: everything works, without torch.compile"
    rows = [
        ("pdesolve", content["pdesolve"]),
        ("python", f"{content['python']} at {content['executable']}"),
        *((name, found or f"MISSING: pip install {name}") for name, found in content["versions"].items()),
    ]
    if "devices" in content:
        rows.append(("devices", ", ".join(content["devices"])))
        rows.append(("threads", f"{content['threads']} of torch on {content['cores']} cores; solvers choose their own"))
    rows.append(("C++ compiler", compiler))
    for extra, found in content["extras"].items():
        rows.append((f"extra {extra}", "yes" if found else f"no: pip install 'pdesolve-suite[{extra}]'"))
    cache, data = content["cache"], content["data"]
    rows.append(("cache", cache["path"] + ("" if cache["writable"] else ", NOT WRITABLE") if cache else "none"))
    data_text = data["path"] + ("" if data["exists"] else ", MISSING") if data else "PDESOLVE_DATA is not set"
    rows.append(("test data", data_text))
    print_table(rows)
