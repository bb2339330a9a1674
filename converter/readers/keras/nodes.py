"""Operations outside any layer, as Keras 3 and tf.keras write them into a graph, in one form.

Keras 3    {"module": "keras.src.ops.numpy", "class_name": "Add", "inbound_nodes": [{"args":
           [TENSOR, 2], "kwargs": {}}]}: its settings are in its config, its operands in the call
tf.keras   {"class_name": "TFOpLambda", "config": {"function": "math.add"}, "inbound_nodes":
           [["x", 0, 0, {"y": 2}]]}: all that it is given is in the call

Here either is a layer of kind "ops.Add", with the operands [{"tensor": 0}, 2] in its config.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from converter.errors import ConverterError
from converter.readers.keras.calls import Arguments, Reference, is_tensor, reference
from converter.readers.keras.config import PREFIX, is_registered, malformed
from converter.readers.keras.refused import OPERATION, error
from converter.readers.keras.tf_functions import FUNCTIONS
from converter.readers.strict import shown

CONSTANT = f"{PREFIX}Constant"

MODULES = frozenset(
    {
        "keras.src.activations.activations",
        *(f"keras.src.ops.{part}" for part in ("core", "math", "nn", "numpy")),
    }
)
"""Where Keras 3 has its operations."""

GETITEM = "__operators__.getitem"


@dataclass(frozen=True, slots=True)
class Array:
    """An operand that is an array in the file.

    Attributes:
        value: Nested lists of numbers.
        dtype: "" where the file does not say it: that of the other operand.
    """

    value: object
    dtype: str = ""


@dataclass(slots=True)
class Operands:
    """What an operation is called with.

    Attributes:
        tensors: In order; one that is there twice is twice among them.
        values: The operands, with {"tensor": k} in the place of each tensor.
        settings: What has a name.
    """

    tensors: list[Reference | Array] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def tensor(self, one: Reference | Array) -> dict[str, int]:
        """What stands in the place of a tensor."""
        self.tensors.append(one)
        return {"tensor": len(self.tensors) - 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An operation of a graph.

    Attributes:
        kind: "ops.Add".
        config: Its name, its operands and its settings.
        calls: One, as a rule.
        arrays: The operands that are arrays, under the names that the calls have for them.
    """

    kind: str
    config: dict[str, Any]
    calls: list[Arguments]
    arrays: Mapping[str, Array]


def is_operation(item: object) -> bool:
    """Whether an entry of a config's layers is an operation that may be read."""
    if not isinstance(item, dict) or is_registered(item.get("registered_name")):
        return False
    kind, module = item.get("class_name"), item.get("module")
    return kind in ("TFOpLambda", "SlicingOpLambda") or str(module) in MODULES


def read_operation(item: Mapping[str, Any], name: str, where: str) -> Node:
    """An operation in the form of a layer.

    Args:
        item: As the file has it.
        name: Of it.
        where: It and the file, for an error.

    Raises:
        FormatError: It is not as Keras writes it.
        UnsupportedError: It is none that is read.
    """
    config, nodes = item.get("config"), item.get("inbound_nodes")
    if not isinstance(config, dict) or not isinstance(nodes, list):
        raise malformed(where, item, "a config and inbound_nodes")
    of_keras_3 = item.get("module") in MODULES
    if of_keras_3:
        kind = f"{PREFIX}{item['class_name']}"
        found = [_of_keras_3(node, where) for node in nodes]
        own = {key: value for key, value in config.items() if key != "name"}
    else:
        kind, own = _function(item, where), {}
        found = [_of_tensorflow(config["function"], node, where) for node in nodes]
    if any((one.values, one.settings) != (found[0].values, found[0].settings) for one in found):
        raise refusal(where, "two calls of it with other operands")
    given = found[0] if found else Operands()
    if both := own.keys() & given.settings.keys():
        raise malformed(where, sorted(both), "each setting once")
    arrays: dict[str, Array] = {}
    calls = []
    for one in found:
        references = []
        for tensor in one.tensors:
            if isinstance(tensor, Array):
                place = f"{name}:constant{len(arrays)}"
                arrays[place] = tensor
                tensor = Reference(place, 0, 0)
            references.append(tensor)
        calls.append(Arguments(tuple(references), None, keras_3=of_keras_3))
    return Node(
        kind=kind,
        config={"name": name, **own, **given.settings, "operands": given.values},
        calls=calls,
        arrays=arrays,
    )


