"""The tensors of a value, by names: a state dict in a dictionary, a module that was saved whole."""

from __future__ import annotations

from collections.abc import Iterator

from converter.errors import FormatError
from converter.readers.pickle_language import Global
from converter.readers.strict import named
from converter.readers.torch.pickles import HINT, Held, Ordered, Storage, Tensor

MAX_LEVELS = 100
"""A module of twenty levels, in a checkpoint of two, takes 44."""

PARTS = ("_parameters", "_buffers", "_modules")
"""Where nn.Module keeps what its state dict names."""

AGAIN = frozenset({"_flat_weights", "_flat_weight_refs", "_non_persistent_buffers_set"})
"""Attributes of modules that say again what is under its own name."""


def named_tensors(
    value: object, path: str, at: str = ""
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Every tensor of a value, and what is held that is none.

    Args:
        value: What a pickle said.
        path: Of the file, for errors.
        at: What the value is called, if there are several.

    Returns:
        The tensors by their names, with a slash between containers and a dot between modules; and
        in words what else there is, by names likewise.

    Raises:
        FormatError: It is nested without end, or two tensors have one name.
    """
    tensors: dict[str, Tensor] = {}
    held: dict[str, str] = {}
    first: dict[int, str] = {}
    todo: list[tuple[str, object, int]] = [(at, value, 0)]
    while todo:
        name, one, level = todo.pop()
        if level > MAX_LEVELS:
            raise _refused(path, f"it is nested over {MAX_LEVELS} levels deep")
        if isinstance(one, Tensor):
            if name in tensors:
                raise _refused(path, f"two tensors {named(name)}")
            tensors[name] = one
            continue
        if isinstance(one, Storage):
            held[name] = "a storage"
        if isinstance(one, Held) and name and not _is_module(one):
            held[name] = one.name
        if not isinstance(one, dict | list | tuple | Ordered | Held):
            continue
        if id(one) in first:
            if one:
                held[name] = f"the same as {first[id(one)] or 'all'}"
            continue
        first[id(one)] = name
        inside = [(_joined(name, key, mark), what) for key, what, mark in _inside(one)]
        todo += [(key, what, level + 1) for key, what in reversed(inside)]
    return tensors, held


def _is_module(one: Held) -> bool:
    """Whether its tensors are named as those of a state dict."""
    return one.name.startswith("__torch__") or _has_parts(one.state)


def _has_parts(state: object) -> bool:
    return isinstance(state, dict) and all(part in state for part in PARTS)


def _joined(name: str, key: object, mark: str) -> str:
    text = key if isinstance(key, str) else str(key.name if isinstance(key, Global) else key)
    return f"{name}{mark}{text}" if name else text


def _inside(
    one: dict[object, object] | list[object] | tuple[object, ...] | Ordered | Held,
) -> Iterator[tuple[object, object, str]]:
    """What is directly in it: key, value, and the mark between its name and the key."""
    match one:
        case dict():
            yield from ((key, value, "/") for key, value in one.items())
        case Ordered():
            yield from ((key, value, "/") for key, value in one.entries.items())
        case Held():
            yield from ((key, value, "/") for key, value in one.entries)
            yield from _of_state(one.state)
        case _:
            yield from ((key, value, "/") for key, value in enumerate(one))


def _of_state(state: object) -> Iterator[tuple[object, object, str]]:
    """The attributes of an object; a module's parameters, buffers and modules are its own."""
    if isinstance(state, tuple) and len(state) == 2:  # __dict__ and __slots__
        yield from _of_state(state[0])
        yield from _of_state(state[1])
        return
    attributes = state.entries if isinstance(state, Ordered) else state
    if not isinstance(attributes, dict):
        return
    is_module = _has_parts(attributes)
    for part in PARTS if is_module else ():
        inner = attributes[part]
        entries = inner.entries if isinstance(inner, Ordered) else inner
        if isinstance(entries, dict):
            yield from ((key, value, ".") for key, value in entries.items())
    for key, value in attributes.items():
        if key not in AGAIN and not (is_module and key in PARTS):
            yield key, value, "."


def _refused(path: str, context: str) -> FormatError:
    return FormatError(
        f"{path} is not a checkpoint that is read", context=context, hint=HINT, code="checkpoint"
    )
