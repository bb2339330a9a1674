"""The file that is being written: modules, the lines of forward, and what each tensor holds.

A handler of a layer declares its module, takes the text of its inputs and gives the text of its
outputs. Cheap steps (a dropout, a slice, an activation) are not statements of their own: their
text is held, and stands inside the statement of the next layer, as one writes it by hand.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from converter.activations import Activation
from converter.description import Call, Constant, Layer, Model, Value, Weight
from converter.description.model import Shape
from converter.dtypes import HALVES
from converter.gates import AS_IS, Array, Form
from converter.targets.placement import Placement
from converter.targets.torch.layout import COLUMNS, statement
from converter.targets.torch.names import (
    FILE_NAMES,
    LONGEST_VARIABLE,
    MODULE_ATTRIBUTES,
    identifier,
)

TO = {
    "float16": ".half()",
    "bfloat16": ".bfloat16()",
    "float32": ".float()",
    "float64": ".double()",
}
"""What makes a tensor or a module one of that dtype."""

RESET = "reset_states"
"""The method of a model that keeps states."""

MOVED = ".movedim(2, -1)"
"""From (batch, time, channels, ...) to where the model has the channels of a sequence of images."""

DEEPEST = 2
"""How many modules an expression may hold before it becomes a statement."""


@dataclass(frozen=True, slots=True)
class Held:
    """The text of a value, and in which arrangement it gives it.

    Attributes:
        text: An expression; one that can be followed by a dot, unless `compound`.
        channels_first: Its channels are axis 1, where the model has them last.
        steps: Batch and time are one axis; the text of the number of steps. "" otherwise.
        modules: How many modules the text calls.
        compound: It needs brackets before a dot or beside an operator.
    """

    text: str
    channels_first: bool = False
    steps: str = ""
    modules: int = 0
    compound: bool = False

    @property
    def atom(self) -> str:
        """The text, with brackets if it needs them."""
        return f"({self.text})" if self.compound else self.text


@dataclass(slots=True)
class Source:
    """What handlers write into; one for each generated file."""

    model: Model
    modules: list[str] = field(default_factory=list)
    statements: list[tuple[str, str, str]] = field(default_factory=list)
    placements: list[Placement] = field(default_factory=list)
    classes: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Activation] = field(default_factory=dict)
    attributes: dict[tuple[str, str], str] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    variables: set[str] = field(default_factory=set)
    parameters: list[str] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    states: list[str] = field(default_factory=list)
    whole: dict[str, int] = field(default_factory=dict)
    frozen_before: bool = False
    folded: bool = False
    call: Call | None = None

    @property
    def dtype(self) -> str:
        """In which every layer keeps its weights; "" where they differ."""
        kinds = {layer.variable_dtype for layer in self.model.layers if layer.weights}
        constants = {layer.dtype for layer in self.model.layers if isinstance(layer, Constant)}
        kinds |= constants & TO.keys()
        return kinds.pop() if len(kinds) == 1 else ""

    @property
    def inputs(self) -> tuple[Value, ...]:
        """Of the call in hand."""
        return self.call.inputs if self.call else ()

    @property
    def outputs(self) -> tuple[Value, ...]:
        """Of the call in hand."""
        return self.call.outputs if self.call else ()

    # Modules

    def attribute(self, layer: Layer, part: str = "") -> str:
        """The attribute of `layer`'s module, chosen once; `part` for a layer of several."""
        key = (layer.name, part)
        if key not in self.attributes:
            taken = MODULE_ATTRIBUTES | {RESET} | set(self.attributes.values())
            name = f"{layer.name}_{part}" if part else layer.name
            self.attributes[key] = identifier(name, taken)
        return self.attributes[key]

    def module(
        self,
        layer: Layer,
        constructor: str,
        parameters: Mapping[str, Weight | tuple[Weight, Form]] | None = None,
        *,
        part: str = "",
        shared: Sequence[tuple[tuple[str, ...], Weight, Form]] = (),
        frozen: Mapping[str, str] | None = None,
        added: Mapping[str, Array] | None = None,
        note: str = "",
    ) -> str:
        """Declare the module of a layer, once, and give the text that reaches it: "self.lstm".

        Args:
            layer: Its name is the attribute.
            constructor: "nn.Linear(4, 1)".
            parameters: Of its state dict, each a weight and, if not as it is, its form.
            part: Names one of several modules of a layer.
            shared: Weights that are stored as several tensors.
            frozen: Parameters kept out of training, each with the reason.
            added: Tensors that only PyTorch has.
            note: A comment on its line.
        """
        known = (layer.name, part) in self.attributes
        name = reached = self.attribute(layer, part)
        if known:
            return f"self.{name}"
        if parameters or shared:
            if layer.variable_dtype not in ("float32", self.dtype):
                constructor += TO[layer.variable_dtype]
            if is_mixed(layer):
                constructor = f"{self.copied('Mixed')}({constructor}, torch.{layer.dtype})"
                name = f"{name}.module"
        self.modules.extend(statement(f"self.{reached} = {constructor}", 8, note))
        for parameter, weight in (parameters or {}).items():
            pair = weight if isinstance(weight, tuple) else (weight, AS_IS)
            self.placements.append(Placement((f"{name}.{parameter}",), *pair, lossy=pair[1].lossy))
        for parameters_, weight, form in shared:
            names = tuple(f"{name}.{parameter}" for parameter in parameters_)
            self.placements.append(Placement(names, weight, form))
        for parameter, array in (added or {}).items():
            self.placements.append(
                Placement((f"{name}.{parameter}",), Weight.of(array), AS_IS, added=True)
            )
        if not layer.trainable and (parameters or shared):
            text = f"self.{name}.requires_grad_(False)"
            self.modules.extend(statement(text, 8, "trainable=False in Keras"))
        else:
            for parameter, reason in (frozen or {}).items():
                text = f"self.{name}.{parameter}.requires_grad_(False)"
                note = "" if self.frozen_before else reason
                self.modules.extend(statement(text, 8, note))
                self.frozen_before = True
        return f"self.{reached}"

    def state(self, layer: Layer, part: str, zeros: str) -> str:
        """Declare a buffer that is kept from call to call, once: "self.lstm_h".

        Args:
            layer: Whose state it is.
            part: "h" or "c".
            zeros: What it is at first.
        """
        known = (layer.name, part) in self.attributes
        name = self.attribute(layer, part)
        if not known:
            if layer.dtype not in ("float32", self.dtype):
                zeros += TO[layer.dtype]
            text = f'self.register_buffer("{name}", {zeros}, persistent=False)'
            self.modules.extend(statement(text, 8))
            self.states.append(name)
        return f"self.{name}"

    @property
    def module_names(self) -> dict[str, list[str]]:
        """The modules of each layer that has any: {"lstm-1": ["lstm_1"]}."""
        names: dict[str, list[str]] = {}
        for (layer, _), attribute in self.attributes.items():
            if attribute not in self.states:
                names.setdefault(layer, []).append(attribute)
        return names

    def copied(self, name: str, text: str = "") -> str:
        """The name of a class or function whose text is copied into the file.

        Args:
            name: Of it, in modules.py.
            text: Of one that is not there, formatted.
        """
        self.classes[name] = text
        return name

    # Values

    def take(self, value: Value, *, channels_first: bool | None = False) -> Held:
        """The text of a value, one step of batch and time each.

        Args:
            value: An input of the call in hand.
            channels_first: Wanted with its channels in axis 1; None if either will do.
        """
        held = self.take_folded(value, channels_first=None)
        rank = len(value.shape)
        if held.steps:
            text = f"{held.atom}.unflatten(0, (-1, {held.steps}))"
            front = held.channels_first and bool(channels_first) and rank > 3
            if held.channels_first and rank > 3:  # (batch, time, channels, ...)
                text += ".transpose(1, 2)" if front else MOVED
            held = replace(held, text=text, steps="", channels_first=front, compound=False)
        if channels_first is not None and held.channels_first != channels_first:
            held = _moved(held, rank, channels_first=channels_first)
        return held

    def take_folded(self, value: Value, *, channels_first: bool | None = False) -> Held:
        """The text of a value as it is held, be batch and time one axis or two.

        For what does the same at every step, whatever axes there are.
        """
        held = self.held[value.name]
        if channels_first is not None and held.channels_first != channels_first:
            rank = len(value.shape) - (1 if held.steps else 0)
            held = _moved(held, rank, channels_first=channels_first)
        return held

    def hold(self, value: Value, text: str, like: Held | None = None, **changes: object) -> None:
        """Give the text of a cheap step: it waits to stand inside the next statement.

        Args:
            value: An output of the call in hand.
            text: An expression.
            like: In whose arrangement it is.
            changes: Fields of `Held` that differ.
        """
        like = like or Held("")
        held = replace(like, text=text, compound=False)
        held = replace(held, **{"modules": text.count("self."), **changes})  # type: ignore[arg-type]
        self.held[value.name] = held
        if text.isidentifier():  # it is a variable already
            return
        long = len(text) > COLUMNS - 40
        again = self.uses[value.name] > 1 and not text.isidentifier()
        if again or held.modules > DEEPEST or long:
            self.assign(value, held)

    def give(self, value: Value, text: str, like: Held | None = None, **changes: object) -> None:
        """Give the text of an output as a statement of its own."""
        like = like or Held("")
        held = replace(like, text=text, compound=False, modules=0)
        self.assign(value, replace(held, **changes))  # type: ignore[arg-type]

    def assign(self, value: Value, held: Held, note: str = "") -> None:
        """`variable = text  # shape`."""
        name = self.variable(value)
        self.say(name, held.text, note or self.comment(value, held))
        self.held[value.name] = replace(held, text=name, modules=0, compound=False)

    def say(self, target: str, text: str, comment: str = "") -> None:
        """A statement `target = text  # comment`; in two where it is too long for one."""
        if len(f"        {target} = {text}") > COLUMNS and target.isidentifier():
            parts = _in_two(text)
            if parts is not None and target not in self.reads(parts[1]):
                self.say(target, parts[0])
                text = parts[1].replace("{}", target)
        self.statements.append((target, text, comment))

    def variable(self, value: Value, wish: str = "") -> str:
        """The variable for a new value.

        That of a value which nobody reads after this call; x where nothing else is alive; or one
        named for the layer. An argument of forward keeps its name to itself, and so does a state.
        """
        own = not wish
        if own:
            for given in self.inputs:
                for name in self.reads(self.held[given.name].text):
                    if self._free(name) and (name == "x" or name not in self.kept):
                        return name
            wish = self.call.layer.name if self.call else value.name
            if all(self._free(name) for name in self.variables):
                wish = "x"
        taken = FILE_NAMES | {name for name in self.variables if not self._free(name)}
        name = identifier(wish, taken, LONGEST_VARIABLE)
        self.variables.add(name)
        if not own:
            self.kept.add(name)
        return name

    def reads(self, text: str) -> list[str]:
        """The variables in an expression, in order."""
        return [
            word
            for word in re.findall(r"(?<![\w.\"'])[A-Za-z_]\w*", text)
            if word in self.variables
        ]

    def _free(self, variable: str) -> bool:
        """Whether nobody reads the variable after the call in hand."""
        here = Counter(value.name for value in (self.call.needs if self.call else ()))
        return not any(
            self.uses[name] > here[name] and variable in self.reads(held.text)
            for name, held in self.held.items()
        )

    def named(self, held: Held) -> Held:
        """The same as a variable, for a text that is needed twice."""
        value = self.outputs[0]
        name = self.variable(value)
        self.say(name, held.text)
        return replace(held, text=name, modules=0, compound=False)

    def steps(self, value: Value) -> str:
        """A variable with the number of steps of a value whose time axis is free."""
        name = self.variable(value, "steps")
        held = self.held[value.name]
        self.say(name, f"{held.atom.removesuffix(MOVED)}.shape[1]")
        return name

    def function(self, activation: Activation) -> str:
        """A function of the file for an activation that is no function of PyTorch's."""
        for name, known in self.functions.items():
            if known == activation:
                return name
        name = identifier(activation.kind, FILE_NAMES | set(self.functions))
        self.functions[name] = activation
        return name

    def comment(self, value: Value, held: Held | None = None) -> str:
        """The shape of a value in words, as it is held: "(batch, time, 4)"."""
        words = shape_words(value.shape)
        if self.folded:
            words[0] = "batch * time"
        if held is not None and held.channels_first:
            words = [words[0], words[-1], *words[1:-1]]
        return f"({', '.join(words)})"


