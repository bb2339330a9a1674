"""A model's parts in words: what a layer is, what a shape is, and names that a file chose."""

from __future__ import annotations

from functools import singledispatch

from converter.activations import LINEAR, Activation
from converter.description import (
    Activate,
    AdaptivePooling,
    Attention,
    CategoryEncoding,
    Combine,
    Concatenate,
    ConvLSTM,
    Convolution,
    Cropping,
    Dense,
    DepthwiseConvolution,
    Discretization,
    Dot,
    Dropout,
    EinsumDense,
    Embedding,
    Flatten,
    GlobalPooling,
    GroupNormalization,
    Interpolation,
    Layer,
    LayerNormalization,
    MaskedSoftmax,
    Masking,
    MultiHeadAttention,
    Operation,
    Padding,
    Permute,
    Pooling,
    Recurrent,
    RepeatVector,
    Rescaling,
    Reshape,
    Scoring,
    SeparableConvolution,
    Shape,
    TimeDistributed,
    Transpose,
    TransposedConvolution,
    UnitNormalization,
    UpSampling,
    ZeroPadding,
)
from converter.description.convolution import Windowed
from converter.dtypes import FLOATS
from converter.gates import Cell
from converter.report.operation_words import operation_words
from converter.verify.verdict import Deviation, Verdict

KERAS_CLASSES = {
    Cell.LSTM: "LSTM",
    Cell.GRU: "GRU",
    Cell.GRU_RESET_BEFORE: "GRU",
    Cell.RNN: "SimpleRNN",
}


def deviation_words(one: Deviation) -> str:
    """How far from the source in float64, and how much of that is rounding."""
    said = f"within {one.error:.3g} of the source in float64"
    said += f", {one.ratio:.3g} of the largest number of output '{printable(one.output)}'"
    if one.explained is None:
        return said
    what = f"{one.of} rounding explains" if one.of in FLOATS else f"{one.of} weights alone explain"
    return f"{said}; {what} {one.explained:.3g}"


def arrays_words(verdict: Verdict) -> str:
    """How many arrays of the source came back whole, and how many rounded; "" for none."""
    if verdict.wrong_arrays:
        return "not bit for bit: " + ", ".join(map(printable, verdict.wrong_arrays))
    rounded = verdict.deviation.arrays if verdict.deviation else 0
    if rounded:
        return f"{verdict.arrays} bit for bit, {rounded} rounded to the nearest step"
    return f"all {verdict.arrays} bit for bit" if verdict.arrays else ""


