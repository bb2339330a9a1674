"""How layers are called: the inbound nodes of Keras 1 and 2, and those of Keras 3.

Keras 2   [["lstm", 0, 0, {"training": false}], ...]           a list for each call
Keras 3   {"args": [{"class_name": "__keras_tensor__", "config": {"keras_history":
["lstm", 0, 0], ...}}], "kwargs": {"mask": null}}    an object for each call
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from converter.errors import UnsupportedError
from converter.readers.keras.config import malformed
from converter.readers.strict import shown


class Reference(NamedTuple):
    """A tensor: an output of a call of a layer, as a config numbers them."""

    layer: str
    call: int
    output: int


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a layer is called with.

    Attributes:
        inputs: In order; those of a recurrent layer that is given its states end with them.
        keys: Their names, sorted, where they are in a dictionary.
        keras_3: The config is in the form of Keras 3, which numbers calls differently.
        masks: The tensors that it is given as masks, for each input; Keras 3 writes down what it
            found. () where there are none.
        true: The other arguments that are true: "use_causal_mask", "return_attention_scores".
    """

    inputs: tuple[Reference, ...]
    keys: tuple[str, ...] | None
    keras_3: bool
    masks: tuple[Reference | None, ...] = ()
    true: frozenset[str] = frozenset()


_RNN = ("initial_state", "mask")
SECOND: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"), _RNN),
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), ("mask",)),
    **dict.fromkeys(("Attention", "AdditiveAttention", "GlobalAveragePooling1D"), ("mask",)),
}
"""What the arguments of `call` behind the first one are called, in Keras 3."""


HEADS = ("MultiHeadAttention", "GroupQueryAttention")
ATTENTION = ("Attention", "AdditiveAttention", *HEADS)
TRUE = ("use_causal_mask", "return_attention_scores")
"""What attention may be told in a call."""

QUERY = ("query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask")
"""What the tensors of `HEADS` are called, in order."""


def calls(nodes: object, where: str, kind: str = "") -> list[Arguments]:
    """Every call of a layer.

    Args:
        nodes: Its `inbound_nodes`.
        where: The layer and the file, for the error.
        kind: Its class, which says what a second argument is.

    Raises:
        FormatError: They are not as Keras writes them.
        UnsupportedError: There is something in them that is not read yet.
    """
    if not isinstance(nodes, list):
        raise malformed(f"inbound_nodes of {where}", nodes, "a list")
    found = []
    for node in nodes:
        if node == []:  # that of an InputLayer, in some files of Keras 2
            continue
        true, rest = _true(node, where) if kind in ATTENTION else (frozenset(), node)
        if kind in HEADS:
            arguments = _call_of_heads(rest, where)
        elif isinstance(node, dict):
            arguments = _call_of_keras_3(rest, where, SECOND.get(kind, ()))
        else:
            arguments = _call_of_keras_2(rest, where)
        found.append(replace(arguments, true=true))
    return found


def _true(node: object, where: str) -> tuple[frozenset[str], Any]:
    """Those of `TRUE` that are, and the node without them."""
    found: set[str] = set()

    def without(keywords: object) -> object:
        if not isinstance(keywords, dict):
            return keywords
        for key in TRUE:
            value = keywords.get(key)
            if value is not None and not isinstance(value, bool):
                raise _unread(where, f"the argument {shown(key)}", value)
            found.update([key] if value else [])
        return {key: value for key, value in keywords.items() if key not in TRUE}

    if isinstance(node, dict):
        rest: Any = {**node, "kwargs": without(node.get("kwargs"))}
    elif isinstance(node, list) and node and isinstance(node[0], str):
        rest = [*node[:3], *map(without, node[3:])]
    elif isinstance(node, list):
        rest = [
            [*one[:3], *map(without, one[3:])] if isinstance(one, list) else one for one in node
        ]
    else:
        rest = node
    return frozenset(found), rest


