"""An operator network between named fields: standardised on the way in, in their units on the way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from pdesolve.data.signature import Signature, Slot
from pdesolve.errors import InputError
from pdesolve.nn.interpolation import Interpolation
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces, Places

Predicts = Literal["state", "increment"]
Conditioning = Literal["channels", "apart"]


class FieldOperator(nn.Module):
    """The network N of a signature between fields, each standardised by the moments of the training split:

        û = (u − mean_u) / std_u,   ŷ = N(û, p̂),   y = mean_y + std_y ŷ

    The channels of û are the variables in the order of the signature, of each its frames, of each frame its components.
    predicts: with `increment` a target that is also an input is what is added to its last given frame, y = u + s ŷ
    with s the root mean square of such changes in training, which may be small beside std_y.
    conditioning: parameters of the equation as constant channels behind those of û, or `apart` as the network's own
    argument (sample, parameter).

    The moments are buffers, so that weights never go without them.
    """

    input_mean: Tensor
    input_std: Tensor
    target_mean: Tensor
    target_std: Tensor
    parameter_mean: Tensor
    parameter_std: Tensor

    def __init__(
        self, network: OperatorNetwork, signature: Signature, *, predicts: Predicts = "state",
        conditioning: Conditioning = "channels",
    ) -> None:  # fmt: skip
        super().__init__()
        self.network, self.signature = network, signature
        self.predicts, self.conditioning = predicts, conditioning
        for kind, slots in (("input", signature.inputs), ("target", signature.targets)):
            for what in ("mean", "std"):
                rows = [value for slot in slots for value in getattr(slot, what) * slot.frames]
                if predicts == "increment" and (kind, what) == ("target", "std"):
                    rows = [value for slot in slots for value in (slot.change or slot.std) * slot.frames]
                self.register_buffer(f"{kind}_{what}", torch.tensor(rows, dtype=torch.float32))
        for what in ("mean", "std"):
            rows = [getattr(slot, what)[0] for slot in signature.parameters]
            self.register_buffer(f"parameter_{what}", torch.tensor(rows, dtype=torch.float32))

    @property
    def dtype(self) -> torch.dtype:
        return self.input_mean.dtype

    @property
    def device(self) -> torch.device:
        return self.input_mean.device

    def forward(
        self, inputs: Mapping[str, Tensor], parameters: Mapping[str, Tensor], given: Places, wanted: Places
    ) -> dict[str, Tensor]:
        """Targets {name: (sample, time, component, *wanted.shape)} of inputs {name: (sample, time, component, *space)}.

        parameters: {name: (sample,)}. Inputs that all samples share may have one sample. Where the signature has
        symmetries, predictions (but not training) are means over their motions M, M⁻¹ N(M u).
        """
        symmetries = self.signature.symmetries
        if symmetries is None or self.training or wanted is not given:
            return self.once(inputs, parameters, given, wanted)
        members, motions = self.signature.members, symmetries.motions(len(self.signature.axes))
        sums: dict[str, Tensor] = {}
        for motion in motions:
            moved = symmetries.moved(motion, inputs, self.signature.inputs, members)
            outcome = self.once(moved, parameters, given, wanted)
            image = symmetries.moved(motion.inverse, outcome, self.signature.targets, members)
            sums = {name: sums[name] + values if sums else values for name, values in image.items()}
        return {name: values / len(motions) for name, values in sums.items()}

    def once(
        self, inputs: Mapping[str, Tensor], parameters: Mapping[str, Tensor], given: Places, wanted: Places
    ) -> dict[str, Tensor]:
        """As `forward`, by one pass through the network."""
        x = self.encode(inputs, given)
        samples = max(len(x), *(len(p) for p in parameters.values())) if parameters else len(x)
        x = x.expand(samples, *x.shape[1:])
        p = self.standardised(parameters, samples, x)
        if self.conditioning == "channels" and p.shape[1]:
            x = torch.cat([x, p.reshape(*p.shape, *[1] * len(given.shape)).expand(-1, -1, *given.shape)], 1)
            p = p[:, :0]
        y = self.network(x, p, given, wanted)
        if wanted is not given:
            inputs = self._carried(inputs, given, wanted)
        return self.decode(y, inputs, wanted)

    def _carried(self, inputs: Mapping[str, Tensor], given: Places, wanted: Places) -> Mapping[str, Tensor]:
        """The last frames that increments are added to, at the wanted places."""
        names = {slot.name for slot in self.signature.targets} if self.predicts == "increment" else set()
        moving = [slot.name for slot in self.signature.inputs if slot.moving and slot.name in names]
        if not moving:
            return inputs
        if not isinstance(given, GridPlaces):
            raise InputError("increments at other places need values on a grid: train with predicts=state")
        cubic = Interpolation(given, degree=3)
        carried = {name: cubic.to(inputs[name][:, -1], wanted)[:, None] for name in moving}
        return {**inputs, **carried}

    def encode(self, inputs: Mapping[str, Tensor], given: Places) -> Tensor:
        """The standardised inputs (sample, channel, *space)."""
        signature = self.signature
        rows = []
        samples = max((len(inputs[slot.name]) for slot in signature.inputs), default=1)
        for slot in signature.inputs:
            values = inputs[slot.name]
            flat = values.flatten(1, 2)
            if flat.shape[1] != slot.channels:
                raise InputError(_misfit(slot, values))
            rows.append(flat.expand(samples, -1, *given.shape))
        if not rows:
            return given.columns().new_zeros(1, 0, *given.shape)
        x = torch.cat(rows, 1)
        return (x - _over(self.input_mean, x)) / _over(self.input_std, x)

    def standardised(self, parameters: Mapping[str, Tensor], samples: int, like: Tensor) -> Tensor:
        """The standardised parameters (sample, parameter)."""
        slots = self.signature.parameters
        if not slots:
            return like.new_zeros(samples, 0)
        missing = [slot.name for slot in slots if slot.name not in parameters]
        if missing:
            raise InputError(
                f"the parameter {missing[0]} is missing: it was given in training; give it for each sample"
            )
        p = torch.stack([parameters[slot.name].to(like).expand(samples) for slot in slots], 1)
        return (p - self.parameter_mean) / self.parameter_std

    def decode(self, y: Tensor, inputs: Mapping[str, Tensor], wanted: Places) -> dict[str, Tensor]:
        """The targets in their units, of a network's output (sample, channel, *wanted.shape)."""
        if y.shape[1] != self.signature.target_channels:
            raise ValueError(f"the network gave {y.shape[1]} channels, expected {self.signature.target_channels}")
        increment = self.predicts == "increment"
        given = {slot.name for slot in self.signature.inputs if slot.moving} if increment else set()
        scaled = y * _over(self.target_std, y)
        found, first = {}, 0
        for slot in self.signature.targets:
            part = scaled[:, first : first + slot.channels].unflatten(1, (slot.frames, slot.components))
            mean = self.target_mean[first : first + slot.channels].view(1, slot.frames, slot.components)
            first += slot.channels
            if slot.name in given:
                part = part + inputs[slot.name][:, -1:]
            else:
                part = part + mean.view(*mean.shape, *[1] * len(wanted.shape))
            found[slot.name] = part
        return found

    def encode_targets(self, targets: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        """The output (sample, channel, *space) of a network that would give these targets: `decode` the other way."""
        increment = self.predicts == "increment"
        given = {slot.name for slot in self.signature.inputs if slot.moving} if increment else set()
        rows, first = [], 0
        for slot in self.signature.targets:
            part = targets[slot.name]
            mean = self.target_mean[first : first + slot.channels].view(1, slot.frames, slot.components)
            first += slot.channels
            away = inputs[slot.name][:, -1:] if slot.name in given else mean.view(*mean.shape, *[1] * (part.ndim - 3))
            rows.append((part - away).flatten(1, 2))
        y = torch.cat(rows, 1)
        return y / _over(self.target_std, y)


def _over(values: Tensor, x: Tensor) -> Tensor:
    """One value a channel, over the places of x (sample, channel, *space)."""
    return values.view(1, -1, *[1] * (x.ndim - 2))


def _misfit(slot: Slot, values: Tensor) -> str:
    return (
        f"{slot.name} has {values.shape[1]} frames of {values.shape[2]} components, the surrogate was trained on "
        f"{slot.frames} of {slot.components}: choose data of the same variables, or train on these"
    )
