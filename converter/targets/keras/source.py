"""A model as Keras code: a function that builds it, as one would write it by hand.

Layers are those of the config that a `.keras` file has, with the arguments that are not Keras's
defaults. Masks that Keras passes on by itself are not said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from converter import __version__
from converter.description import Value
from converter.targets.keras.arguments import constructor, index_text, literal, text
from converter.targets.keras.emit import Part, serialized
from converter.targets.keras.graph import LISTS, Item, Result, Use
from converter.targets.keras.names import snake_case
from converter.targets.keras.order import Node
from converter.targets.keras.writing import Written
from converter.targets.torch.layout import COLUMNS, statement
from converter.targets.torch.names import identifier
from converter.targets.torch.source import shape_words

WEIGHTS = "model.weights.h5"

FILE_NAMES = frozenset({"Path", "build", "keras", "layers", "load", "model", "np", "ops", "path"})
"""What the file uses itself."""

LOAD = f'''def load(path: Path = Path(__file__).with_name("{WEIGHTS}")) -> keras.Model:
    """The model with its weights."""
    model = build()
    model.load_weights(path)
    return model
'''

AUTOMATIC = re.compile(r"(input|input_layer|keras_tensor)(_\d+)?|.+_input")
"""Names of inputs that Keras makes."""

STATES = ("h", "c")
BOTH_STATES = {
    2: ("forward_h", "backward_h"),
    4: ("forward_h", "forward_c", "backward_h", "backward_c"),
}
"""Of the two directions, by how many there are."""


def source_text(written: Written) -> str:
    """The Python file, unchanged by `ruff format`; the same for the same model."""
    body = _Source(written).lines()
    code = "\n".join([*body, "", "", LOAD])
    return f"{_header(written)}\n{_imports(code)}\n\n\n{code}"


def _header(written: Written) -> str:
    origin = written.model.source
    name = _plain(Path(origin.path).name or written.model.name)
    title = _plain(written.config["config"]["name"])
    lines = [f'"""{title}, written by ifco {__version__} from {name}.', ""]
    if origin.sha256:
        lines.append(f"Source sha256 {origin.sha256[:16]}.")
    lines += [f"Weights: {WEIGHTS} beside this file. Needs Keras 3 only.", '"""', ""]
    return "\n".join(lines)


def _plain(name: str) -> str:
    """A name from a file inside a docstring: nothing that ends it or escapes from it."""
    shown = "".join(character if character.isprintable() else "?" for character in name)
    return shown.replace("\\", "/").replace('"', "'")[:60]


def _imports(code: str) -> str:
    lines = ["from pathlib import Path", "", "import keras"]
    if "np." in code:
        lines.append("import numpy as np")
    names = [name for name in ("layers", "ops") if f"{name}." in code]
    if names:
        lines.append(f"from keras import {', '.join(names)}")
    return "\n".join(lines)


