"""Which partials of a network's outputs a formula only ever adds up, always in the same proportion.

Where u_t and u_xx enter as κ (u_t - ν u_xx), ν a number and κ the same for both (another one at each point if need be,
as behind a lift u = g + D N), the network has to carry that sum and not its terms. This is read off the expression, so
that it holds at all points: a viscosity that varies in space leaves the terms apart, and so does one that is learned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set

from torch import Tensor

from pdesolve.fields.jet_field import JetField
from pdesolve.fields.multi_index import Channel, Combination, Index, below, binomial, closure, minus, plus
from pdesolve.fields.partials import (
    Asked,
    Chosen,
    Composite,
    Detached,
    Known,
    Operand,
    Partials,
    Product,
    Quotient,
    Sum,
    View,
)

Factors = tuple[tuple[int, Index], ...]  # what varies in a coefficient: D^α of these expressions
Form = dict[tuple[str, Index], dict[Factors, float]]  # of D^α of an output: numbers times factors, to be added


def combined(rows: Iterable[JetField], asked: Mapping[str, Set[Index]]) -> dict[str, frozenset[Channel]]:
    """What rows of a formula want of each output, with sums as one where that makes less to carry.

    asked: what the formula evaluated already, by itself. Evaluating what is no such sum notes there what it asks for.
    """
    forms = [_form(row.view, (0,) * len(row.axes)) for row in rows]
    bent = {name: frozenset(indices) for name, indices in asked.items()}
    columns: dict[str, dict[Index, dict[tuple[int, Factors], float]]] = {name: defaultdict(dict) for name in asked}
    for k, form in enumerate(forms):
        for (name, alpha), coefficient in form.items():
            columns[name][alpha] |= {(k, factors): c for factors, c in coefficient.items()}
    plain: dict[str, frozenset[Channel]] = {name: bent[name] | columns[name].keys() for name in asked}
    summed = {name: _summed(columns[name], bent[name]) for name in asked}
    counts = [len(closure(frozenset[Channel]().union(*wanted.values()))) for wanted in (summed, plain)]
    return summed if counts[0] < counts[1] else plain


def _summed(columns: Mapping[Index, Mapping[tuple[int, Factors], float]], bent: Set[Index]) -> frozenset[Channel]:
    """The partials of one output, with the most of them that stand in one proportion as one sum.

    columns: the coefficients of each in all rows. bent: what is needed by itself.
    """
    wanted = frozenset(columns) | bent
    groups: defaultdict[frozenset[tuple[tuple[int, Factors], float]], dict[Index, float]] = defaultdict(dict)
    for alpha, column in columns.items():
        first = column[min(column)]
        # rounded: products of the same numbers in another order
        ratios = frozenset((place, round(c / first, 12)) for place, c in column.items()) if first else frozenset()
        if ratios and alpha not in bent:
            groups[ratios][alpha] = first
    best: dict[Index, float] = {}
    for group in groups.values():
        lower = (beta for alpha in group for beta in below(alpha)[:-1])
        needed = closure(wanted.difference(group).union(lower))
        best = max(best, {alpha: c for alpha, c in sorted(group.items()) if alpha not in needed}, key=len)
    if len(best) < 2:
        return frozenset(wanted)
    unit = next(iter(best.values()))
    return wanted.difference(best) | {Combination(tuple((alpha, c / unit) for alpha, c in best.items()))}


def _form(operand: Operand, index: Index) -> Form:
    """D^index of an expression, without what does not depend on a network."""
    if not _moves(operand) or not isinstance(operand, View):
        return {}
    partials, index = operand.partials, plus(operand.index, index)
    if isinstance(partials, Asked):
        return {(partials.name, index): {(): 1.0}}
    if isinstance(partials, Sum):
        return _added((1.0, _form(partials.a, index)), (partials.sign, _form(partials.b, index)))
    if isinstance(partials, Product):
        fixed, moving = (partials.b, partials.a) if _moves(partials.a) else (partials.a, partials.b)
        number = _number(fixed)
        if number is not None:
            return _added((number, _form(moving, index)))
        if isinstance(fixed, View) and not _moves(fixed):
            return _added(*(
                (float(binomial(index, beta)), _times(_form(moving, minus(index, beta)), fixed, beta))
                for beta in below(index)
            ))  # fmt: skip
    if isinstance(partials, Quotient) and (number := _number(partials.b)):
        return _added((1.0 / number, _form(partials.a, index)))
    _ = partials[index]
    return {}


def _moves(operand: Operand) -> bool:
    """Whether it changes in training: by a network's outputs, or by itself."""
    if not isinstance(operand, View):
        return isinstance(operand, Tensor) and operand.requires_grad
    partials: Partials = operand.partials
    if partials.free or isinstance(partials, Detached):
        return False
    if isinstance(partials, Known):
        return partials.values.requires_grad
    if isinstance(partials, Sum | Product | Quotient | Chosen):
        return _moves(partials.a) or _moves(partials.b)
    return not isinstance(partials, Composite) or _moves(partials.u)


def _number(operand: Operand) -> float | None:
    """Its value where that is one fixed number for all points."""
    if isinstance(operand, Tensor):
        return float(operand.detach()) if operand.numel() == 1 and not operand.requires_grad else None
    return None if isinstance(operand, View) else operand


def _added(*parts: tuple[float, Form]) -> Form:
    total: Form = {}
    for factor, form in parts:
        for key, coefficient in form.items():
            held = total.setdefault(key, {})
            for factors, c in coefficient.items():
                held[factors] = held.get(factors, 0.0) + factor * c
    return total


def _times(form: Form, fixed: View, index: Index) -> Form:
    """A form times D^index of something that varies in space."""
    source = fixed.partials.partials if isinstance(fixed.partials, Detached) else fixed.partials
    mark = (id(source), plus(fixed.index, index))
    return {
        key: {tuple(sorted((*factors, mark))): c for factors, c in coefficient.items()}
        for key, coefficient in form.items()
    }