def is_compound(text: str) -> bool:
    """Whether an expression needs brackets before a dot."""
    node = ast.parse(text, mode="eval").body
    return not isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)


def is_mixed(layer: Layer) -> bool:
    """Whether its weights are cast when they are used.

    Those of a normalization are not, if it computes in half precision: PyTorch's own takes them in
    float32 then, and computes in float32 inside, as Keras does.
    """
    cast = layer.casts_weights or layer.dtype not in HALVES
    return cast and layer.variable_dtype != layer.dtype


def _in_two(text: str) -> tuple[str, str] | None:
    """What is computed first, and the rest with {} in its place; None for a single step."""
    node = ast.parse(text, mode="eval").body
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Call() | ast.BinOp() | ast.Subscript() as inner)
        ):
            pass
        case ast.BinOp(left=inner) if not isinstance(inner, ast.Name):
            pass
        case _:
            return None
    start, end = inner.col_offset, inner.end_col_offset or 0
    if text[:start] == "(" and text[end : end + 1] == ")":
        return text[start:end], "{}" + text[end + 1 :]
    return (text[start:end], "{}" + text[end:]) if not text[:start] else None


def _moved(held: Held, rank: int, *, channels_first: bool) -> Held:
    """The same with its channels moved to the front, or to the end; two moves cancel out."""
    there, back = ".movedim(-1, 1)", ".movedim(1, -1)"
    if rank == 3:
        there = back = ".transpose(1, 2)"
    move, undo = (there, back) if channels_first else (back, there)
    if rank < 3:
        text = held.text
    elif held.text.endswith(undo):
        text = held.text.removesuffix(undo)
    elif channels_first and held.text.endswith(MOVED):
        text = held.text.removesuffix(MOVED) + ".transpose(1, 2)"
    else:
        text = held.atom + move
    return replace(
        held, text=text, channels_first=channels_first, compound=rank < 3 and held.compound
    )


def shape_words(shape: Shape) -> list[str]:
    """Each axis in a word: its size, or what it is called where it is free."""
    names = {0: "batch", 1: "time"}
    return [
        str(size) if size is not None else names.get(axis, f"axis{axis}")
        for axis, size in enumerate(shape)
    ]


def fill(template: str, held: Held) -> str:
    """A template with {x} for the text; in brackets where an operator or a dot would split it."""
    inside = re.compile(r"(?<=[(,] )\{x\}(?=[,)])|(?<=\()\{x\}(?=[,)])")
    text = inside.sub(lambda _: held.text, template)
    return text.replace("{x}", held.atom)