def _call_of_heads(node: object, where: str) -> Arguments:
    """Query, value and key, which is the value where it is not given; then the attention_mask."""
    keras_3 = isinstance(node, dict)
    if isinstance(node, dict):
        arguments, keywords = node.get("args"), node.get("kwargs")
        if not isinstance(arguments, list) or len(arguments) > len(QUERY):
            raise malformed(f"a call of {where}", node, "args and kwargs")
    else:
        entries = [node] if isinstance(node, list) and node and isinstance(node[0], str) else node
        if not isinstance(entries, list) or len(entries) != 1 or len(entries[0]) not in (3, 4):
            raise malformed(f"a call of {where}", node, "[layer, call, output, {}]")
        (entry,) = entries
        arguments, keywords = [entry[:3]], entry[3] if len(entry) == 4 else {}
    if not isinstance(keywords, dict):
        raise malformed(f"a call of {where}", keywords, "an object of keywords")
    given = {**dict(zip(QUERY, arguments, strict=False)), **keywords}
    tensors = {key: value for key, value in given.items() if key in QUERY and value is not None}
    _check_keywords({key: given[key] for key in given if key not in QUERY}, where)
    found = {
        key: next(_flat(value, where), None) if keras_3 else reference(value, f"a call of {where}")
        for key, value in tensors.items()
    }
    query, value = found.get("query"), found.get("value")
    if query is None or value is None:
        raise malformed(f"a call of {where}", sorted(found), "a query and a value")
    inputs = [query, value, found.get("key") or value]
    if allowed := found.get("attention_mask"):
        inputs.append(allowed)
    masks = tuple(found.get(f"{name}_mask") for name in ("query", "value", "key"))
    return Arguments(tuple(inputs), None, keras_3, masks if any(masks) else ())


def tensors(value: object, what: str) -> tuple[tuple[Reference, ...], tuple[str, ...] | None]:
    """References in a list, in a dictionary or alone, and the keys of the dictionary.

    Args:
        value: `input_layers` or `output_layers` of a model.
        what: Which, for the error.
    """
    if isinstance(value, dict):
        keys = tuple(sorted(value))
        return tuple(reference(value[key], what) for key in keys), keys
    if isinstance(value, list) and value and isinstance(value[0], str):
        return (reference(value, what),), None
    if not isinstance(value, list):
        raise malformed(what, value, "a list")
    found: list[Reference] = []
    for item in value:
        inner, keys_inside = tensors(item, what)
        if keys_inside is not None:
            raise malformed(what, item, "[layer, call, output]")
        found.extend(inner)
    return tuple(found), None


def _call_of_keras_2(node: object, where: str) -> Arguments:
    if not isinstance(node, list):
        raise malformed(f"a call of {where}", node, "a list")
    inputs = []
    masks: tuple[Reference | None, ...] = ()
    for entry in _entries(node):
        if not isinstance(entry, list) or len(entry) not in (3, 4):
            raise malformed(f"a call of {where}", entry, "[layer, call, output, {}]")
        if len(entry) == 4:
            keywords = entry[3]
            mask = keywords.get("mask") if isinstance(keywords, dict) else None
            if isinstance(mask, list) and not _is_nothing(mask):
                each = [mask] if isinstance(mask[0], str) else mask
                masks = tuple(None if one is None else reference(one[:3], where) for one in each)
                keywords = {key: keywords[key] for key in keywords if key != "mask"}
            _check_keywords(keywords, where)
        inputs.append(reference(entry[:3], f"a call of {where}"))
    return Arguments(tuple(inputs), None, keras_3=False, masks=masks)


def _entries(node: list[Any]) -> Iterator[Any]:
    """The tensors of a call; the states of one cell of several are in a list of their own."""
    if node and isinstance(node[0], str):
        yield node
        return
    for number, one in enumerate(node):
        if number and isinstance(one, list) and one and isinstance(one[0], list):
            yield from one
        else:
            yield one


def _call_of_keras_3(node: dict[str, Any], where: str, second: Sequence[str]) -> Arguments:
    arguments, keywords = node.get("args"), node.get("kwargs")
    if node.keys() != {"args", "kwargs"} or not isinstance(arguments, list):
        raise malformed(f"a call of {where}", node, "args and kwargs")
    if not arguments and isinstance(keywords, dict):
        arguments = [keywords[key] for key in ("inputs", "sequences") if key in keywords]
        keywords = {key: keywords[key] for key in keywords if key not in ("inputs", "sequences")}
    if not arguments:
        raise malformed(f"a call of {where}", node, "a tensor")
    for number, extra in enumerate(arguments[1:]):
        if _is_nothing(extra):
            continue
        if number >= len(second) or not isinstance(keywords, dict):
            raise _unread(where, "a second argument", extra)
        keywords = {**keywords, second[number]: extra}
    states: tuple[Reference, ...] = ()
    if isinstance(keywords, dict) and not _is_nothing(keywords.get("initial_state")):
        states = tuple(_flat(keywords["initial_state"], where))
        keywords = {key: keywords[key] for key in keywords if key != "initial_state"}
    masks: tuple[Reference | None, ...] = ()
    if isinstance(keywords, dict) and _holds_tensors(keywords.get("mask")):
        given = keywords["mask"] if isinstance(keywords["mask"], list) else [keywords["mask"]]
        masks = tuple(None if one is None else next(_flat(one, where)) for one in given)
        keywords = {key: keywords[key] for key in keywords if key != "mask"}
    _check_keywords(keywords, where)
    first = arguments[0]
    keys = None
    if isinstance(first, dict) and "class_name" not in first:
        keys = tuple(sorted(first))
        first = [first[key] for key in keys]
    return Arguments((*_flat(first, where), *states), keys, keras_3=True, masks=masks)


