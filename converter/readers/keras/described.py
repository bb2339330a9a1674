"""A layer of a registered class: the layers that its description makes of it, and their calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from converter.description import Layer, Shape, ShapeMismatchError, Value, Weight
from converter.errors import ConverterError, UsageError
from converter.readers.keras.architecture import LayerPart
from converter.readers.keras.chain import Chain, TwoChains
from converter.readers.keras.config import Config
from converter.readers.keras.custom import Description, settings_of
from converter.readers.keras.folders import snake_case
from converter.readers.keras.weights import Weights
from converter.readers.strict import named

Build = Callable[[LayerPart, Config, tuple[Shape, ...], Weights], "Built"]
CallOf = Callable[[LayerPart, "Built", Sequence[Value]], Sequence[Value]]


@dataclass(eq=False, slots=True)
class Described:
    """A layer with its description; what is in it is built once, however often it is called.

    Attributes:
        part: The layer of the config.
        config: Of it.
        description: Of its class.
        weights: All that are in it.
        build: Gives a layer of Keras.
        inside: What was built, by the part that it is in, or by its name.
        parts: The weights of each part, which are numbered as they are asked for.
        taken: Its own weights, by part and name.
    """

    part: LayerPart
    config: Config
    description: Description
    weights: Weights
    build: Build
    inside: dict[str, tuple[LayerPart, Built]] = field(default_factory=dict)
    parts: dict[str, Weights] = field(default_factory=dict)
    taken: dict[tuple[str, str], Weight] = field(default_factory=dict)

    def called(self, inputs: Sequence[Value], call: CallOf) -> list[Value]:
        """What the description makes of these inputs.

        Raises:
            UsageError: The description fails, or gives something else than values.
        """
        layer = CustomLayer(self, call)
        try:
            given = self.description.function(layer, *inputs)
        except (ConverterError, ShapeMismatchError):
            raise
        except Exception as error:  # whatever a function raises that somebody wrote
            raise self._wrong(f"{type(error).__name__}: {error}") from error
        outputs = [given] if isinstance(given, Value) else given
        if not isinstance(outputs, list | tuple) or not all(
            isinstance(value, Value) for value in outputs
        ):
            raise self._wrong(f"it gives {type(given).__name__}; expected a value, or several")
        self.config.done()
        return list(outputs)

    def _wrong(self, found: str) -> UsageError:
        function = self.description.function
        name = getattr(function, "__qualname__", str(function))
        return UsageError(
            f"the description of {self.part.kind} fails for {self.part.where}",
            context=f"{function.__module__}.{name}: {found}",
            hint="correct the function that converter.register was given",
            code="description",
        )

    def weights_in(self, part: str, *hints: str) -> Weights:
        """Those of a part: "lstm", or "blocks/lstm_1"."""
        if part not in self.parts:
            inner = self.weights
            *outer, last = part.split("/")
            for name in outer:
                inner = inner.part(name)
            self.parts[part] = inner.part(last, *hints) if last else inner
        return self.parts[part]


Built = Layer | Chain | TwoChains | Described


class CustomLayer:
    """A layer of a registered class, as its description sees it.

    Attributes:
        config: Its settings, checked: `layer.config.integer("units")`. One that is not asked for
            is refused, but for those that every layer has.
        name: Of the layer in the model.
    """

    def __init__(self, described: Described, call: CallOf) -> None:
        self.config = described.config
        self.name = described.part.path
        self._described = described
        self._call = call
        self._names: Counter[str] = Counter()

    def keras(self, kind: str | Config, /, *inputs: Value, part: str = "", **settings: Any) -> Any:
        """What a layer of Keras gives that is in this one.

        Args:
            kind: Its class, "LSTM"; or its config, where this layer's config has it:
                `layer.config.child("cell_layer")`.
            inputs: What it is called with; a recurrent layer also with its initial states.
            part: The attribute that holds it, where it has weights: "lstm"; in a list, the class
                and a number as in an archive: "blocks/lstm", "blocks/lstm_1".
            settings: As Keras has them. The name is that of the attribute if none is given; `.h5`
                files have it in the paths of their weights.

        Returns:
            A `Value`, or a tuple of them where the layer has several outputs.

        Raises:
            UnsupportedError: The class or a setting is not read.
            ShapeMismatchError: It cannot take such inputs.
        """
        described = self._described
        if isinstance(kind, Config):
            config, own = kind, kind.own_name
        else:
            own = str(settings.get("name") or part.split("/")[-1] or snake_case(kind))
            path = f"{self.name}/{own}" if part else self._path(own)
            values = settings_of({**settings, "name": own})
            config = Config(kind, path, values, self.config.file, trainable=self.config.trainable)
        key = part or config.name
        if key not in described.inside:
            inner = LayerPart(
                kind=config.kind,
                class_name=config.kind,
                name=own,
                path=config.name,
                config=config.values,
                owner=described.part.owner,
            )
            shapes = tuple(value.shape for value in inputs)
            weights = described.weights_in(part, own, snake_case(config.kind))
            described.inside[key] = inner, described.build(inner, config, shapes, weights)
        there = described.inside[key][0]
        if (there.kind, there.config) != (config.kind, config.values):
            raise ValueError(f"{named(part)} is called as another layer than before")
        return self._given(key, inputs)

    def call(self, layer: Layer, *inputs: Value) -> Any:
        """What a layer of a class of your own gives, of which judge and targets know the meaning.

        Args:
            layer: With `base(name)` for its name.
            inputs: What it is called with.
        """
        described = self._described
        if layer.name not in described.inside:
            kind = f"{type(layer).__module__}>{type(layer).__qualname__}"
            name = layer.name.removeprefix(f"{self.name}/")
            inner = LayerPart(
                kind=kind,
                class_name=kind,
                name=name,
                path=layer.name,
                config=None,
                owner=described.part.owner,
            )
            described.inside[layer.name] = inner, layer
        return self._given(layer.name, inputs)

    def base(self, name: str = "") -> dict[str, Any]:
        """What every `Layer` has: a name, and whether it is trained."""
        path = self._path(name) if name else self.name
        return {**self.config.base(), "name": path}

    def weight(self, name: str, shape: tuple[int, ...], *, part: str = "") -> Weight:
        """A weight of the layer's own, in the order in which the class adds them.

        Args:
            name: As the class calls it: "scale".
            shape: That it must have.
            part: The attribute that holds it, where that is another object.
        """
        taken = self._described.taken
        if (part, name) not in taken:
            stored = self._described.weights_in(part).take(name, shape)
            taken[part, name] = Weight(shape, (stored,))
        return taken[part, name]

    def _path(self, name: str) -> str:
        """A layer in this one, counted where one was called so before."""
        count = self._names[name]
        self._names[name] += 1
        return f"{self.name}/{name}" + (f"_{count}" if count else "")

    def _given(self, key: str, inputs: Sequence[Value]) -> Any:
        outputs = self._call(*self._described.inside[key], inputs)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)
