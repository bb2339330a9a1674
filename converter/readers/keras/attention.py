"""Attention, AdditiveAttention, MultiHeadAttention, GroupQueryAttention, and EinsumDense.

Sources: keras/src/layers/attention (3.0 to 3.15), tf_keras/src/layers/attention (2.15 and 2.21).
"""

from __future__ import annotations

from converter.description import Dense, Era, Layer, Shape, ShapeMismatchError, Weight
from converter.description.attention import (
    Attention,
    EinsumDense,
    Masked,
    MultiHeadAttention,
    Projection,
    Scoring,
    same,
)
from converter.errors import UnsupportedError
from converter.readers.keras.activation import read_activation
from converter.readers.keras.config import MAX_UNITS, Config
from converter.readers.keras.custom import unknown
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import known_size, reads
from converter.readers.keras.quantized import Matrix
from converter.readers.keras.weights import Weights
from converter.readers.strict import shown


@reads("Attention", "AdditiveAttention", several=True)
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    _check_era(config, writer)
    use_scale = config.boolean("use_scale")
    if config.kind == "AdditiveAttention":
        scoring = Scoring.ADDITIVE
    else:
        scoring = Scoring(config.text("score_mode", among=("dot", "concat"), default="dot"))
    additive = scoring is Scoring.ADDITIVE
    shape = (known_size(config, inputs[0], -1),) if additive else ()
    scale = Weight(shape, (weights.take("scale", shape),)) if use_scale else None
    factor = None
    if scoring is Scoring.CONCAT:
        factor = Weight((), (weights.take("concat_score_weight", ()),))
    causal = config.boolean("causal", default=False)
    return Attention(
        **config.base(),
        scoring=scoring,
        scale=scale,
        factor=factor,
        dropout=config.number("dropout", least=0, most=1, default=0.0),
        causal=causal or config.called("use_causal_mask"),
        return_scores=config.called("return_attention_scores"),
    )


@reads("MultiHeadAttention", "GroupQueryAttention", several=True)
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    _check_era(config, writer)
    grouped = config.kind == "GroupQueryAttention"
    for unused in ("query_shape", "key_shape", "value_shape", "flash_attention"):
        config.value(unused, default=None)
    for setting, harmless in (("use_gate", False), ("sliding_window", None)):
        config.must_be(
            setting,
            harmless,
            code="attention-setting",
            hint=f"build the layer without {setting} and save the model again",
        )
    if len(inputs) < 3 or any(len(x) != len(inputs[0]) or len(x) < 3 for x in inputs[:3]):
        raise ShapeMismatchError(f"inputs of shapes {list(inputs)}; expected one rank, 3 or more")
    if grouped:
        heads = config.integer("num_query_heads", most=MAX_UNITS)
        key_heads = config.integer("num_key_value_heads", most=MAX_UNITS)
        key_dim = value_dim = config.integer("head_dim", most=MAX_UNITS)
        if heads % key_heads:
            raise config.wrong("num_key_value_heads", key_heads, f"a divisor of {heads}")
    else:
        heads = key_heads = config.integer("num_heads", most=MAX_UNITS)
        key_dim = config.integer("key_dim", most=MAX_UNITS)
        value_dim = key_dim
        if config.value("value_dim", default=None):
            value_dim = config.integer("value_dim", most=MAX_UNITS)
    bias = config.boolean("use_bias")
    dropout = config.number("dropout", least=0, most=1, default=0.0)
    features: tuple[int, ...] = (known_size(config, inputs[0], -1),)
    axes: tuple[int, ...] = (1,)
    if not grouped:
        features = _features(config) or features
        axes = _axes(config, len(inputs[0]), writer)
    elif len(inputs[0]) != 3:
        raise ShapeMismatchError(f"inputs of shapes {list(inputs)}; expected rank 3")
    scores = config.called("return_attention_scores")
    causal = config.called("use_causal_mask")
    fused = not dropout and not scores and len(inputs[0]) == 3
    robust = not grouped and config.boolean("softmax_robust_masking", default=False)
    masked = masked_by(writer, robust=robust, fused=fused)
    _check_masks(config, inputs, axes, causal, scores)
    if causal or len(inputs) > 3:
        check_lowered(config, writer, masked)
    query, key, value = (
        _projection(weights.part(f"{name}_dense", name), (known_size(config, x, -1),), sizes, bias)
        for name, x, sizes in (
            ("query", inputs[0], (heads, key_dim)),
            ("key", inputs[2], (key_heads, key_dim)),
            ("value", inputs[1], (key_heads, value_dim)),
        )
    )
    out = weights.part("output_dense", "attention_output")
    return MultiHeadAttention(
        **config.base(),
        query=query,
        key=key,
        value=value,
        output=_projection(out, (heads, value_dim), features, bias),
        axes=axes,
        dropout=dropout,
        causal=causal,
        masked=masked,
        return_scores=scores,
        scale_is_float32=writer.keras_3 or config.base()["dtype"] == "float32",
    )


