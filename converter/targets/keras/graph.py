"""The layers of a Keras model, and how they are called: what its config lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from converter.description import Call, Combine, Constant, Layer, Model, Value
from converter.errors import UnsupportedError
from converter.targets.keras.emit import Around, Dialect, Part, emit, operation, refusal
from converter.targets.keras.masks import Mask, can_state, mask_refusal, masks_of
from converter.targets.keras.operations import literal
from converter.targets.keras.order import Node, layer_order

LISTS = frozenset(
    {
        "Add",
        "AdditiveAttention",
        "Attention",
        "Average",
        "Concatenate",
        "Dot",
        "Maximum",
        "Minimum",
        "Multiply",
        "Subtract",
    }
)
"""Layers that Keras calls with a list of tensors."""

HEADS = frozenset({"MultiHeadAttention", "GroupQueryAttention"})
"""Layers that Keras calls with several tensors."""


OPERATIONS = frozenset(
    {"any", "broadcast_to", "concatenate", "expand_dims", "logical_or", "not_equal", "ones_like"}
)
"""The names of the operations with which Keras 3 makes masks; no layer may have them as well."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a call gives.

    Attributes:
        node: The call.
        number: Of the result among those of the call.
    """

    node: Node
    number: int
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One call of a layer, as a config holds it.

    Attributes:
        operands: See `Part`; constants of the model are in their places.
        given: To attention beside its tensors, by the argument: "value_mask"; several are a list.
        implied: Keras passes that mask by itself.
    """

    tensors: tuple[Result, ...]
    operands: tuple[Any, ...] = ()
    states: tuple[Result, ...] = ()
    mask: Result | None = None
    given: tuple[tuple[str, tuple[Result | None, ...]], ...] = ()
    implied: bool = False

    @property
    def parents(self) -> list[Node]:
        """The calls whose results it takes, in the order in which Keras finds them."""
        masks = () if self.mask is None else (self.mask,)
        given = (one for _, several in self.given for one in several if one is not None)
        return [one.node for one in (*self.tensors, *self.states, *masks, *given)]


@dataclass(slots=True)
class Item:
    """A layer of the config, or an operation.

    Attributes:
        layer: Of the model; None for an operation that the model has not.
    """

    part: Part
    layer: Layer | None
    uses: list[Use] = field(default_factory=list)

    @property
    def trainable(self) -> bool:
        """Not frozen."""
        return self.layer is None or self.layer.trainable


