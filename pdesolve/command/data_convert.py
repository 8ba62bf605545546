"""`pdesolve data convert`: simulation data in another layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pdesolve.command.arguments import Parser, only_json, print_json
from pdesolve.errors import InputError

_EPILOG = """layouts to write:
  native     ours: HDF5 that is netCDF-4, holds everything, and that the Well's reader opens
  pdebench   whichever of PDEBench's fits: one array, density and Vx, Darcy flow, or a group for each sample
  the_well   one file (--out NAME.hdf5), or the folders data/train, data/valid, data/test and stats.yaml (--out NAME)

examples:
  pdesolve data convert 2D_diff-react_NA_NA.h5 --to native --out reaction.h5
  pdesolve data convert burgers.h5 --to pdebench --out 1D_Burgers.hdf5
  pdesolve data convert 'runs/*.h5' --to the_well --variables velocity,density --out flow"""


def parser() -> Parser:
    made = Parser("data convert", "Write simulation data of any known layout in another one.", _EPILOG)
    made.add_argument("file", nargs="?", metavar="FILE", help="a file, a folder, or a pattern such as 'runs/*.h5'")
    made.add_argument("-o", "--out", metavar="OUT", help="the file to write, for the_well also a folder")
    made.add_argument("--to", metavar="LAYOUT", default="native", help="native (default), pdebench or the_well")
    made.add_argument("--variables", metavar="A,B", help="these variables, in this order (default: all)")
    made.add_argument("--rename", metavar="OLD=NEW,...", help="other names for variables, parameters and axes")
    made.add_argument("--split", metavar="NAME", help="the samples of this split (default: all)")
    made.add_argument("--dtype", metavar="TYPE", help="float32 or float64 (default: as it is; float32 for others)")
    made.add_argument("--compression", metavar="gzip", help="gzip-4 after a shuffle of bytes (default: none)")
    made.add_argument("--layout", metavar="NAME", help="read it as this layout (default: the one that fits)")
    made.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return made


def run(arguments: Sequence[str]) -> int:
    given = parser().read(arguments)
    if given.file is None or given.out is None:
        raise InputError(
            "data convert needs a file and where to: pdesolve data convert FILE --to the_well --out NAME.hdf5"
        )
    out = Path(given.out)
    if not out.absolute().parent.is_dir():
        raise InputError(f"there is no folder {out.parent}: make it, or give another --out")

    from pdesolve.datasets.conversion import convert
    from pdesolve.datasets.opening import open_dataset

    with only_json(given.json):
        dataset = open_dataset(given.file, layout=given.layout, split=given.split, names=_names(given.rename))
        if given.variables is not None:
            dataset = dataset.select([name.strip() for name in given.variables.split(",")])
        left = convert(dataset, out, given.to, dtype=given.dtype, compression=given.compression)
    if given.json:
        about = {"file": given.file, "layout": dataset.layout, "out": str(out), "to": given.to}
        print_json({**about, "samples": dataset.samples, "variables": list(dataset.variables), "left_out": list(left)})
        return 0
    for line in left:
        print(f"left out: {line}")
    print(f"written: {out} ({dataset.samples} samples of {', '.join(dataset.variables)}, {given.to})")
    print(f"next: pdesolve data info {out}")
    return 0


def _names(text: str | None) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",")] if text else []
    if not all(old and equals and new for old, equals, new in pairs):
        raise InputError(f"--rename takes pairs OLD=NEW with commas between them, got {text!r}")
    return {old.strip(): new.strip() for old, _, new in pairs}
