"""What is written below a model's fields, read from the source: only where a schema is made, since it takes a while."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise


def field_descriptions(model: type) -> dict[str, str]:
    """Return the docstrings of a class's fields by their names, those of the classes that it inherits from included."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if "__annotations__" in vars(each) and each.__module__.startswith(f"{__name__.partition('.')[0]}."):
            found |= _own(each)
    return found


def _own(model: type) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    if not isinstance(definition, ast.ClassDef):
        raise TypeError(f"the source of {model.__name__} is no class")
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