def masked_by(writer: Writer, *, robust: bool, fused: bool = False) -> Masked:
    """What the softmax of this Keras does with masked scores.

    Args:
        writer: Who wrote the file.
        robust: robust_masking of tf_keras's Softmax.
        fused: Keras calls its `dot_product_attention` since 3.7.
    """
    if writer.era is not Era.KERAS_3:
        return Masked.EQUAL if robust else Masked.LOWERED
    if fused and writer.number >= (3, 7):
        return Masked.EQUAL
    return Masked.ZERO if writer.number >= (3, 10) else Masked.LOWERED


def check_lowered(config: Config, writer: Writer, masked: Masked) -> None:
    """Refuse what is added to masked scores in float16 by a Keras that is no longer to be asked.

    Raises:
        UnsupportedError: It is that of Keras 3.0 to 3.9.
    """
    dtype, _ = config.policy()
    if masked is Masked.LOWERED and writer.keras_3 and dtype == "float16":
        raise UnsupportedError(
            f"{config.where} masks scores in float16, which is not read from so old a Keras 3",
            context=f"Keras {shown(writer.version)}: it adds -30000 to them, later ones do not",
            hint="save the model with Keras 3.10 or newer",
            code="dtype-policy",
        )


def _check_era(config: Config, writer: Writer) -> None:
    """Refuse a layer of somebody's own that has the name: Keras had none before tf.keras."""
    if writer.era not in (Era.TF_KERAS, Era.KERAS_3):
        raise unknown(config.where, f"{shown(config.kind)}, which {writer.era.value} has not")


def _projection(
    weights: Weights, before: tuple[int, ...], after: tuple[int, ...], bias: bool
) -> Projection:
    shape = (*before, *after)
    kernel = Weight(shape, (weights.take("kernel", shape),))
    return Projection(
        kernel=kernel, bias=Weight(after, (weights.take("bias", after),)) if bias else None
    )


def _features(config: Config) -> tuple[int, ...]:
    """`output_shape`; () where it is the query's."""
    value = config.value("output_shape", default=None)
    if isinstance(value, list):
        return config.integers("output_shape", least=1, most=MAX_UNITS)
    return () if value is None else (config.integer("output_shape", most=MAX_UNITS),)


def _axes(config: Config, rank: int, writer: Writer) -> tuple[int, ...]:
    """`attention_axes`, counted from the front; where there are none, all between the ends."""
    value = config.value("attention_axes", default=None)
    if value is None:
        return tuple(range(1, rank - 1))
    given = (
        config.integers("attention_axes", least=-32, most=32)
        if isinstance(value, list)
        else (config.integer("attention_axes", least=-32, most=32),)
    )
    counted = writer.era is Era.KERAS_3 and writer.number >= (3, 12)
    axes = tuple(axis + rank if axis < 0 and counted else axis for axis in given)
    if not axes or list(axes) != sorted(set(axes)) or axes[0] < 1 or axes[-1] > rank - 2:
        raise config.wrong("attention_axes", value, f"axes in order, from 1 to {rank - 2}")
    return axes


