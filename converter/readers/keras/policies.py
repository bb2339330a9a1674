"""In which dtype a layer computes, and of which its outputs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from converter.description import Discretization, Encoding, Layer, Operation, TimeDistributed, Value
from converter.dtypes import FLOATS, wider
from converter.errors import UnsupportedError
from converter.readers.keras.architecture import LayerPart
from converter.readers.keras.chain import Chain, TwoChains
from converter.readers.keras.config import PREFIX
from converter.readers.keras.described import Built, Described
from converter.readers.keras.era import Writer
from converter.readers.keras.operation_dtypes import check_dtypes, in_dtype
from converter.readers.strict import shown


def typed(layer: Built, part: LayerPart, inputs: Sequence[Value], writer: Writer) -> Built:
    """A layer in the dtype in which it computes.

    That is what its config says. An operation, which says nothing, computes in the dtype of its
    inputs.

    Raises:
        UnsupportedError: It was written before layers cast their inputs.
    """
    if isinstance(layer, Chain | TwoChains | Described):
        return layer
    if isinstance(layer, Operation):
        return in_dtype(layer, [value.dtype for value in inputs], part.where)
    if "dtype" not in part.view():
        kinds = [value.dtype for value in inputs if value.dtype in FLOATS]
        dtype = reduce(wider, kinds or ["float32"])
        if dtype != layer.dtype:
            layer = replace(layer, dtype=dtype, variable_dtype=dtype, autocast=False)
    elif layer.dtype != "float32" and not writer.casts:
        raise UnsupportedError(
            f"{part.where} computes in {layer.dtype}, which is not read from so old a Keras",
            context=f"Keras {shown(writer.version)}",
            hint="save the model with TensorFlow 2.4 or newer",
            code="dtype-policy",
        )
    return layer


SHAPING = frozenset(
    {
        "Identity",
        "Reshape",
        "Flatten",
        "Permute",
        "RepeatVector",
        "Concatenate",
        "Dropout",
        "Transpose",
    }
)
"""Layers that leave whole numbers whole."""


def dtype_of(part: LayerPart, layer: Layer, inputs: Sequence[Value], writer: Writer) -> str:
    """That of the outputs: whole numbers stay what they are where they are only moved.

    Raises:
        UnsupportedError: An operation means one thing here and another there for these inputs.
    """
    inner = layer
    while isinstance(inner, TimeDistributed):
        inner = inner.layer
    dtypes = tuple(value.dtype for value in inputs)
    if isinstance(inner, Operation):
        check_dtypes(inner, dtypes, part.where, writer)
        return inner.output_dtype(dtypes)
    if isinstance(inner, Discretization):
        if "float64" in dtypes and not inner.autocast:
            raise UnsupportedError(
                f"{part.where} is given float64, which it compares in float32",
                context="Keras 3 compares in float32, whatever the dtype policy",
                hint="set the dtype policy of the layer before to float32",
                code="dtype-policy",
            )
        if inner.encoding is Encoding.INT:
            return "int64"
    moved = part.kind.removeprefix(PREFIX) in SHAPING and len(set(dtypes)) == 1
    return dtypes[0] if moved and dtypes[0] not in FLOATS else layer.dtype
