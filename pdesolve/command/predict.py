"""`pdesolve predict`: a stored solution at other points and times, or what a surrogate says of data."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdesolve.command.arguments import Parser, number, numbers, only_json, print_json
from pdesolve.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

_EPILOG = """examples:
  pdesolve predict runs/burgers_shock-pinn-1 --grid 200 --times 0,0.5,1 --out shock.nc
  pdesolve predict runs/burgers_shock-pinn-1 --points points.csv --out values.csv
  pdesolve predict runs/flow-fno-1 --data flow.h5 --samples 0,1 --steps 20 --out rollout.nc
  pdesolve predict runs/darcy-fno-1 --data darcy.h5 --split test --grid 128,128 --out fine.nc
  pdesolve predict runs/darcy-fno-1 --data darcy.h5 --samples 0,1 --finetune 20 --out solved.nc"""


def parser() -> Parser:
    made = Parser("predict", "Evaluate the solution or the surrogate of a run folder.", _EPILOG)
    made.add_argument("run", nargs="?", metavar="RUN", help="a run folder that `pdesolve solve` or `train` wrote")
    made.add_argument("--grid", metavar="200,200", help="points along each axis of space (default: as it was judged)")
    made.add_argument("--times", metavar="0,0.5,1", help="times of the grid (default: as it was judged)")
    made.add_argument("--points", metavar="FILE", help="CSV file whose header names the axes, a point a row")
    surrogates = made.add_argument_group("of surrogates")
    surrogates.add_argument("--data", metavar="FILE", help="whose inputs to take (default: what it was judged by)")
    surrogates.add_argument("--split", metavar="NAME", help="of these data (default: all samples)")
    surrogates.add_argument("--samples", metavar="0,1,2", help="numbers of samples (default: all)")
    surrogates.add_argument("--steps", metavar="N", help="of a rollout (default: one prediction)")
    surrogates.add_argument(
        "--on-divergence", metavar="WORD", help="of a rollout: stop (default), raise or keep; see Surrogate.rollout"
    )
    tuning = made.add_argument_group("fine-tuning of surrogates by the equation that the data obey, in float64")
    tuning.add_argument("--finetune", metavar="N", help="steps of least squares at most (20)")
    tuning.add_argument("--tolerance", metavar="VALUE", help="relative error that is good enough (default: 1e-6)")
    tuning.add_argument("--problem", metavar="NAME", help="whose solutions the data are (default: what they name)")
    made.add_argument("-o", "--out", metavar="FILE", help="where to: .nc, or .csv (default: prediction.nc in RUN)")
    made.add_argument("--device", metavar="VALUE", default="auto", help="auto, cpu, cuda or cuda:1")
    made.add_argument("--threads", metavar="VALUE", help="CPU threads (default: one)")
    made.add_argument("--json", action="store_true", help="print what was written as one JSON object")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.run is None:
        raise InputError("predict needs a run folder: pdesolve predict runs/burgers_shock-pinn-1 --grid 200")
    if given.points is not None and (given.grid is not None or given.times is not None):
        raise InputError("--points has its own places and times: leave out --grid and --times")
    out = Path(given.out) if given.out is not None else Path(given.run) / "prediction.nc"
    if out.suffix not in (".nc", ".csv"):
        raise InputError(f"a prediction is written as .nc or .csv, got {out.name!r}: write --out prediction.nc")
    if given.out is not None and not out.parent.is_dir():
        raise InputError(f"there is no folder {out.parent}: make it, or give another --out")
    sizes = None if given.grid is None else numbers(given.grid, int, "--grid")
    times = None if given.times is None else numbers(given.times, float, "--times")
    if sizes is not None and min(sizes) < 2:
        raise InputError(f"--grid needs at least 2 points along each axis, got {given.grid}")
    count = numbers(given.threads or "1", int, "--threads")[0]

    from pdesolve.run_folder import read_run

    if "data" in read_run(Path(given.run))["config"]:
        return _surrogate(given, out, sizes, count)
    for option in ("data", "split", "samples", "steps", "on_divergence", "finetune", "tolerance", "problem"):
        if getattr(given, option) is not None:
            raise InputError(
                f"--{option.replace('_', '-')} is for surrogates, {given.run} holds a solution: leave it out"
            )

    from pdesolve.labelled import write_dataset
    from pdesolve.predicting import predict_at_points, predict_on_grid, read_points
    from pdesolve.solving import load
    from pdesolve.training.devices import threads

    with only_json(given.json), threads(count):
        solution = load(given.run, device=given.device)
        if given.points is not None:
            found = predict_at_points(solution, read_points(Path(given.points), solution.problem.axes))
        else:
            found = predict_on_grid(solution, sizes, times)
        if out.suffix == ".csv":
            _write_csv(found, out)
        else:
            write_dataset(found, out)
    _tell(given, found, out, {"run": str(given.run), "problem": solution.problem.name})
    return 0


def _surrogate(given: argparse.Namespace, out: Path, sizes: list[int] | None, count: int) -> int:
    """Predictions of a surrogate; samples that diverge are told in a line."""
    if given.times is not None:
        raise InputError("--times is for solutions: a surrogate goes on step by step, write --steps N")
    if given.points is not None and Path(given.points).suffix != ".csv":
        raise InputError(f"--points takes a CSV file whose header names the axes, got {given.points}")
    steps = number(given.steps, int, "--steps")
    if steps is not None and steps < 1:
        raise InputError(f"a rollout takes at least one step, got --steps {steps}")
    if steps is None and given.on_divergence is not None:
        raise InputError("--on-divergence is of rollouts: write --steps N too")
    if given.finetune is not None:
        return _finetuned(given, out, steps or 0, count)
    for option in ("tolerance", "problem"):
        if getattr(given, option) is not None:
            raise InputError(f"--{option} is of fine-tuning: write --finetune N too")
    samples = None if given.samples is None else numbers(given.samples, int, "--samples")

    from pdesolve.datasets.prediction import predict
    from pdesolve.geometry import Axes
    from pdesolve.labelled import write_dataset
    from pdesolve.learning import load_surrogate
    from pdesolve.predicting import read_points
    from pdesolve.training.devices import threads

    with only_json(given.json), threads(count):
        points = None
        if given.points is not None:
            axes = load_surrogate(given.run, device="cpu").signature.axes
            points = read_points(Path(given.points), Axes(axes))
        found = predict(
            given.run, given.data and given.data.split(","), split=given.split, samples=samples, steps=steps or 0,
            on_divergence=given.on_divergence or "stop", grid=None if sizes is None else tuple(sizes), points=points,
            device=given.device,
        )  # fmt: skip
        if out.suffix == ".csv":
            _write_csv(found.dataset, out)
        else:
            write_dataset(found.dataset, out)
    diverged = found.diverged.nonzero()[0].tolist()
    about = {"run": str(given.run), "method": found.dataset.attrs["method"]}
    _tell(given, found.dataset, out, {**about, "diverged": {str(i): int(found.diverged[i]) for i in diverged}})
    if diverged:
        first = diverged[0]
        print(
            f"pdesolve: {len(diverged)} of {len(found.diverged)} samples diverged, sample {first} at step "
            f"{found.diverged[first]} of {steps}: train on longer rollouts (training.unroll), or take stable_fno",
            file=sys.stderr,
        )
    return 0


def _finetuned(given: argparse.Namespace, out: Path, steps: int, count: int) -> int:
    """Predictions that are made to obey the equation, and how far they were from that."""
    for option in ("grid", "points", "on_divergence"):
        if getattr(given, option) is not None:
            raise InputError(
                f"fine-tuning works on the grid of the data: leave out --{option.replace('_', '-')}, and write "
                "--data with data on the grid you want"
            )
    iterations, tolerance = number(given.finetune, int, "--finetune"), number(given.tolerance, float, "--tolerance")
    samples = None if given.samples is None else numbers(given.samples, int, "--samples")

    from pdesolve.datasets.finetuning import finetuned
    from pdesolve.labelled import write_dataset
    from pdesolve.training.devices import threads

    with only_json(given.json), threads(count):
        found = finetuned(
            given.run, given.data and given.data.split(","), split=given.split, samples=samples, steps=steps,
            problem=given.problem, iterations=20 if iterations is None else iterations,
            tolerance=1e-6 if tolerance is None else tolerance, device=given.device,
        )  # fmt: skip
        if out.suffix == ".csv":
            _write_csv(found.dataset, out)
        else:
            write_dataset(found.dataset, out)
    if not given.json:
        print(found.table())
    _tell(given, found.dataset, out, {"run": str(given.run), "method": found.dataset.attrs["method"], **found.json()})
    return 0


def _tell(given: argparse.Namespace, found: xr.Dataset, out: Path, about: Mapping[str, Any]) -> None:
    if given.json:
        variables = {
            str(name): {"shape": list(v.shape), "min": _finite(v.min()), "max": _finite(v.max())}
            for name, v in found.data_vars.items()
        }
        print_json({**about, "out": str(out), "variables": variables})
    else:
        for name, values in found.data_vars.items():
            if not values.ndim:
                continue
            sizes_text = ", ".join(f"{dim} {size}" for dim, size in values.sizes.items())
            print(f"{name} on {sizes_text}: from {float(values.min()):.6g} to {float(values.max()):.6g}")
        print(f"written: {out}")
        if out.suffix == ".nc" and given.points is None:
            print(f"next: pdesolve plot {out}")


def _finite(value: xr.DataArray) -> float | None:
    """None where there is no number at all: samples that diverged at once."""
    return float(value) if math.isfinite(float(value)) else None


def _write_csv(found: xr.Dataset, out: Path) -> None:
    """One row a place: the number of the sample, coordinates, then the unknowns, in full precision."""
    from pdesolve.training.run import write_aside

    own = [name for name in ("sample",) if name in found.dims and name not in found.coords]
    columns = [*own, *(str(name) for name in (*found.coords, *found.data_vars))]
    table = found.to_dataframe().reset_index()
    table = table.dropna(subset=[str(name) for name in found.coords])  # places that samples with fewer lack
    write_aside(out, table.to_csv(columns=columns, index=False, float_format="%.17g"))