def _of_keras_3(node: object, where: str) -> Operands:
    if (
        not isinstance(node, dict)
        or node.keys() != {"args", "kwargs"}
        or not isinstance(node["args"], list)
        or not isinstance(node["kwargs"], dict)
    ):
        raise malformed(f"a call of {where}", node, "args and kwargs")
    found = Operands()
    found.values = [_keras_3_value(one, found, where) for one in node["args"]]
    for key, value in node["kwargs"].items():
        if value is not None:
            found.settings[key] = _keras_3_value(value, found, where)
    return found


def _keras_3_value(value: object, found: Operands, where: str) -> Any:
    """An operand: a number, a tensor, a slice, or a list of them."""
    if isinstance(value, list):
        return [_keras_3_value(one, found, where) for one in value]
    if is_tensor(value):
        config = value["config"] if isinstance(value, dict) else None
        history = config.get("keras_history") if isinstance(config, dict) else None
        return found.tensor(reference(history, f"a call of {where}"))
    if not isinstance(value, dict):
        return value
    kind, config = value.get("class_name"), value.get("config")
    if kind == "__ellipsis__":
        return "..."
    if not isinstance(config, dict):
        raise refusal(where, shown(value))
    if kind == "__tuple__":
        return _keras_3_value(value.get("items"), found, where)
    if kind == "__slice__":
        return {key: config.get(key) for key in ("start", "stop", "step")}
    if kind in ("__numpy__", "__tensor__") and isinstance(config.get("dtype"), str):
        return found.tensor(Array(config.get("value"), config["dtype"]))
    raise refusal(where, shown(value))


def _function(item: Mapping[str, Any], where: str) -> str:
    """The kind of an operation of tf.keras."""
    function = item["config"].get("function")
    if item["class_name"] == "SlicingOpLambda":
        if function != GETITEM:
            raise malformed(f"function of {where}", function, GETITEM)
        return f"{PREFIX}GetItem"
    if not isinstance(function, str) or function not in FUNCTIONS:
        raise refusal(where, f"tf.{function}" if isinstance(function, str) else shown(function))
    return PREFIX + FUNCTIONS[function].kind


def _of_tensorflow(function: str, node: object, where: str) -> Operands:
    """A call: the first argument is in front, each other one beside its name."""
    found = Operands()
    if not isinstance(node, list) or not node:
        raise malformed(f"a call of {where}", node, "[layer, call, output, {}]")
    several = not isinstance(node[0], str)
    entries = node if several else [node]
    if not all(isinstance(one, list) and len(one) == 4 for one in entries):
        raise malformed(f"a call of {where}", node, "[layer, call, output, {}]")
    keywords = entries[0][3]
    if not isinstance(keywords, dict) or any(one[3] != keywords for one in entries):
        raise malformed(f"a call of {where}", keywords, "an object of keywords")
    first = [_first(one, found, where) for one in entries]
    found.values = [first if several else first[0]]
    if function == GETITEM:
        found.values.append(_spec(keywords.get("slice_spec"), where))
        return found
    row = FUNCTIONS[function]
    for key in row.operands:
        if keywords.get(key) is None:
            raise refusal(where, f"tf.{function} without its {key}, which the file has lost")
        found.values.append(_tensorflow_value(keywords[key], found, where))
    for key, value in keywords.items():
        if key in row.operands or key in row.harmless or value is None:
            continue
        found.settings[row.names.get(key, key)] = _tensorflow_value(value, found, where, key)
    found.settings = {**row.settings, **found.settings}
    return found


def _first(entry: list[Any], found: Operands, where: str) -> Any:
    """The first argument: a tensor, or a number or an array."""
    if entry[0] == "_CONSTANT_VALUE":
        return _tensorflow_value(entry[2], found, where)
    return found.tensor(reference(entry[:3], f"a call of {where}"))


def _tensorflow_value(value: Any, found: Operands, where: str, key: str = "") -> Any:
    """A tensor, a number, an array, or a setting (which has a name)."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        return found.tensor(reference(value, f"a call of {where}"))
    if not isinstance(value, list):
        return value
    if any(isinstance(one, str) for one in _elements(value)):
        raise refusal(where, f"{key or 'an operand'} of tensors: {shown(value)}")
    return value if key else found.tensor(Array(value))


def _elements(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for one in value:
            yield from _elements(one)
    else:
        yield value


def _spec(value: object, where: str) -> Any:
    """What is between the brackets of `x[...]`."""
    if isinstance(value, list):
        if value and isinstance(value[0], str):
            raise refusal(where, f"x[...] with a tensor in its brackets: {shown(value)}")
        return [_spec(one, where) for one in value]
    if isinstance(value, dict) and value.get("class_name") == "__ellipsis__":
        return "..."
    return value


def refusal(where: str, found: str) -> ConverterError:
    """The refusal of an operation that is not read."""
    return error(OPERATION, where, found)
