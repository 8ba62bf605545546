"""Reading formulas: a whitelist walk of Python's syntax tree. Nothing that is written is ever run.

A formula is made of numbers, names, + - * / **, brackets and calls of functions by name. What else Python knows
(attributes, indices, words in quotes, comparisons, lambda, ...) is refused by name, and so are formulas too long, too
deep or with exponents beyond 32, before they can cost anything.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from dataclasses import dataclass

from pdesolve.errors import InputError
from pdesolve.fields.formula import Call, Name, Negative, Node, Number, Operation, Symbol, constant

_LONGEST = 4000  # characters
_DEEPEST = 100  # operations within one another
_BRACKETS = 40  # brackets within one another
_LARGEST = 1e100
_EXPONENT = 32

_SYMBOLS: dict[type[ast.operator], Symbol] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**",
}  # fmt: skip
_ADVICE: dict[type[ast.AST], str] = {
    ast.Attribute: "there is nothing behind a dot: write the name of a function, as in sin(x)",
    ast.Subscript: "there are no indices: write u_x for the component x of a vector u, dx(u) for its derivative",
    ast.Compare: "there are no comparisons: step(x - 1) is 1 where x >= 1 and 0 elsewhere",
    ast.BoolOp: "there is no 'and' or 'or': multiply steps, as in step(x)*step(1 - x)",
    ast.IfExp: "there is no 'if': write a*step(x) + b*(1 - step(x))",
    ast.Lambda: "formulas are no programs: write the expression alone",
    ast.JoinedStr: "there are no words in quotes",
    ast.Tuple: "there are no lists: write one expression",
    ast.List: "there are no lists: write one expression",
    ast.Starred: "there are no lists: write one expression",
}


@dataclass
class _Walk:
    text: str

    def error(self, node: ast.AST, message: str) -> InputError:
        part = ast.get_source_segment(self.text, node) or self.text  # type: ignore[arg-type]
        return InputError(f"{_shortened(part)!r}: {message}")

    def node(self, node: ast.expr, depth: int) -> Node:
        if depth > _DEEPEST:
            raise InputError(
                f"the formula {_shortened(self.text)!r} is nested more than {_DEEPEST} deep: "
                "name parts of it as parameters"
            )
        match node:
            case ast.Constant(value):
                return self.number(node, value)
            case ast.Name(name):
                return Name(name)
            case ast.UnaryOp(ast.USub(), operand):
                return Negative(self.node(operand, depth + 1))
            case ast.UnaryOp(ast.UAdd(), operand):
                return self.node(operand, depth + 1)
            case ast.BinOp(left, operator, right) if type(operator) in _SYMBOLS:
                symbol = _SYMBOLS[type(operator)]
                found = Operation(symbol, self.node(left, depth + 1), self.node(right, depth + 1))
                if symbol == "**":
                    self.check_power(node, found)
                return found
            case ast.BinOp(_, ast.BitXor(), _):
                raise self.error(node, "powers are written with **, as in u**2")
            case ast.Call(ast.Name(name), arguments, []):
                return Call(name, tuple(self.node(argument, depth + 1) for argument in arguments))
            case ast.Call(ast.Name(), _, _):
                raise self.error(node, "arguments have no names: write d(u, x, 2)")
            case ast.Call():
                raise self.error(node, "only a name can be called, as in sin(x)")
        advice = _ADVICE.get(type(node), "a formula has numbers, names, + - * / ** and functions, as in 2*sin(pi*x)")
        raise self.error(node, advice)

    def number(self, node: ast.expr, value: object) -> Node:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            what = "a complex number" if isinstance(value, complex) else "a word in quotes"
            what = f"the word {value}" if isinstance(value, bool) or value is None else what
            raise self.error(node, f"{what} is no part of a formula: write real numbers and names")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if number > _LARGEST:
            raise self.error(node, f"numbers go up to {_LARGEST:g}")
        return Number(number)

    def check_power(self, node: ast.expr, power: Operation) -> None:
        """Exponents are numbers: what they make of values is bounded, and so are the units of the result."""
        exponent = constant(power.right)
        if exponent is None:
            raise self.error(node, "an exponent is a number: write exp(m*log(u)) for a power m of u > 0")
        if abs(exponent) > _EXPONENT:
            raise self.error(node, f"exponents go up to {_EXPONENT}, got {exponent:.6g}")


def parse(text: str) -> Node:
    """The formula of a text. Names and functions are not looked up here.

    Raises:
        InputError: text that is no formula, naming the part and what to write.
    """
    short = _shortened(text)
    if not text.strip():
        raise InputError("a formula is missing: write 0 for nothing")
    if len(text) > _LONGEST:
        raise InputError(f"the formula {short!r} has {len(text)} characters, at most {_LONGEST}: name its parts")
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    # Python's own parser runs out of memory on deep nesting
    if deepest > _BRACKETS or re.search(r"([-+~]\s*){20}|(not\s+){20}|(lambda\W+){5}", text):
        raise InputError(f"the formula {short!r} is nested too deeply: name parts of it as parameters")
    if re.search(r"(?<![<>=!])=(?!=)", text):
        raise InputError(f"{short!r} is an equation, a formula was expected: leave out the = sign")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice for programs
            tree = ast.parse(" ".join(text.split()), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is too deep"
        hint = "within {...} a formula with commas needs quotes" if depth > 0 else "write it as in 2*sin(pi*x)"
        raise InputError(f"cannot read the formula {short!r}: {reason}; {hint}") from None
    return _Walk(" ".join(text.split())).node(tree.body, 0)


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 50 else f"{text[:47]}..."
