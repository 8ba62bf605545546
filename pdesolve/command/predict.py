"""`pdesolve predict`: a stored solution at other points and times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pdesolve.command.arguments import Parser, numbers, only_json, print_json
from pdesolve.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

_EPILOG = """examples:
  pdesolve predict runs/burgers_shock-pinn-1 --grid 200 --times 0,0.5,1 --out shock.nc
  pdesolve predict runs/burgers_shock-pinn-1 --points points.csv --out values.csv"""


def parser() -> Parser:
    made = Parser("predict", "Evaluate the solution of a run folder on a grid or at scattered points.", _EPILOG)
    made.add_argument("run", nargs="?", metavar="RUN", help="a run folder that `pdesolve solve` wrote")
    made.add_argument("--grid", metavar="200,200", help="points along each axis of space (default: as it was judged)")
    made.add_argument("--times", metavar="0,0.5,1", help="times of the grid (default: as it was judged)")
    made.add_argument("--points", metavar="FILE", help="CSV file whose header names the axes, a point a row")
    made.add_argument("-o", "--out", metavar="FILE", help="where to: .nc, or .csv (default: prediction.nc in RUN)")
    made.add_argument("--device", metavar="VALUE", default="auto", help="auto, cpu, cuda or cuda:1")
    made.add_argument("--threads", metavar="VALUE", help="CPU threads (default: one)")
    made.add_argument("--json", action="store_true", help="print what was written as one JSON object")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.help:
        parser().print_help()
        return 0
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
    if given.json:
        variables = {
            str(name): {"shape": list(v.shape), "min": float(v.min()), "max": float(v.max())}
            for name, v in found.data_vars.items()
        }
        print_json({"run": str(given.run), "problem": solution.problem.name, "out": str(out), "variables": variables})
    else:
        for name, values in found.data_vars.items():
            sizes_text = ", ".join(f"{dim} {size}" for dim, size in values.sizes.items())
            print(f"{name} on {sizes_text}: from {float(values.min()):.6g} to {float(values.max()):.6g}")
        print(f"written: {out}")
        if out.suffix == ".nc" and given.points is None:
            print(f"next: pdesolve plot {out}")
    return 0


def _write_csv(found: xr.Dataset, out: Path) -> None:
    """One row a place: the coordinates, then the unknowns, in full precision."""
    from pdesolve.training.run import write_aside

    columns = [str(name) for name in (*found.coords, *found.data_vars)]
    write_aside(out, found.to_dataframe().reset_index().to_csv(columns=columns, index=False, float_format="%.17g"))