class _Source:
    """The function `build`, statement by statement."""

    def __init__(self, written: Written) -> None:
        self.written = written
        self.graph = written.graph
        self.results = self.graph.results()
        self.order = list(self._order())
        self.left = Counter(
            one.value.name for node in self.order for one in self._taken(self._use(node))
        )
        self.left.update(one.value.name for one in self.graph.outputs)
        self.variables: dict[str, str] = {}
        self.declared: dict[str, str] = {}
        self.statements: list[tuple[str, str]] = []

    def lines(self) -> list[str]:
        """All of it."""
        inputs = [self._input(value) for value in self.graph.model.inputs]
        for node in self.order:
            self._call(node)
        outputs = [self.variables[one.value.name] for one in self.graph.outputs]
        name = text(self.written.config["config"]["name"])
        made = f"keras.Model({_one(inputs)}, {_one(outputs)}, name={name})"
        self.statements.append(("return", made))
        lines = ["def build() -> keras.Model:", *self._docstring(inputs)]
        for target, value in self.statements:
            lines += _statement(target, value)
        return lines

    def _docstring(self, inputs: Sequence[str]) -> list[str]:
        def words(value: Value) -> str:
            return f"({', '.join(shape_words(value.shape))})"

        given = [
            f"{name} {words(value)}"
            for name, value in zip(inputs, self.graph.model.inputs, strict=True)
        ]
        results = [words(one.value) for one in self.graph.outputs]
        line = f'    """{", ".join(given)} -> {", ".join(results)}."""'
        if len(line) <= COLUMNS:
            return [line]
        parts = [f"        {one}" for one in given], [f"        {one}" for one in results]
        return ['    """From', *parts[0], "    to", *parts[1], '    """']

    # The calls

    def _use(self, node: Node) -> Use:
        name, time = node
        return self.graph.items[name].uses[time]

    def _taken(self, use: Use) -> Iterator[Result]:
        """What is read by a call as it is written here."""
        yield from use.tensors
        yield from use.states
        if use.mask is not None and not use.implied:
            yield use.mask
        for _, several in use.given:
            yield from (one for one in several if one is not None)

    def _order(self) -> Iterator[Node]:
        """Each call after those whose results it reads, and only those that are needed."""
        done = {(value.name, 0) for value in self.graph.model.inputs}
        todo = [(one.node, False) for one in reversed(self.graph.outputs)]
        while todo:
            node, ready = todo.pop()
            if node in done:
                continue
            if ready:
                done.add(node)
                yield node
                continue
            todo.append((node, True))
            todo += [(one.node, False) for one in reversed(list(self._taken(self._use(node))))]

    def _input(self, value: Value) -> str:
        name = self.written.names[value.name]
        shape = literal(tuple(value.shape[1:]))
        given = [shape]
        if value.shape[0] is not None:
            given = [f"batch_shape={literal(tuple(value.shape))}"]
        if value.dtype != "float32":
            given.append(f"dtype={text(value.dtype)}")
        given.append(f"name={text(name)}")
        alone = len(self.graph.model.inputs) == 1
        says_nothing = value.name == "x" or (alone and AUTOMATIC.fullmatch(value.name))
        variable = self._named("inputs" if says_nothing else value.name)
        self.variables[value.name] = variable
        self.statements.append((variable, f"keras.Input({', '.join(given)})"))
        return variable

    def _call(self, node: Node) -> None:
        name, _ = node
        item, use = self.graph.items[name], self._use(node)
        made = self._operation(item, use) if item.part.operation else self._layer(name, item, use)
        self.left.subtract(one.value.name for one in self._taken(use))
        targets = self._targets(node)
        called = f"{made[0]}({made[1]})" if made[1] is not None else made[0]
        line = f"    {', '.join(targets)} = {called}"
        if len(line) > COLUMNS and made[1] is not None and not made[0].isidentifier():
            layer = self._named(f"{name} layer")
            self.declared[name] = layer
            self.statements.append((layer, made[0]))
            called = f"{layer}({made[1]})"
        self.statements.append((", ".join(targets), called))

    def _layer(self, name: str, item: Item, use: Use) -> tuple[str, str]:
        """What makes the layer, or its variable; and what it is called with."""
        part = item.part
        if name not in self.declared:
            config = serialized(
                part,
                self.written.names[name],
                self.graph.dialect,
                trainable=item.trainable,
                policy=item.layer.policy if item.layer else "float32",
            )
            made = constructor(config, len(use.tensors[0].value.shape))
            if len(item.uses) > 1:
                self.declared[name] = self._named(name)
                self.statements.append((self.declared[name], made))
        layer = self.declared.get(name) or made
        tensors = [self.variables[one.value.name] for one in use.tensors]
        given = [f"[{', '.join(tensors)}]"] if part.kind in LISTS else tensors
        given += [f"{flag}=True" for flag in part.call]
        if use.states:
            states = ", ".join(self.variables[one.value.name] for one in use.states)
            given.append(f"initial_state=[{states}]")
        if use.mask is not None and not use.implied:
            given.append(f"mask={self.variables[use.mask.value.name]}")
        for argument, several in use.given:
            masks = ["None" if one is None else self.variables[one.value.name] for one in several]
            shown = f"[{', '.join(masks)}]" if part.kind in LISTS else masks[0]
            given.append(f"{argument}={shown}")
        return layer, ", ".join(given)

    def _operation(self, item: Item, use: Use) -> tuple[str, None]:
        """A function of keras.ops, or an index."""
        part = item.part
        tensors = iter(self.variables[one.value.name] for one in use.tensors)
        operands = use.operands or (None,) * len(use.tensors)
        if part.kind == "GetItem":
            items: Any = operands[1]
            return f"{next(tensors)}[{index_text(items)}]", None
        given = [next(tensors) if one is None else literal(one) for one in operands]
        if part.listed:
            given = [f"[{', '.join(given)}]"]
        settings = dict(part.config)
        if part.kind == "Einsum":
            given.insert(0, text(settings.pop("subscripts")))
        given += [
            f"{key}={literal(value)}"
            for key, value in settings.items()
            if value is not None and not (key in ("keepdims", "sparse") and value is False)
        ]
        return f"ops.{snake_case(part.kind)}({', '.join(given)})", None

    # Variables

    def _targets(self, node: Node) -> list[str]:
        """The variables for the results of a call."""
        name, _ = node
        found = self.results[node]
        count = max(found) + 1
        targets = []
        for number in range(count):
            value = found.get(number)
            if value is None or (count > 1 and not self.left[value.name]):
                targets.append("_")
                continue
            part = self.graph.items[name].part
            own = snake_case(part.kind) if part.operation else name
            if number:
                own = f"{own}_{_state(part, number, count)}"
            variable = self._variable(own) if not number else self._named(own)
            self.variables[value.name] = variable
            targets.append(variable)
        return targets

    def _variable(self, wish: str) -> str:
        """x, where nothing but inputs is still needed, or nobody reads x any more; or a name."""
        held = {
            self.variables[name]
            for name, count in self.left.items()
            if count > 0 and name in self.variables
        }
        inputs = {self.variables[value.name] for value in self.graph.model.inputs}
        was_x = "x" in self.variables.values()
        if "x" not in held | inputs and (was_x or not held - inputs):
            return "x"
        return self._named(wish)

    def _named(self, wish: str) -> str:
        taken = FILE_NAMES | set(self.variables.values()) | set(self.declared.values()) | {"x"}
        return identifier(wish, taken)


def _statement(target: str, value: str) -> list[str]:
    """`target = value`; of several targets that are too long for a line, each on its own."""
    if target == "return":
        return statement(f"return {value}", 4)
    targets = target.split(", ")
    head = value.partition("(")[0]
    if len(targets) > 1 and len(f"    {target} = {head}(") > COLUMNS:
        named = [f"        {one}," for one in targets]
        return ["    (", *named, *statement(f") = {value}", 4)]
    return statement(f"{target} = {value}", 4)


def _state(part: Part, number: int, count: int) -> str:
    """What a result of a layer is called that is not its first: a state, or another output."""
    if part.kind == "Bidirectional":
        several = part.config["merge_mode"] is None
        states = BOTH_STATES.get(count - (2 if several else 1), ())
        place = number - (2 if several else 1)
        return states[place] if 0 <= place < len(states) else str(number + 1)
    return STATES[number - 1] if count <= len(STATES) + 1 else str(number + 1)


def _one(names: Sequence[str]) -> str:
    """A name, or a list of several."""
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"
