"""`pdesolve plot`: a picture or an animation of a stored solution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pdesolve.command.arguments import Parser, only_json, print_json
from pdesolve.errors import InputError

_EPILOG = """examples:
  pdesolve plot runs/burgers_shock-pinn-1 --animate
  pdesolve plot shock.nc --out shock.pdf"""


def parser() -> Parser:
    made = Parser("plot", "Draw a run folder's solution, or a file that `pdesolve predict` wrote.", _EPILOG)
    made.add_argument("file", nargs="?", metavar="FILE", help="a run folder or a .nc file")
    made.add_argument("--animate", action="store_true", help="a GIF over time instead of a picture")
    made.add_argument(
        "--gaussians", action="store_true", help="a run of pig: its ellipses, their motion with --animate"
    )
    made.add_argument("-o", "--out", metavar="FILE", help=".png, .pdf or .svg, .gif for animations (default: beside)")
    made.add_argument("--json", action="store_true", help="print what was written as one JSON object")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.file is None:
        raise InputError("plot needs a file: pdesolve plot runs/burgers_shock-pinn-1")
    path = Path(given.file)
    known = (".gif",) if given.animate else (".png", ".pdf", ".svg")
    name = "gaussians" if given.gaussians else "solution"
    out = Path(given.out) if given.out is not None else _beside(path, f"{name}{known[0]}")
    if out.suffix not in known:
        what = "an animation" if given.animate else "a picture"
        good = f"{out.stem}{known[0]}"
        raise InputError(f"{what} is written as {' or '.join(known)}, got {out.name!r}: write --out {good}")
    if given.out is not None and not out.parent.is_dir():
        raise InputError(f"there is no folder {out.parent}: make it, or give another --out")

    from pdesolve.labelled import read_dataset
    from pdesolve.plotting import animate, save_figure, solution_figure
    from pdesolve.run_folder import SOLUTION, read_run
    from pdesolve.solving import load, reference_dataset

    with only_json(given.json):
        reference = dataset = None
        if given.gaussians:
            _draw_gaussians(path, out)
        elif path.is_dir():
            if "data" in read_run(path)["config"]:
                raise InputError(
                    f"{path} holds a surrogate: pdesolve eval {path} draws what it predicts, pdesolve predict {path} "
                    "writes a file to plot"
                )
            dataset = read_dataset(path / SOLUTION)
            if not given.animate:
                reference = reference_dataset(load(path, device="cpu"))
        else:
            dataset = read_dataset(path)
        out.parent.mkdir(exist_ok=True)
        if dataset is not None and given.animate:
            animate(dataset, out)
        elif dataset is not None:
            save_figure(solution_figure(dataset, reference), out)
    if given.json:
        print_json({"file": str(path), "out": str(out)})
    else:
        print(f"picture: {out}")
    return 0


def _beside(path: Path, name: str) -> Path:
    return path / "figures" / name if path.is_dir() else path.with_suffix(Path(name).suffix)


def _draw_gaussians(folder: Path, out: Path) -> None:
    from pdesolve.nn import NetworkSolution
    from pdesolve.plotting import ellipses_figure, recorded_motion, save_figure, save_movie
    from pdesolve.run_folder import read_run
    from pdesolve.solving import load

    read_run(folder)
    solution = load(folder, device="cpu")
    if out.suffix == ".gif":
        shown = recorded_motion(solution, folder)
        out.parent.mkdir(exist_ok=True)
        save_movie(shown, out, rate=4)
        return
    figure = ellipses_figure(solution) if isinstance(solution, NetworkSolution) else None
    if figure is None:
        raise InputError(f"{folder} holds no Gaussians over two axes: leave out --gaussians, or solve by --method pig")
    out.parent.mkdir(exist_ok=True)
    save_figure(figure, out)