def _check_masks(
    config: Config, inputs: tuple[Shape, ...], axes: tuple[int, ...], causal: bool, scores: bool
) -> None:
    """Refuse what Keras lays over scores of other axes than it is made for."""
    found = ""
    if len(axes) > 1 and (causal or scores or len(inputs) > 3):
        found = "a mask or scores over several axes"
    elif causal and axes != (1,):
        found = f"use_causal_mask along axis {axes[0]}: Keras counts the steps of axis 1"
    elif len(inputs) > 3 and not 3 <= len(inputs[3]) <= len(inputs[0]) + 1:
        found = f"an attention_mask of shape {inputs[3]}"
    if found:
        raise UnsupportedError(
            f"{config.where} attends in a way that is not read",
            context=f"{found}; attention_axes {list(axes)}",
            hint="use attention over one axis, and an attention_mask of (batch, time, time)",
            code="attention-axes",
        )


@reads("EinsumDense")
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    """A Dense where the equation is one on the last axis."""
    config.value("gptq_unpacked_column_size", default=None)  # of a way that is refused below
    (x,) = inputs
    before, kernel, after, dots = _equation(config, len(x))
    given = config.value("output_shape")
    wanted = iter(given if isinstance(given, list) else [given])
    sizes: list[int | None] = []
    for letter in after[1:]:
        own = x[before.index(letter)] if letter in before else None
        size = own if letter in dots else next(wanted, 0)
        if size is not None and (type(size) is not int or not 1 <= size <= MAX_UNITS):
            raise config.wrong("output_shape", given, f"sizes of {after[1:]}")
        same(size, own, "output_shape and the input")
        sizes.append(None if letter in before else size)
    if next(wanted, None) is not None:
        raise config.wrong("output_shape", given, f"sizes of {after[1:]}")
    size_of = dict(zip((*after[1:], *before), (*sizes, *x), strict=True))
    shape = tuple(_known(config, size_of[letter], letter) for letter in kernel)
    kernel_there = Matrix(config, writer, weights, "kernel", shape)
    bias = None
    axes = config.value("bias_axes", default=None)
    if axes is not None:
        axes = config.text("bias_axes")
        if not axes or not set(axes) <= set(after[1:]):
            raise config.wrong("bias_axes", axes, f"letters of {after[1:]}")
        first = min(after.index(letter) for letter in axes)
        bias_shape = tuple(
            _known(config, size_of[letter], letter) if letter in axes else 1
            for letter in after[first:]
        )
        bias = Weight(bias_shape, (weights.take("bias", bias_shape),))
    stored = kernel_there.weight()
    activation = read_activation(config, "activation", writer, default="linear")
    if kernel == before[-1] + after[-1] and before[:-1] == after[:-1] and bias_is_last(bias):
        return Dense(**config.base(), kernel=stored, bias=bias, activation=activation)
    return EinsumDense(
        **config.base(),
        equation=f"{before},{kernel}->{after}",
        kernel=stored,
        bias=bias,
        sizes=tuple(sizes),
        activation=activation,
    )


def bias_is_last(bias: Weight | None) -> bool:
    """Whether a bias is of the last axis alone."""
    return bias is None or len(bias.shape) == 1


def _equation(config: Config, rank: int) -> tuple[str, str, str, str]:
    """The letters of input, kernel and output, and those that stand for an ellipsis.

    Raises:
        FormatError: It is none that Keras takes, or takes another input.
    """
    text = config.text("equation").replace(" ", "")
    before, comma, rest = text.partition(",")
    kernel, arrow, after = rest.partition("->")
    free = iter(letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in text)
    dots = ""
    if "..." in before and "..." in after:
        dots = "".join(next(free) for _ in range(max(rank - len(before) + 3, 0)))
        before, after = before.replace("...", dots, 1), after.replace("...", dots, 1)
    parts = (before, kernel, after)
    summed = set(before) & set(kernel) - set(after)
    if (
        not (comma and arrow)
        or any(not part.isalpha() or len(set(part)) < len(part) for part in parts)
        or len(before) != rank
        or before[0] != after[0]
        or before[0] in kernel
        or not set(after) <= set(before) | set(kernel)
        or not set(kernel) <= set(before) | set(after)
        or not set(before) <= set(kernel) | set(after)
        or not summed
    ):
        raise config.wrong("equation", text, f"one for an input of rank {rank}, as 'abc,cd->abd'")
    return before, kernel, after, dots


def _known(config: Config, size: int | None, letter: str) -> int:
    if size is None:
        raise config.wrong("output_shape", config.value("output_shape"), f"a size of {letter}")
    return size