def is_tensor(value: object) -> bool:
    """Whether it is one tensor, as Keras 3 writes it."""
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def _holds_tensors(value: object) -> bool:
    """Whether it is a tensor, or a list of tensors and nulls with at least one tensor."""
    if isinstance(value, list):
        return any(map(is_tensor, value)) and all(one is None or is_tensor(one) for one in value)
    return is_tensor(value)


def operands(node: object, where: str) -> tuple[list[Reference], list[object]]:
    """The tensors and the constants that an operation of Keras 3 is given."""
    arguments = node.get("args") if isinstance(node, dict) else None
    if not isinstance(arguments, list):
        raise malformed(f"a call of {where}", node, "args and kwargs")
    flat = [
        one for item in arguments for one in (item if isinstance(item, list) else [item])
    ]  # Concatenate has its tensors in a list
    given = [item for item in flat if is_tensor(item)]
    constants = [item for item in flat if not is_tensor(item)]
    return [one for item in given for one in _flat(item, where)], constants


def _flat(value: object, where: str) -> Iterator[Reference]:
    """The tensors of nested lists."""
    if isinstance(value, list):
        for item in value:
            yield from _flat(item, where)
        return
    if not isinstance(value, dict):
        raise malformed(f"a call of {where}", value, "a tensor")
    if value.get("class_name") == "__tuple__":
        yield from _flat(value.get("items"), where)
        return
    if value.get("class_name") != "__keras_tensor__":
        raise _unread(where, "a constant or an object as its input", value)
    config = value.get("config")
    history = config.get("keras_history") if isinstance(config, dict) else None
    yield reference(history, f"a call of {where}")


def reference(value: object, what: str) -> Reference:
    """A tensor as a config names it.

    Args:
        value: [layer, call, output].
        what: Where it stands, for the error.
    """
    if (
        not isinstance(value, list)
        or len(value) != 3
        or not isinstance(value[0], str)
        or any(type(number) is not int or not 0 <= number < 2**31 for number in value[1:])
    ):
        if isinstance(value, list) and len(value) == 3 and value[0] == "_CONSTANT_VALUE":
            raise _unread(what, "a constant", value[2])
        raise malformed(what, value, "[layer, call, output]")
    return Reference(*value)


def _check_keywords(keywords: object, where: str) -> None:
    """Refuse every keyword that changes what the layer computes."""
    if not isinstance(keywords, dict):
        raise malformed(f"a call of {where}", keywords, "an object of keywords")
    for key, value in keywords.items():
        if _is_nothing(value) or (key == "training" and value is False):
            continue
        match key:
            case "mask":
                raise UnsupportedError(
                    f"{where} is given a mask, which is not read yet",
                    context=f"mask={shown(value)}",
                    hint="save the model without the mask where all sequences have full length",
                    code="mask",
                )
            case "training":
                raise UnsupportedError(
                    f"{where} is called as in training",
                    context=f"training={shown(value)}: its dropout draws anew at every call",
                    hint="build the model without training=True and save it again",
                    code="training",
                )
            case _:
                raise _unread(where, f"the argument {shown(key)}", value)


def _is_nothing(value: object) -> bool:
    """null, or a list of nulls: no mask for any of several inputs."""
    return value is None or (isinstance(value, list) and all(_is_nothing(item) for item in value))


def _unread(where: str, what: str, value: object) -> UnsupportedError:
    return UnsupportedError(
        f"{where} is called with {what}, which is not read",
        context=shown(value),
        hint="call the layer with the tensors alone",
        code="call-argument",
    )