def printable(text: str) -> str:
    r"""`text` on one line, with what a terminal would obey written out.

    Names come from files that anybody may have made.

    >>> printable("lstm \x1b[2J"), printable("two\nlines"), printable("Schicht_ä")
    ('lstm \\x1b[2J', 'two\\nlines', 'Schicht_ä')
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )


def shape_words(shape: Shape) -> str:
    """A shape with words where it is free.

    >>> shape_words((None, None, 5)), shape_words((None, 1)), shape_words((2, 3))
    ('(batch, time, 5)', '(batch, 1)', '(2, 3)')
    >>> shape_words((None, None, None, 3))
    '(batch, any, any, 3)'
    """
    free = ["batch", "time" if len(shape) <= 3 else "any", *["any"] * len(shape)]
    sizes = [free[axis] if size is None else str(size) for axis, size in enumerate(shape)]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


def layer_words(layer: Layer) -> str:
    """A layer as its constructor, without what is the default: "LSTM(32, return_sequences)"."""
    words = _what(layer)
    if layer.policy != "float32" and not isinstance(layer, Operation):
        words += f", {layer.policy}"
    return words if layer.trainable else f"{words}, frozen"


def _call(kind: str, *arguments: object) -> str:
    """`kind(a, b)`; arguments that are "" are left out."""
    return f"{kind}({', '.join(str(one) for one in arguments if one != '')})"


def activation_words(activation: Activation) -> str:
    """An activation with those parameters that are not Keras 3's defaults.

    >>> activation_words(Activation.of("softmax"))
    'softmax'
    >>> activation_words(Activation.of("hard_sigmoid", alpha=0.2))
    'hard_sigmoid(alpha=0.2, beta=0.5)'
    """
    plain = activation == Activation.of(activation.kind)
    return activation.kind if plain else str(activation)


def _activation(activation: Activation) -> str:
    return "" if activation == LINEAR else activation_words(activation)


def _sizes(sizes: tuple[int, ...]) -> str:
    """One number where all are the same.

    >>> _sizes((3, 3)), _sizes((3, 5))
    ('3', '3x5')
    """
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))


FLAGS = ("return_sequences", "return_state", "stateful")
"""Of every recurrent layer."""


@singledispatch
def _what(layer: Layer) -> str:
    """Any layer that has no words of its own: its class."""
    return type(layer).__name__


@_what.register
def _(layer: Recurrent) -> str:
    kind = KERAS_CLASSES[layer.cell]
    before = "reset_after=False" if layer.cell is Cell.GRU_RESET_BEFORE else ""
    no_bias = "use_bias=False" if layer.forward.bias is None else ""
    flags = [name for name in (*FLAGS, "time_major") if getattr(layer, name)]
    if layer.backward is None:
        backwards = "go_backwards" if layer.forward.go_backwards else ""
        return _call(kind, layer.units, *flags, backwards, before, no_bias)
    merge = layer.merge.value if layer.merge is not None else ""
    return _call("Bidirectional", _call(kind, layer.units, before, no_bias), merge, *flags)


@_what.register
def _(layer: Dense) -> str:
    no_bias = "use_bias=False" if layer.bias is None else ""
    return _call("Dense", layer.units, _activation(layer.activation), no_bias)


@_what.register
def _(layer: Embedding) -> str:
    return _call("Embedding", layer.rows, layer.units, "mask_zero" if layer.mask_zero else "")


@_what.register
def _(layer: Masking) -> str:
    return _call("Masking", f"{layer.mask_value:g}")


@_what.register
def _(layer: Activate) -> str:
    return _call("Activation", activation_words(layer.activation))


@_what.register
def _(layer: Dropout) -> str:
    return _call(layer.noise.value, f"{layer.rate:g}")


@_what.register
def _(layer: TimeDistributed) -> str:
    return _call("TimeDistributed", _what(layer.layer))


def _windowed(layer: Windowed, size: tuple[int, ...]) -> tuple[str, ...]:
    """What every convolution has behind its filters, but for its activation."""
    return (
        _sizes(size),
        f"strides={_sizes(layer.strides)}" if set(layer.strides) != {1} else "",
        layer.padding.value if layer.padding is not Padding.VALID else "",
        f"dilation={_sizes(layer.dilation)}" if set(layer.dilation) != {1} else "",
    )


def _ending(layer: Windowed) -> tuple[str, str]:
    return _activation(layer.activation), "channels_first" if layer.channels_first else ""


@_what.register
def _(layer: Convolution) -> str:
    groups = f"groups={layer.groups}" if layer.groups != 1 else ""
    kind = f"Conv{layer.rank}D"
    return _call(kind, layer.filters, *_windowed(layer, layer.size), groups, *_ending(layer))


@_what.register
def _(layer: DepthwiseConvolution) -> str:
    kind = f"DepthwiseConv{layer.rank}D"
    each = _multiplier(layer.kernel.shape[-1])
    return _call(kind, *_windowed(layer, layer.size), each, *_ending(layer))


@_what.register
def _(layer: SeparableConvolution) -> str:
    kind = f"SeparableConv{layer.rank}D"
    each = _multiplier(layer.depthwise.shape[-1])
    return _call(kind, layer.filters, *_windowed(layer, layer.size), each, *_ending(layer))


def _multiplier(filters: int) -> str:
    return f"depth_multiplier={filters}" if filters != 1 else ""


@_what.register
def _(layer: TransposedConvolution) -> str:
    kind = f"Conv{layer.rank}DTranspose"
    added = layer.output_padding
    more = "" if added is None else f"output_padding={_sizes(added)}"
    return _call(kind, layer.filters, *_windowed(layer, layer.size), more, *_ending(layer))


@_what.register
def _(layer: ConvLSTM) -> str:
    one = layer.forward
    own = (
        one.filters,
        _sizes(one.size),
        f"strides={_sizes(one.strides)}" if set(one.strides) != {1} else "",
        one.padding.value if one.padding is not Padding.VALID else "",
        f"dilation={_sizes(one.dilation)}" if set(one.dilation) != {1} else "",
        "use_bias=False" if one.bias is None else "",
        "channels_first" if layer.channels_first else "",
    )
    flags = [name for name in FLAGS if getattr(layer, name)]
    kind = f"ConvLSTM{layer.rank}D"
    if layer.merge is None:
        return _call(kind, *own, *flags, "go_backwards" if one.go_backwards else "")
    return _call("Bidirectional", _call(kind, *own), layer.merge.value, *flags)


@_what.register
def _(layer: Pooling) -> str:
    strides = "" if layer.strides == layer.size else f"strides={_sizes(layer.strides)}"
    padding = layer.padding.value if layer.padding is not Padding.VALID else ""
    kind = f"{layer.pool.value.title()}Pooling{layer.rank}D"
    return _call(kind, _sizes(layer.size), strides, padding)


@_what.register
def _(layer: GlobalPooling) -> str:
    return f"Global{layer.pool.value.title()}Pooling{layer.rank}D"


@_what.register
def _(layer: AdaptivePooling) -> str:
    first = "channels_first" if layer.channels_first else ""
    kind = f"Adaptive{layer.pool.value.title()}Pooling{layer.rank}D"
    return _call(kind, _sizes(layer.size), first)


@_what.register
def _(layer: UpSampling) -> str:
    plain = layer.interpolation is Interpolation.NEAREST
    way = "" if plain else layer.interpolation.value
    first = "channels_first" if layer.channels_first else ""
    return _call(f"UpSampling{layer.rank}D", _sizes(layer.size), way, first)


@_what.register
def _(layer: ZeroPadding | Cropping) -> str:
    ends = [f"{before}:{behind}" for before, behind in layer.ends]
    first = "channels_first" if layer.channels_first else ""
    return _call(f"{type(layer).__name__}{len(ends)}D", *ends, first)


@_what.register
def _(layer: GroupNormalization) -> str:
    return _call("GroupNormalization", layer.groups, f"axis={layer.axis}")


@_what.register
def _(layer: LayerNormalization | UnitNormalization) -> str:
    plain = not isinstance(layer, LayerNormalization) or layer.centred
    kept = "" if plain else "rms_scaling=True"
    return _call(type(layer).__name__, f"axis={', '.join(map(str, layer.axes))}", kept)


@_what.register
def _(layer: Rescaling) -> str:
    return _call("Rescaling", _numbers(layer.scale), _numbers(layer.offset))


def _numbers(numbers: tuple[float, ...]) -> str:
    """One number, or how many there are."""
    return f"{numbers[0]:g}" if len(numbers) == 1 else f"{len(numbers)} numbers"


@_what.register
def _(layer: CategoryEncoding | Discretization) -> str:
    return _call(type(layer).__name__, layer.depth, layer.encoding.value)


@_what.register
def _(layer: Combine) -> str:
    return layer.combination.value


@_what.register
def _(layer: Concatenate) -> str:
    return _call("Concatenate", f"axis={layer.axis}")


@_what.register
def _(layer: Dot) -> str:
    return _call("Dot", f"axes={layer.axes}", "normalize" if layer.normalize else "")


@_what.register
def _(layer: Attention) -> str:
    kind = "AdditiveAttention" if layer.scoring is Scoring.ADDITIVE else "Attention"
    scale = "" if layer.scale is None else "use_scale"
    mode = "concat" if layer.scoring is Scoring.CONCAT else ""
    return _call(kind, mode, scale, *_attending(layer)).removesuffix("()")


@_what.register
def _(layer: MultiHeadAttention) -> str:
    kind, key_heads = "MultiHeadAttention", ""
    if layer.key_heads != layer.heads:
        kind, key_heads = "GroupQueryAttention", f"key_heads={layer.key_heads}"
    value_dim = "" if layer.value_dim == layer.key_dim else f"value_dim={layer.value_dim}"
    own = f"heads={layer.heads}", key_heads, f"key_dim={layer.key_dim}", value_dim
    no_bias = "use_bias=False" if layer.query.bias is None else ""
    return _call(kind, *own, *_attending(layer), no_bias)


def _attending(layer: Attention | MultiHeadAttention) -> tuple[str, str]:
    return "causal" if layer.causal else "", "scores" if layer.return_scores else ""


@_what.register
def _(_layer: MaskedSoftmax) -> str:
    return "Softmax(mask)"


@_what.register
def _(layer: EinsumDense) -> str:
    return _call("EinsumDense", layer.equation, _activation(layer.activation))


@_what.register
def _(layer: Flatten) -> str:
    return "Flatten"


@_what.register
def _(layer: Reshape) -> str:
    return _call("Reshape", shape_words(layer.target))


@_what.register
def _(layer: Permute) -> str:
    return _call("Permute", *layer.dims)


@_what.register
def _(layer: Transpose) -> str:
    return _call("Transpose", *layer.axes)


@_what.register
def _(layer: RepeatVector) -> str:
    return _call("RepeatVector", layer.n)


@_what.register
def _(layer: Operation) -> str:
    return operation_words(layer)