class Graph:
    """A model in the layers of Keras.

    Attributes:
        items: By a name of their own: the layer's.
        order: The names of items and inputs, as Keras lists them.
        outputs: Of the model.
    """

    def __init__(self, model: Model, dialect: Dialect) -> None:
        self.model = model
        self.dialect = dialect
        self.items: dict[str, Item] = {}
        self._masks = masks_of(model)
        self._made: dict[Mask, Result] = {}
        self._where = {
            value.name: Result((value.name, 0), 0, value)
            for value in model.inputs
            if value.name not in self._masks.made
        }
        self._times: Counter[str] = Counter()
        self._constants: dict[str, dict[str, Any]] = {}
        for call in model.calls:
            if isinstance(call.layer, Constant):
                self._constants[call.outputs[0].name] = literal(call.layer)
            elif call.outputs[0].name in self._masks.bare:
                self._combine(call)
            elif not self._masks.makes_mask(call):
                self._call(call)
        self.outputs = [self._result(value) for value in model.outputs]
        self.order = self._order()

    def _order(self) -> list[str]:
        inputs = [value.name for value in self.model.inputs]
        parents: dict[Node, list[Node]] = {(name, 0): [] for name in inputs}
        for name, item in self.items.items():
            parents |= {(name, k): use.parents for k, use in enumerate(item.uses)}
        return layer_order(inputs, [one.node for one in self.outputs], parents)

    def _call(self, call: Call) -> None:
        layer = call.layer
        item = self.items.get(layer.name)
        if item is None:
            part = emit[layer](layer, Around(self.dialect, call))
            item = self.items[layer.name] = Item(part, layer)
        if item.part.operation:
            use = self._operate(item.part, call)
            self._used(item, use, call)
            return
        given = tuple(self._result(value, layer) for value in call.inputs)
        several = item.part.kind in LISTS
        if item.part.kind in HEADS:
            self._attend(item, call, given)
            return
        mask = None
        stated = self._masks.stated.get(call.outputs[0].name)
        if stated is not None and self.dialect is Dialect.KERAS_3:
            mask = self._tensor_of(stated, layer)
        use = Use(
            tensors=given if several else given[:1],
            states=() if several else given[1:],
            mask=mask,
            given=self._given(call),
            implied=call.outputs[0].name not in self._masks.needed,
        )
        if self.dialect is Dialect.LEGACY:
            self._check_legacy_dtype(layer)
            self._check_legacy(call, bool(use.states))
        self._used(item, use, call)

    def _combine(self, call: Call) -> None:
        """Several tensors, two by two, by operations, which know no masks."""
        layer, (output,) = call.layer, call.outputs
        assert isinstance(layer, Combine)
        around = Around(self.dialect, call)
        result, *others = (self._result(value, layer) for value in call.inputs)
        for other in others:
            part = operation(layer, around, layer.combination.value)
            result = self._operation(part.kind, part.config, (result, other), output)
        self._where[output.name] = result

    def _operate(self, part: Part, call: Call) -> Use:
        """A call of an operation: constants of the model stand in its operands."""
        waiting = [self._constants.get(value.name) for value in call.inputs]
        tensors = tuple(
            self._result(value, call.layer)
            for value, constant in zip(call.inputs, waiting, strict=True)
            if constant is None
        )
        template = part.operands or (None,) * len(waiting)
        operands = tuple(waiting.pop(0) if one is None else one for one in template)
        return Use(tensors=tensors, operands=operands)

    def _used(self, item: Item, use: Use, call: Call) -> None:
        """Add a call, whose results others may take."""
        node = call.layer.name, len(item.uses)
        item.uses.append(use)
        for k, value in enumerate(call.outputs):
            if value.name not in self._masks.made:
                self._where[value.name] = Result(node, k, value)

    def _attend(self, item: Item, call: Call, given: tuple[Result, ...]) -> None:
        """A call with query, value, key if it is not the value, and an attention_mask."""
        query, value, key, *allowed = given
        tensors = (query, value) if key == value else (query, value, key)
        more = (("attention_mask", tuple(allowed)),) if allowed else ()
        self._used(item, Use(tensors=tensors, given=(*more, *self._given(call))), call)

    def _given(self, call: Call) -> tuple[tuple[str, tuple[Result | None, ...]], ...]:
        """The masks that attention or a softmax is given."""
        return tuple(
            (
                argument,
                tuple(None if one is None else self._tensor_of(one, call.layer) for one in masks),
            )
            for argument, masks in self._masks.given.get(call.outputs[0].name, {}).items()
        )

    def _check_legacy_dtype(self, layer: Layer) -> None:
        """Refuse arrays of bfloat16, which neither reads from a legacy `.h5`."""
        if layer.variable_dtype == "bfloat16" and layer.weights:
            raise refusal(
                layer,
                "weights in bfloat16, which neither tf_keras nor Keras 3 reads out of .h5",
                "--to keras writes a file for Keras 3 alone",
                "legacy-bfloat16",
            )

    def _check_legacy(self, call: Call, given_states: bool) -> None:
        """Refuse what Keras 3 does not read from a legacy `.h5`, or tf_keras does otherwise."""
        output = call.outputs[0].name
        stated = self._masks.stated.get(output)
        found = ""
        if given_states or output in self._masks.needed:
            found = "Keras 3 does not read initial_state and mask from a legacy .h5"
        elif (
            any(call.masks)
            and output not in self._masks.alike
            and (stated is None or stated[0] not in ("any", "unequal"))
        ):
            found = "the mask of several tensors, which tf_keras and Keras 3 join otherwise"
        if found:
            raise UnsupportedError(
                f"layer '{call.layer.name}' is given states or a mask, which .h5 cannot say",
                context=found,
                hint="--to keras writes a file that can",
                code="legacy-arguments",
            )

    def results(self) -> dict[Node, dict[int, Value]]:
        """What each call gives, by its number there."""
        found: dict[Node, dict[int, Value]] = {}
        for one in (*self._where.values(), *self._made.values()):
            found.setdefault(one.node, {})[one.number] = one.value
        return found

    @property
    def reserved(self) -> frozenset[str]:
        """Names that Keras gives to operations while it loads the model."""
        return OPERATIONS if self._masks.implied else frozenset()

    def _result(self, value: Value, user: Layer | None = None) -> Result:
        """The call that gives a value."""
        found = self._where.get(value.name)
        mask = self._masks.made.get(value.name)
        if user is not None and mask is not None and can_state(mask):
            found = self._tensor_of(mask, user)
        what = f"layer '{user.name}'" if user else f"output '{value.name}'"
        if found is None and value.name in self._constants:
            raise UnsupportedError(
                f"{what} is a constant, or takes one, which no layer of Keras does",
                context=f"value '{value.name}'",
                hint="--to pytorch can say it",
                code="operation",
            )
        if found is None:
            raise UnsupportedError(
                f"{what} takes a mask as a tensor, which no layer of Keras gives",
                context=f"value '{value.name}'",
                hint="--to pytorch and --to onnx can say it",
                code="mask",
            )
        return found

    def _tensor_of(self, mask: Mask, user: Layer) -> Result:
        """A mask as a tensor: the operations that make it, as Keras 3 writes them down itself.

        Raises:
            UnsupportedError: It is made in another way.
        """
        if mask in self._made:
            return self._made[mask]
        match mask:
            case ("tensor", str(name)):
                result = self._where[name]
            case ("unequal", str(name), float(number), *cast):
                x = self._where[name]
                if cast:
                    x = self._cast(x, str(cast[0]))
                value = Value(f"{name}:unequal", x.value.shape, "bool")
                result = self._operation("NotEqual", {}, (x,), value, (None, number))
            case ("any", tuple(inner)):
                x = self._tensor_of(inner, user)
                value = Value(f"{x.value.name}:any", x.value.shape[:-1], "bool")
                config = {"axis": -1, "keepdims": False}
                result = self._operation("Any", config, (x,), value)
            case ("turned", int(axis), tuple(inner)):
                x = self._tensor_of(inner, user)
                value = Value(f"{x.value.name}:turned", x.value.shape, "bool")
                result = self._operation("Flip", {"axis": axis}, (x,), value)
            case ("or" | "and" as word, tuple(one), tuple(other)):
                both = self._tensor_of(one, user), self._tensor_of(other, user)
                value = Value(f"{both[0].value.name}:{word}", both[0].value.shape, "bool")
                result = self._operation(f"Logical{word.title()}", {}, both, value)
            case _:
                raise mask_refusal(user, "a mask that Keras would have to be given, of many parts")
        self._made[mask] = result
        return result

    def _cast(self, x: Result, dtype: str) -> Result:
        key: Mask = ("cast", x.value.name, dtype)
        if key not in self._made:
            value = Value(f"{x.value.name}:cast to {dtype}", x.value.shape, dtype)
            self._made[key] = self._operation("Cast", {"dtype": dtype}, (x,), value)
        return self._made[key]

    def _operation(
        self,
        kind: str,
        config: dict[str, Any],
        tensors: tuple[Result, ...],
        value: Value,
        operands: tuple[Any, ...] = (),
    ) -> Result:
        name = value.name
        while name in self.items:
            name += "'"
        module = "core" if kind == "Cast" else "numpy"
        item = Item(Part(kind=kind, config=config, operation=module), None)
        item.uses.append(Use(tensors=tensors, operands=operands or (None,) * len(tensors)))
        self.items[name] = item
        return Result((name, 0), 0, value)

    def named(self) -> Iterator[str]:
        """Every name that needs one in Keras: the inputs', then the items'."""
        yield from (value.name for value in self.model.inputs)
        yield from self.items
