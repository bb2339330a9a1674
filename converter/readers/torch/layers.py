"""The layers of a checkpoint that Keras has too, by the names and shapes of their tensors alone.

Those of the recurrent modules, each layer of a stack on its own; nn.Linear with a bias, which no
other module of torch.nn looks like; and batch normalization. What else is there is given as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from converter.activations import LINEAR
from converter.description import (
    BatchNormalization,
    Dense,
    Direction,
    Layer,
    Merge,
    Recurrent,
    Stored,
    Weight,
)
from converter.dtypes import is_float, numpy_dtype, wider
from converter.gates import AS_IS, TRANSPOSED, Form
from converter.readers.torch.recurrent import TorchRecurrent, recurrent_modules

STATISTICS = frozenset({"running_mean", "running_var"})
AFFINE = frozenset({"weight", "bias"})
COUNT = "num_batches_tracked"
"""How many batches there were, which Keras does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What is in a checkpoint.

    Attributes:
        layers: Of Keras, by the names of the modules.
        others: Tensors of no such layer, that lie beside them.
        apart: How many tensors there are in other containers, by the name of the container: the
            state of an optimizer.
        problems: Why recurrent tensors are no layer of Keras, by the name of the module.
    """

    layers: tuple[Layer, ...]
    others: tuple[Stored, ...]
    apart: Mapping[str, int]
    problems: Mapping[str, str]


def take_layers(tensors: Mapping[str, Stored]) -> Taken:
    """The layers of a checkpoint, and the rest."""
    modules, left = recurrent_modules(tensors)
    found: list[tuple[str, Layer]] = []
    problems: dict[str, str] = {}
    loose: list[Stored] = []
    for module in modules:
        if not module.levels:
            problems[module.name] = module.problem or f"a projection to {module.projection}"
            loose += module.arrays
        found += _recurrent(module)
    more, rest = _others(left)
    found += more
    loose += rest
    containers = {_container(name) for name, _ in found}
    beside = [one for one in loose if _container(one.name) in containers]
    apart: dict[str, int] = {}
    for one in loose:
        if _container(one.name) not in containers:
            top = one.name.partition("/")[0]
            apart[top] = apart.get(top, 0) + 1
    return Taken(
        layers=tuple(_named(found)),
        others=tuple(beside),
        apart=apart,
        problems=problems,
    )


def _container(name: str) -> str:
    return name.rpartition("/")[0]


def _named(found: list[tuple[str, Layer]]) -> Iterator[Layer]:
    """With the names of the modules; that of a container only where there are several.

    "encoder_lstm" of "encoder.lstm": Keras on PyTorch takes no dot in the name of a layer.
    """
    containers = {_container(name) for name, _ in found}
    taken: set[str] = set()
    for name, layer in found:
        short = name.rpartition("/")[2] if len(containers) == 1 else name
        short = re.sub(r"[./]", "_", short) or type(layer).__name__.lower()
        new, count = short, 0
        while new in taken:
            count += 1
            new = f"{short}_{count}"
        taken.add(new)
        yield replace(layer, name=new)


def _recurrent(one: TorchRecurrent) -> Iterator[tuple[str, Layer]]:
    """A layer of Keras for each layer of the module: "lstm", or "lstm_l0" and "lstm_l1"."""
    own = one.name or one.what.lower()
    for number, directions in enumerate(one.levels):
        name = own if one.depth == 1 else f"{own}_l{number}"
        dtype = _dtype([weight for one in directions for weight in _weights(one)])
        forward, *backward = (_widened_direction(each, dtype) for each in directions)
        yield (
            name,
            Recurrent(
                name=name,
                dtype=dtype,
                variable_dtype=dtype,
                forward=forward,
                backward=backward[0] if backward else None,
                merge=Merge.CONCAT if backward else None,
                return_sequences=True,
            ),
        )


def _weights(direction: Direction) -> list[Weight]:
    there = (direction.kernel, direction.recurrent_kernel, direction.bias)
    return [weight for weight in there if weight is not None]


def _widened_direction(direction: Direction, dtype: str) -> Direction:
    bias = direction.bias
    return replace(
        direction,
        kernel=_widened(direction.kernel, dtype),
        recurrent_kernel=_widened(direction.recurrent_kernel, dtype),
        bias=None if bias is None else _widened(bias, dtype),
    )


def _dtype(weights: list[Weight]) -> str:
    """The dtype that holds them all; of bfloat16, which no `.h5` of Keras has, float32."""
    dtype = "float16"
    for weight in weights:
        for stored in weight.stored:
            name = stored.dtype.name
            dtype = wider(dtype, "float32" if name == "bfloat16" else name)
    return dtype


def _widened(weight: Weight, dtype: str) -> Weight:
    """The weight in a dtype that holds each of its numbers."""
    dtypes = [stored.dtype for stored in weight.stored]
    if all(one.name == dtype for one in dtypes):
        return weight
    form, wide = weight.form, numpy_dtype(dtype)
    widened = Form(
        f"{form.how}, widened to {dtype}",
        lambda arrays: form.read([array.astype(wide) for array in arrays]),
        lambda array: tuple(
            one.astype(narrow) for one, narrow in zip(form.write(array), dtypes, strict=True)
        ),
    )
    return replace(weight, form=widened, kept=wide)


def _others(tensors: Mapping[str, Stored]) -> tuple[list[tuple[str, Layer]], list[Stored]]:
    """Layers that are not recurrent, and the tensors of none."""
    modules: dict[str, dict[str, Stored]] = {}
    for name, stored in tensors.items():
        split = max(name.rfind("."), name.rfind("/")) + 1
        modules.setdefault(name[:split], {})[name[split:]] = stored
    layers: list[tuple[str, Layer]] = []
    left: list[Stored] = []
    for prefix, own in modules.items():
        layer = _layer(own)
        if layer is None:
            left += own.values()
            continue
        layers.append((prefix[:-1] if prefix else "", layer))
        if COUNT in own:
            left.append(own[COUNT])
    return layers, left


def _layer(own: Mapping[str, Stored]) -> Layer | None:
    """What tensors are that have one module to themselves."""
    floats = {name: stored for name, stored in own.items() if name != COUNT}
    if not all(is_float(stored.dtype) for stored in floats.values()):
        return None
    if floats.keys() == AFFINE:
        return _linear(floats["weight"], floats["bias"])
    if floats.keys() in (STATISTICS, STATISTICS | AFFINE):
        return _batch_normalization(floats)
    return None


def _linear(weight: Stored, bias: Stored) -> Layer | None:
    if len(weight.shape) != 2 or bias.shape != weight.shape[:1]:
        return None
    kernel = Weight(weight.shape[::-1], (weight,), TRANSPOSED)
    offset = Weight(bias.shape, (bias,), AS_IS)
    dtype = _dtype([kernel, offset])
    return Dense(
        name="",
        dtype=dtype,
        variable_dtype=dtype,
        kernel=_widened(kernel, dtype),
        bias=_widened(offset, dtype),
        activation=LINEAR,
    )


def _batch_normalization(own: Mapping[str, Stored]) -> Layer | None:
    shapes = {stored.shape for stored in own.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        return None
    weights = {name: Weight(stored.shape, (stored,)) for name, stored in own.items()}
    dtype = _dtype(list(weights.values()))
    wide = {name: _widened(weight, dtype) for name, weight in weights.items()}
    return BatchNormalization(
        name="",
        dtype=dtype,
        variable_dtype=dtype,
        axes=(1,),
        gamma=wide.get("weight"),
        beta=wide.get("bias"),
        moving_mean=wide["running_mean"],
        moving_variance=wide["running_var"],
        epsilon=1e-5,  # nn.BatchNorm1d's; no weight depends on it
        momentum=0.9,
    )
