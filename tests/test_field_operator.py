"""The network between named fields, against its definition: channels in order, moments, increments, means of images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pdesolve.data.signature import Signature, Slot
from pdesolve.geometry import Axis, Grid, GridAxis
from pdesolve.nn.field_operator import Conditioning, FieldOperator, Predicts
from pdesolve.nn.operator_network import OperatorNetwork
from pdesolve.nn.places import GridPlaces, Places
from pdesolve.nn.trunk import standardised_walls

U = Slot("u", 2, 1, True, (2.0,), (3.0,), change=(0.5,))
A = Slot("a", 1, 2, False, (1.0, -1.0), (2.0, 4.0))
P = Slot("p", 2, 2, True, (10.0, 20.0), (5.0, 7.0))
NU = Slot("nu", 1, 1, False, (6.0,), (2.0,))
X = Axis("x", 0.0, 2.0)
MEMBERS = (GridAxis(X, "nodes", 9),)
SIGNATURE = Signature((U, A), (U, A, P), (NU,), None, (X,), MEMBERS)
HERE = GridPlaces.of(Grid(MEMBERS))
FINER = GridPlaces.of(Grid((GridAxis(X, "nodes", 21),)))


class Fixed(OperatorNetwork):
    """Channel c is c + 1 at all places; keeps what it was given."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: Tensor, parameters: Tensor, given: Places, wanted: Places) -> Tensor:
        self.x, self.parameters_given = x, parameters
        y = torch.arange(1.0, self.outputs + 1)
        return y.view(1, -1, *[1] * len(wanted.shape)).expand(len(x), self.outputs, *wanted.shape)


def given(count: int = 3) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    draw = torch.Generator().manual_seed(0)
    u, a = torch.randn(count, 2, 1, 9, generator=draw), torch.randn(1, 1, 2, 9, generator=draw)
    return {"u": u, "a": a}, {"nu": torch.arange(count).float()}


def made(predicts: Predicts = "state", conditioning: Conditioning = "channels") -> tuple[FieldOperator, Fixed]:
    network = Fixed(SIGNATURE.target_channels)
    return FieldOperator(network, SIGNATURE, predicts=predicts, conditioning=conditioning), network


@pytest.mark.parametrize("conditioning", ["channels", "apart"])
def test_channels_are_standardised_in_the_order_of_the_signature(conditioning: Conditioning) -> None:
    module, network = made(conditioning=conditioning)
    inputs, parameters = given()
    module(inputs, parameters, HERE, HERE)
    u, a = inputs["u"], inputs["a"].expand(3, -1, -1, -1)
    rows = [(u[:, 0, 0] - 2) / 3, (u[:, 1, 0] - 2) / 3, (a[:, 0, 0] - 1) / 2, (a[:, 0, 1] + 1) / 4]
    p = (parameters["nu"] - 6) / 2
    if conditioning == "channels":
        rows.append(p[:, None].expand(3, 9))
        assert network.parameters_given.shape == (3, 0)
    else:
        torch.testing.assert_close(network.parameters_given, p[:, None])
    torch.testing.assert_close(network.x, torch.stack(rows, 1))


def test_states_come_in_their_units() -> None:
    module, _ = made()
    found = module(*given(), HERE, HERE)
    assert found["u"][1, :, :, 4].tolist() == [[2 + 3 * 1.0], [2 + 3 * 2.0]]
    assert found["a"][1, :, :, 4].tolist() == [[1 + 2 * 3.0, -1 + 4 * 4.0]]
    assert found["p"][1, :, :, 4].tolist() == [[10 + 5 * 5.0, 20 + 7 * 6.0], [10 + 5 * 7.0, 20 + 7 * 8.0]]


def test_increments_are_added_to_the_last_given_frame_of_what_moves() -> None:
    module, _ = made("increment")
    inputs, parameters = given()
    found = module(inputs, parameters, HERE, HERE)
    last = inputs["u"][:, 1:]
    torch.testing.assert_close(found["u"], torch.cat([last + 0.5 * 1.0, last + 0.5 * 2.0], 1))
    assert found["a"][1, :, :, 4].tolist() == [[1 + 2 * 3.0, -1 + 4 * 4.0]], "what does not move is a state"
    assert found["p"][1, 1, :, 4].tolist() == [10 + 5 * 7.0, 20 + 7 * 8.0], "and what is not given"


@pytest.mark.parametrize("predicts", ["state", "increment"])
def test_outputs_of_targets_are_those_that_decode_to_them(predicts: Predicts) -> None:
    module, network = made(predicts)
    inputs, parameters = given()
    found = module(inputs, parameters, HERE, HERE)
    expected = network(network.x, network.parameters_given, HERE, HERE)
    torch.testing.assert_close(module.encode_targets(found, inputs), expected)


def test_increments_at_other_places_are_added_to_cubic_values() -> None:
    module, _ = made("increment")
    inputs, parameters = given()
    inputs["u"] = (HERE.points[0] ** 3).expand(3, 2, 1, 9)
    found = module(inputs, parameters, HERE, FINER)
    expected = (FINER.points[0] ** 3).expand(3, 1, 1, 21)
    torch.testing.assert_close(found["u"], torch.cat([expected + 0.5, expected + 1.0], 1), atol=1e-5, rtol=0)


def test_values_at_walls_are_standardised_as_outputs_are() -> None:
    own: list[Any] = [(1.0 - 1) / 2, (1.0 + 1) / 4, *[(1.0 - 10) / 5, (1.0 - 20) / 7] * 2]
    assert standardised_walls(SIGNATURE, 1.0, increment=False) == pytest.approx([-1 / 3, -1 / 3, *own])
    assert standardised_walls(SIGNATURE, 1.0, increment=True) == pytest.approx([0.0, 0.0, *own])
    assert standardised_walls(SIGNATURE, None, increment=True) is None
