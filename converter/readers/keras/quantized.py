"""Matrices that Keras 3 does not store as it uses them: quantised ones, and what LoRA adds to one.

The kernel of a Dense, (I, O), has a scale for each output, and the table of an Embedding,
(rows, units), one for each row:

    int8             q / scale
    int4             the same; two numbers to a byte along the last axis, the lower half first
    int4 in blocks   (q - zero[g]) * scale[g]; g_idx says the block g along the other axis
    LoRA             + alpha / rank * (a @ b)

`.keras` and `.weights.h5` hold the sum that LoRA makes, `.h5` holds its parts. What Keras quantises
as it runs (the inputs of int8 Dense, float8) is a rounding that no layer of float weights computes.

Sources: keras/src/layers/core/dense.py and embedding.py, quantizers/quantizers.py (3.14, 3.15).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from converter.description import Stored, Weight
from converter.errors import UnsupportedError, WeightError
from converter.gates import AS_IS, Array, Form
from converter.readers.keras.config import MAX_SIZE, Config, serialized
from converter.readers.keras.era import Writer
from converter.readers.keras.weights import Weights
from converter.readers.strict import shown

POLICIES = frozenset(
    {
        "QuantizedDTypePolicy",
        "QuantizedFloat8DTypePolicy",
        "Int4DTypePolicy",
        "GPTQDTypePolicy",
        "AWQDTypePolicy",
    }
)
_BY_NAME = re.compile(r"([a-z0-9]+(?:/-?\d+)*)_from_(\w+)", re.ASCII)
_MODE = re.compile(r"(int8|int4)(?:/(-1|[1-9]\d{0,8}))?", re.ASCII)

_BEFORE = "save the model before it is quantised"

FIRST_INT4 = (3, 14)
"""Before, Dense packed its kernel along the other axis, and quantised its inputs too."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """How a layer is quantised.

    Attributes:
        mode: "int8", "int4".
        block: How many elements have a scale in common; 0 where all along an axis have.
        of_inputs: What quantises the inputs of Dense, in the words of the config; None if nothing.
    """

    mode: str
    block: int
    of_inputs: str | None


@dataclass(frozen=True, slots=True)
class Lora:
    """Two matrices whose product is added.

    Attributes:
        rank: The size that they have in common.
        share: The factor of the product.
    """

    rank: int
    share: float


class Matrix:
    """The kernel of a Dense, EinsumDense or convolution, or the table of an Embedding, as stored.

    Args:
        config: Of the layer; its dtype becomes that from which it is quantised.
        writer: Of the file.
        weights: The first one is taken now, the others by `weight`: the bias is between them.
        name: "kernel", "embeddings".
        shape: That of the matrix.
        scaled: The axis of which each element has a scale; None where none is read.

    Raises:
        UnsupportedError: It is quantised in a way that is not read.
    """

    def __init__(
        self,
        config: Config,
        writer: Writer,
        weights: Weights,
        name: str,
        shape: tuple[int, ...],
        *,
        scaled: int | None = None,
    ) -> None:
        self._weights = weights
        self._name = name
        self._shape = shape
        self._scaled = scaled or 0
        self._where = config.where
        self._quantization = _quantization(config, writer)
        self._lora = _lora(config)
        how = self._quantization
        if how is not None and scaled is None:
            raise _refused(config, how.mode, f"of {config.kind}", _BEFORE)
        self._packed = how is not None and how.mode == "int4"
        stored = (shape[0], (shape[1] + 1) // 2) if self._packed else shape
        self._first = weights.take(name, stored, whole=how is not None)

    def check_inputs(self, config: Config) -> None:
        """Refuse a Dense that quantises its inputs as it runs.

        Raises:
            UnsupportedError: It does.
        """
        how = self._quantization
        if how is None or how.of_inputs is None:
            return
        name = f"Int{how.mode[-1]}QuantizationConfig"
        raise _refused(
            config,
            how.mode,
            f"its inputs too, by {how.of_inputs}",
            f"quantise the weights alone: model.quantize(config={name}(activation_quantizer=None))",
        )

    def weight(self) -> Weight:
        """It as the layer uses it."""
        parts, form = self._plain()
        if self._lora is None:
            return Weight(self._shape, parts, form)
        rank = self._lora.rank
        added = self._weights.take_named(
            (f"lora_{self._name}_a", (*self._shape[:-1], rank)),
            (f"lora_{self._name}_b", (rank, self._shape[-1])),
        )
        if not added:
            return Weight(self._shape, parts, form)
        how = f"{form.how}, {self._lora.share:g} of a LoRA added"
        read = partial(_with_lora, form, self._lora.share)
        return Weight(self._shape, (*parts, *added), Form(how, read, _lost, lossy="not undone"))

    def _plain(self) -> tuple[tuple[Stored, ...], Form]:
        """Without LoRA: the arrays, of which the first has the dtype of the matrix, and how."""
        if self._quantization is None:
            return (self._first,), AS_IS
        how, block = f"{self._quantization.mode} with its scales", self._quantization.block
        scales = [self._shape[self._scaled]]
        if block:
            scales.insert(1 - self._scaled, -(-self._shape[1 - self._scaled] // block))
        scale = self._weights.take(f"{self._name}_scale", tuple(scales))
        others: tuple[Stored, ...] = ()
        if block:
            others = (
                self._weights.take(f"{self._name}_zero", tuple(scales), whole=True),
                self._weights.take("g_idx", (self._shape[1 - self._scaled],)),
            )
        return (scale, self._first, *others), Form(how, self._dequantized, _lost, lossy="rounded")

    def _dequantized(self, arrays: Sequence[Array]) -> Array:
        """As Keras computes it where the matrix is used, in the dtype of the scales."""
        scale, stored, *others = arrays
        if self._packed:
            stored = _unpacked(stored, self._shape[1])
        if not others:
            with np.errstate(divide="ignore", invalid="ignore"):
                quotient: Array = stored / np.expand_dims(scale, 1 - self._scaled)
            return quotient.astype(scale.dtype, copy=False)
        zero, index = others
        axis = 1 - self._scaled
        if not ((index >= 0) & (index < scale.shape[axis]) & (index == np.floor(index))).all():
            raise WeightError(
                f"g_idx of {self._where} names blocks that are not there",
                context=f"{scale.shape[axis]} blocks",
                hint="the file may be damaged; save the model again",
                code="g-idx",
            )
        groups = index.astype(np.int64)
        difference = stored - np.take(zero, groups, axis).astype(scale.dtype)
        whole: Array = difference * np.take(scale, groups, axis)
        return whole


def _unpacked(packed: Array, size: int) -> Array:
    """Two numbers from -8 to 7 of each byte, `size` of them along the last axis."""
    halves = np.stack([packed << 4, packed], -1) >> 4  # of int8: the sign is kept
    return halves.reshape(len(packed), -1)[:, :size]


def _with_lora(form: Form, share: float, arrays: Sequence[Array]) -> Array:
    *parts, a, b = arrays
    matrix = form.read(parts)
    added = share * (a.astype(np.float64) @ b.astype(np.float64))
    return (matrix + added).astype(matrix.dtype)


def _lost(_: Array) -> tuple[Array, ...]:
    """What is stored cannot be made of the matrix again."""
    return ()


def _lora(config: Config) -> Lora | None:
    if config.value("lora_rank", default=None) is None:
        config.must_be("lora_alpha", None, code="stored-weights", hint="give it a lora_rank too")
        return None
    rank = config.integer("lora_rank")
    if config.value("lora_alpha", default=None) is None:
        return Lora(rank, 1.0)
    return Lora(rank, config.number("lora_alpha") / rank)


def _quantization(config: Config, writer: Writer) -> Quantization | None:
    """What the dtype and the settings of a layer say; its dtype is a plain one afterwards."""
    settings = config.value("quantization_config", default=None)
    mode, source = _policy(config)
    if mode is None:
        return None
    if source != "float32":
        raise _refused(config, mode, f"from {source}", "set its dtype policy to float32 first")
    config.instead("dtype", source)
    match = _MODE.fullmatch(mode)
    if match is None:
        raise _refused(config, mode, "its own arithmetic", _BEFORE)
    if match[1] == "int4" and writer.number < FIRST_INT4:
        raise _refused(
            config,
            mode,
            f"Keras {writer.version or 'of no known version'}; read from 3.14 on, where it changed",
            "quantise the model with Keras 3.14 or later, and give the whole file",
        )
    block = int(match[2] or -1)
    of_inputs = "AbsMaxQuantizer, the default" if match[1] == "int8" else None
    if settings is not None:
        _, inner = serialized(settings, f"quantization_config of {config.where}")
        view = Config("quantization_config", config.name, inner, config.file)
        quantizer = view.value("activation_quantizer", default=None)
        of_inputs = None if quantizer is None else shown(quantizer)
        view.value("weight_quantizer", default=None)  # it has done its work
        said = view.value("block_size", default=None)
        view.done()
        if said is not None and said != block:
            raise view.wrong("block_size", said, f"{block}, as the dtype says")
    return Quantization(match[1], max(block, 0), of_inputs)


def _policy(config: Config) -> tuple[str | None, str]:
    """The mode of a quantised dtype and the dtype from which it is; (None, "") of another."""
    value = config.value("dtype", default=None)
    if isinstance(value, str) and (match := _BY_NAME.fullmatch(value)):
        return match[1], match[2]
    if not isinstance(value, dict) or value.get("class_name") not in POLICIES:
        return None, ""
    kind, inner = serialized(value, f"dtype of {config.where}")
    view = Config(kind, config.name, inner, config.file)
    mode, source = view.text("mode"), view.text("source_name")
    if kind == "QuantizedFloat8DTypePolicy":
        view.integer("amax_history_length", most=MAX_SIZE, default=1)
    view.done()
    return mode, source


def _refused(config: Config, mode: str, found: str, hint: str) -> UnsupportedError:
    return UnsupportedError(
        f"{config.where} is quantised in a way that no layer of float weights computes",
        context=f"{mode}: {found}",
        hint=hint,
        code="quantized",
    )
