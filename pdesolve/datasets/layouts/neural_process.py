"""Tasks of context and target points: the data of ProbConserv."""

from __future__ import annotations

from pathlib import Path

from pdesolve.data.arrays import Array
from pdesolve.data.dataset import COMPONENT, SAMPLE, Dataset, Variable
from pdesolve.datasets.dimensions import arranged, told
from pdesolve.datasets.layout import Layout, Opening
from pdesolve.datasets.torch_files import tensors

_ROLES = ("contexts", "targets")


class NeuralProcess(Layout):
    """A tuple of `input_contexts`, `output_contexts`, `input_targets`, `output_targets` (sample, point, ...) and a
    tensor of parameters (sample, number), by Hansen et al. (2023, arXiv 2302.11002).

    Inputs are the columns t, x of each point, which differ between samples, so that they are variables here:
    `contexts_at`, `contexts`, `targets_at`, `targets`; the parameters are `parameter_0` and so on.
    """

    name = "neural_process"
    containers = ("torch",)

    def refusal(self, path: Path) -> str | None:
        found = tensors(path)
        for role in _ROLES:
            for kind in ("input", "output"):
                array = found.get((0, f"{kind}_{role}"))
                if array is None or len(array.shape) != 3:
                    return f"no {kind}_{role} of three dimensions in the first of a tuple"
        return None

    def open(self, path: Path, opening: Opening) -> Dataset:
        told(self.name, opening)
        found = tensors(path.absolute())
        variables = {}
        for role in _ROLES:
            dim = role.removesuffix("s")
            places, values = found[0, f"input_{role}"], found[0, f"output_{role}"]
            columns = ("t", "x", "y", "z")[: places.shape[2]]
            variables[f"{role}_at"] = arranged(f"{role}_at", places, (SAMPLE, dim, COMPONENT), components=columns)
            variables[role] = arranged(role, values, (SAMPLE, dim, "_" if values.shape[2] == 1 else COMPONENT))
        parameters = {}
        numbers: Array | None = found.get((1,))
        if numbers is not None and len(numbers.shape) == 2 and numbers.shape[0] == variables["contexts"].array.shape[0]:
            from pdesolve.data.arrays import Part

            for i in range(numbers.shape[1]):
                column = Part(numbers, (slice(0, numbers.shape[0]), slice(i, i + 1)), frozenset({1}))
                parameters[f"parameter_{i}"] = Variable(f"parameter_{i}", column, (SAMPLE,))
        return Dataset(variables, {}, parameters, layout=self.name, paths=(path.absolute(),))
