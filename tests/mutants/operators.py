"""
Small changes to a program, one at a time: what a slip of the hand would make of it.

Texts are left alone, and so are annotations and decorators: what a message says is the goldens' business.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_RECKONED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_CALLED = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """
    Attributes:
        number: within its file; the same as long as the file is the same.
        what: the change in words, such as `< becomes <=`.
    """

    number: int
    line: int
    what: str


def mutants_of(text: str) -> tuple[Mutant, ...]:
    """All that can be made of a file, in its order."""
    return tuple(
        Mutant(number=number, line=line, what=what) for number, (line, what, _) in enumerate(_changes(ast.parse(text)))
    )


def mutated(text: str, number: int) -> ast.Module:
    """The file with one of them in it."""
    tree = ast.parse(text)
    for at, (_, _, change) in enumerate(_changes(tree)):
        if at == number:
            change()
            return ast.fix_missing_locations(tree)
    raise IndexError(number)


def _changes(tree: ast.Module) -> Iterator[tuple[int, str, Callable[[], None]]]:
    """Line, words, and what makes the change in the tree."""
    for node in _within(tree):
        for what, change in _of(node):
            yield getattr(node, "lineno", 0), what, change


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """What runs; not what only says which types there are, nor the texts."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, ast.JoinedStr | ast.Import | ast.ImportFrom) or not isinstance(inner, ast.AST):
                continue
            if isinstance(inner, ast.If) and ast.unparse(inner.test) == "TYPE_CHECKING":
                continue
            if isinstance(node, ast.MatchValue) or (isinstance(node, ast.Raise) and name != "cause"):
                continue
            yield from _within(inner)


def _of(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    match node:
        case ast.Compare():
            for i, op in enumerate(node.ops):
                other = _COMPARED[type(op)]
                yield f"{type(op).__name__} becomes {other.__name__}", _put(node.ops, i, other())
        case ast.BinOp() if type(node.op) in _RECKONED and not _is_text(node):
            other_op = _RECKONED[type(node.op)]
            yield f"{type(node.op).__name__} becomes {other_op.__name__}", _set(node, "op", other_op())
        case ast.AugAssign() if type(node.op) in _RECKONED:
            other_op = _RECKONED[type(node.op)]
            yield f"{type(node.op).__name__}= becomes {other_op.__name__}=", _set(node, "op", other_op())
        case ast.BoolOp():
            swapped = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield f"{type(node.op).__name__} becomes {type(swapped).__name__}", _set(node, "op", swapped)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield f"without {type(node.op).__name__}", _become(node, node.operand)
        case ast.Constant(value=bool()):
            yield f"{node.value} becomes {not node.value}", _set(node, "value", not node.value)
        case ast.Constant(value=int() | float()):
            yield f"{node.value} becomes {node.value + 1}", _set(node, "value", node.value + 1)
        case ast.If() | ast.IfExp() | ast.While():
            negated = ast.UnaryOp(op=ast.Not(), operand=copy.deepcopy(node.test))
            yield f"{type(node).__name__} is turned round", _set(node, "test", negated)
        case ast.Return(value=ast.AST()) if not _is_none(node.value):
            yield "returns None", _set(node, "value", ast.Constant(value=None))
        case ast.Call(func=ast.Name(id=name)) if name in _CALLED:
            yield f"{name} becomes {_CALLED[name]}", _set(node.func, "id", _CALLED[name])
        case ast.Call(func=ast.Attribute(attr=name)) if name in _CALLED:
            yield f"{name} becomes {_CALLED[name]}", _set(node.func, "attr", _CALLED[name])
        case ast.Break():
            yield "break becomes continue", _become(node, ast.Continue())
        case ast.Continue():
            yield "continue becomes break", _become(node, ast.Break())
        case ast.Raise():
            yield "does not raise", _become(node, ast.Pass())
        case ast.Expr(value=ast.Call()):
            yield "is not called", _become(node, ast.Pass())
        case _:
            pass


def _is_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(
        isinstance(s, ast.JoinedStr) or (isinstance(s, ast.Constant) and isinstance(s.value, str)) for s in sides
    )


def _is_none(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _set(node: ast.AST, name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(node, name, value)


def _put(held: list[ast.cmpop], i: int, value: ast.cmpop) -> Callable[[], None]:
    return lambda: held.__setitem__(i, value)


def _become(node: ast.AST, other: ast.AST) -> Callable[[], None]:
    def change() -> None:
        vars(node).pop("ctx", None)
        node.__class__ = other.__class__
        vars(node).update({k: v for k, v in vars(other).items() if k not in ("lineno", "col_offset")})

    return change
