"""Weights, gradients and the optimiser's memory divided among the processes, in place of a copy of all on each (FSDP2).

    divide(module, device)                    # its weights are this process's parts of them from now on
    optimiser = torch.optim.AdamW(module.parameters())
    keep_divided(optimiser)                   # what it loads, too
    state = whole(module.state_dict())        # of all processes together, as one process has it

Loading takes whole weights, as does an optimiser: checkpoints are those of one process, and any number goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pdesolve.errors import InputError
from pdesolve.training.processes import place, together

_LEAST = 10_000  # numbers in weights that are gathered by themselves: a message of fewer is mostly waiting


def divide(module: nn.Module, device: torch.device) -> None:
    """Divide the weights of a module among all processes, in place.

    Each large element of its module lists is gathered when it is run and let go afterwards; what is left over is
    gathered for a whole pass. Of a weight each process has a part along the first axis whose size their number
    divides; along the first one, some with one entry less, where there is none.

    Raises:
        InputError: weights without axes, or of several types in one layer.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    processes = place()[1]
    mesh = init_device_mesh(device.type, (processes,))
    _check(module)
    for part in (*_parts(module), module):
        fully_shard(part, mesh=mesh, shard_placement_fn=partial(_axis, processes))
    module.register_load_state_dict_pre_hook(_divided_weights)


def keep_divided(optimiser: torch.optim.Optimizer) -> None:
    """Divide what an optimiser of divided weights loads as these are."""
    optimiser.register_load_state_dict_pre_hook(_divided_memory)


def divided(module: nn.Module) -> bool:
    """Whether weights of a module are divided among processes."""
    if not together():
        return False
    from torch.distributed.fsdp import FSDPModule

    return any(isinstance(part, FSDPModule) for part in module.modules())


def let_go(module: nn.Module) -> None:
    """Divide again what a pass without a backward pass has left gathered, if anything."""
    if not together():
        return
    from torch.distributed.fsdp import FSDPModule

    if isinstance(module, FSDPModule):
        module.reshard()


def whole(value: Tensor) -> Tensor:
    """A tensor with the parts of all processes, each of which must ask for it; any other one itself."""
    if not together():
        return value
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value


def own_part(value: Tensor) -> Tensor:
    """The part of a tensor that this process has; of one that is not divided itself."""
    if not together():
        return value
    from torch.distributed.tensor import DTensor

    return value.to_local() if isinstance(value, DTensor) else value


@contextmanager
def undone(objective: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[None]:
    """Steps inside the block leave no trace. The optimiser is one that has taken none before."""
    tensors = [*objective.parameters(), *objective.buffers()]
    before, extra = [tensor.detach().clone() for tensor in tensors], objective.get_extra_state()
    yield
    with torch.no_grad():
        for tensor, kept in zip(tensors, before, strict=True):
            tensor.copy_(kept)
    objective.set_extra_state(extra)
    optimiser.zero_grad(set_to_none=True)
    optimiser.state.clear()


def _parts(module: nn.Module) -> list[nn.Module]:
    """Elements of module lists that are large, inner ones before those that they are in."""
    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList)]
    found = [part for each in lists for part in each if not isinstance(part, nn.ModuleList)]
    large = [part for part in found if sum(p.numel() for p in part.parameters()) >= _LEAST]
    return list(dict.fromkeys(reversed(large)))


def _check(module: nn.Module) -> None:
    types = {p.dtype for p in module.parameters()}
    flat = [name for name, p in module.named_parameters() if p.ndim == 0]
    if len(types) > 1 or any(t.is_complex for t in types) or flat:
        why = f"{flat[0]} is one number" if flat else f"weights are of {', '.join(sorted(map(str, types)))}"
        raise InputError(f"weights are divided that are real, of one type and have axes, {why}: leave sharded at false")


def _axis(processes: int, weight: nn.Parameter) -> Any:
    from torch.distributed.tensor import Shard

    return Shard(next((i for i, size in enumerate(weight.shape) if size and size % processes == 0), 0))


def _part(value: Tensor, like: Any) -> Tensor:
    """This process's part of a whole tensor, divided as another one is."""
    from torch.distributed.tensor import DTensor

    (placement,), mesh = like.placements, like.device_mesh
    pieces, number = value.chunk(mesh.size(), placement.dim), mesh.get_local_rank()
    own = pieces[number] if number < len(pieces) else value.narrow(placement.dim, 0, 0)
    own = own.to(device=like.device, dtype=like.dtype, copy=True)
    return DTensor.from_local(
        own.contiguous(), mesh, like.placements, run_check=False, shape=value.shape, stride=value.stride()
    )


def _divided_weights(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name, weight in module.named_parameters():
        value = state.get(prefix + name)
        if value is not None and value.shape == weight.shape:  # else loading says what does not fit
            state[prefix + name] = _part(value, weight)


def _divided_memory(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]

    def parts(number: int, memory: Mapping[str, Any]) -> dict[str, Any]:
        like = weights[number]
        return {
            name: _part(value, like) if isinstance(value, Tensor) and value.shape == like.shape else value
            for name, value in memory.items()
        }

    return {**state, "state": {number: parts(number, memory) for number, memory in state["state"].items()}}
