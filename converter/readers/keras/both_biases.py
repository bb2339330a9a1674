"""The two biases of an LSTM or a SimpleRNN that came from PyTorch, beside the one that Keras adds.

Keras opens such a file and never looks at them. Where their sum is still the bias to the bit, they
are given back; where it is not, the model was trained further, and its bias is what it is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np

from converter.description import Layer, Model, Stored, Weight
from converter.gates import BOTH_BIASES, Array, Form
from converter.readers.keras.hdf5 import Hdf5
from converter.readers.keras.weights import damaged, surplus
from converter.readers.strict import named

HOME = f"{BOTH_BIASES}/"


def given_back(model: Model, opened: Callable[[], AbstractContextManager[Hdf5]]) -> Model:
    """The model with both biases where they are kept and still hold.

    Args:
        model: With one bias.
        opened: Its weights, in a `with`.

    Raises:
        FormatError: What is kept is not two biases of a layer.
    """
    with opened() as weights:
        kept = {
            name.removeprefix(HOME): weights.stored(weights.dataset(name), name)
            for name in weights.datasets()
            if name.startswith(HOME)
        }
    if not kept:
        return model
    trained: list[str] = []
    used: set[str] = set()

    def new(layer: Layer, name: str, weight: Weight) -> Weight:
        both = kept.get(weight.stored[0].name) if name.endswith("bias") else None
        if both is None:
            return weight
        used.add(weight.stored[0].name)
        _check(weight, both, model.source.path)
        if not _holds(weight, both):
            trained.append(layer.name)
            return weight
        return Weight((2, *weight.shape[1:]), (*weight.stored, both), _form(weight))

    whole = model.map_weights(new)
    if left := sorted(kept.keys() - used):
        raise surplus([f"{HOME}{path}" for path in left], model.source.path)
    if not trained:
        return whole
    dropped = f"two biases of before the training of {', '.join(dict.fromkeys(trained))}"
    source = replace(model.source, dropped=(*model.source.dropped, dropped))
    return replace(whole, source=source)


def _check(weight: Weight, both: Stored, path: str) -> None:
    (bias,) = weight.stored
    fits = weight.shape[0] == 1 and (both.shape, both.dtype) == ((2, *bias.shape), bias.dtype)
    if not fits:
        raise damaged(
            path,
            f"{named(both.name)} is {both.dtype} {both.shape}, beside a bias that is "
            f"{bias.dtype} {bias.shape}",
        )


def _both(weight: Weight, array: Array) -> Array:
    """(2, G·H) as (2, G, H)."""
    return array.reshape(2, *weight.shape[1:])


def _holds(weight: Weight, both: Stored) -> bool:
    """Whether the sum of both is the bias, bit for bit."""
    (bias,) = weight.stored
    (added,) = weight.form.write(_both(weight, both.read()))
    return added.tobytes() == np.ascontiguousarray(bias.read()).tobytes()


def _form(weight: Weight) -> Form:
    single = weight.form
    return Form(
        f"{single.how}, both biases beside their sum",
        lambda arrays: _both(weight, arrays[1]),
        lambda array: (*single.write(array), array.reshape(2, -1)),
    )
