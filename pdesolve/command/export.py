"""`pdesolve export`: a trained surrogate as one file that runs without pdesolve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pdesolve.command.arguments import Parser, numbers, only_json, print_json
from pdesolve.errors import InputError

_EPILOG = """sizes are fixed, for coordinates and transforms of the grid are part of the file: export once for each size

examples:
  pdesolve export runs/darcy-fno-1 --grid 64,64 -o darcy.pt2
  pdesolve export runs/darcy-unet-1 --grid 64,64 --batch 8 --format onnx -o darcy.onnx

in Python, without pdesolve:
  step = torch.export.load("darcy.pt2").module()
  pressure, = step(permeability)        (sample, time, component, *space), in their own units"""


def parser() -> Parser:
    made = Parser("export", "Write one step of a surrogate as one file, load it again and compare.", _EPILOG)
    made.add_argument("run", nargs="?", metavar="RUN", help="a run folder that `pdesolve train` wrote")
    made.add_argument("--grid", metavar="64,64", help="points along each axis of space (default: as trained)")
    made.add_argument("--batch", metavar="N", default="1", help="samples of a call (default: 1)")
    made.add_argument("--format", metavar="NAME", default="pt2", help="pt2 (torch.export) or onnx (default: pt2)")
    made.add_argument("--dynamic", action="store_true", help="refused: sizes are fixed")
    made.add_argument("-o", "--out", metavar="FILE", help="where to (default: surrogate.pt2 or .onnx in RUN)")
    made.add_argument("--device", metavar="VALUE", default="cpu", help="cpu, cuda or cuda:1, where the file will run")
    made.add_argument("--json", action="store_true", help="print what was written as one JSON object")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.run is None:
        raise InputError("export needs a run folder: pdesolve export runs/darcy-fno-1 --grid 64,64 -o darcy.pt2")
    if given.dynamic:
        raise InputError("sizes of an export are fixed, Fourier transforms need them: leave out --dynamic, give --grid")
    sizes = None if given.grid is None else numbers(given.grid, int, "--grid")
    batch = numbers(given.batch, int, "--batch")[0]
    out = Path(given.out) if given.out is not None else Path(given.run) / f"surrogate.{given.format}"

    from pdesolve.learning import load_surrogate
    from pdesolve.surrogates.exporting import export

    with only_json(given.json):
        surrogate = load_surrogate(given.run, device=given.device)
        made = export(surrogate, out, grid=sizes, batch=batch, format=given.format)
    if given.json:
        print_json({
            "run": str(given.run), "out": str(made.path), "format": given.format, "inputs": made.inputs,
            "outputs": made.outputs, "difference": made.difference,
        })  # fmt: skip
    else:
        for kind, shapes in (("input", made.inputs), ("output", made.outputs)):
            for name, shape in shapes.items():
                print(f"{kind} {name} {tuple(shape)}")
        print(f"loaded again, it differs from the surrogate by {made.difference:.1e} of the largest value")
        print(f"written: {made.path}")
    return 0
