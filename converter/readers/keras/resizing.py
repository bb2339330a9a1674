"""Layers that make images and sequences longer or shorter."""

from __future__ import annotations

from converter.description import (
    Cropping,
    Era,
    Interpolation,
    Layer,
    Shape,
    UpSampling,
    ZeroPadding,
)
from converter.description.resizing import Ends
from converter.dtypes import HALVES
from converter.errors import UnsupportedError
from converter.readers.keras.config import MAX_SIZE, Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import reads
from converter.readers.keras.weights import Weights
from converter.readers.strict import shown

RANKS = {"1D": 1, "2D": 2, "3D": 3}


@reads(*(f"UpSampling{rank}" for rank in RANKS))
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, writer: Writer) -> Layer:
    return UpSampling(
        **config.base(),
        size=config.sizes("size", "length", rank=RANKS[config.kind[-2:]], default=2),
        interpolation=_interpolation(config, writer),
        channels_first=config.channels_first(),
    )


def _interpolation(config: Config, writer: Writer) -> Interpolation:
    """The way in between; only those that PyTorch and every TensorFlow compute alike."""
    word = config.value("interpolation", default="nearest")
    if word == "nearest":
        return Interpolation.NEAREST
    # TensorFlow 1 aligned elements in another way: resize_bilinear without half-pixel centres.
    early = writer.era is Era.KERAS_2 or writer.number <= (2, 2)
    if word == "bilinear" and not early:
        _check_dtype(config, writer)
        return Interpolation.BILINEAR
    raise UnsupportedError(
        f"interpolation of {config.where} is not read",
        context=f"{shown(word)} of Keras {writer.version}; known: nearest, "
        "and bilinear from TensorFlow 2 on",
        hint="use one of these, and save the model again",
        code="interpolation",
    )


def _check_dtype(config: Config, writer: Writer) -> None:
    """Refuse what does not give the dtype of its policy, or not with its digits.

    Raises:
        UnsupportedError: It is not cast to half precision at the end, as Keras 3 does.
    """
    dtype, _ = config.policy()
    if dtype != "float32" and not (writer.keras_3 and dtype in HALVES):
        raise UnsupportedError(
            f"{config.where} interpolates in float32, though its dtype is {dtype}",
            context="TensorFlow resizes images in float32, whatever it is given",
            hint="set its dtype policy to float32 and save the model again",
            code="dtype-policy",
        )


@reads(*(f"ZeroPadding{rank}" for rank in RANKS))
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    return ZeroPadding(
        **config.base(), ends=_ends(config, "padding", 1), channels_first=config.channels_first()
    )


@reads(*(f"Cropping{rank}" for rank in RANKS))
def _(config: Config, _inputs: tuple[Shape, ...], _weights: Weights, _writer: Writer) -> Layer:
    default = 1 if config.kind == "Cropping1D" else 0
    return Cropping(
        **config.base(),
        ends=_ends(config, "cropping", default),
        channels_first=config.channels_first(),
    )


def _ends(config: Config, key: str, default: int) -> Ends:
    """How much at both ends of each axis: one number, one an axis, or two an axis."""
    rank = RANKS[config.kind[-2:]]
    value = config.value(key, default=default)
    each = [value] * rank if isinstance(value, int) else value
    if rank == 1 and isinstance(each, list | tuple) and len(each) == 2:
        each = [each]
    if rank == 2 and isinstance(each, list | tuple) and len(each) == 4:  # of Keras 1
        each = [each[:2], each[2:]]
    pairs = (
        tuple((one, one) if isinstance(one, int) else one for one in each)
        if isinstance(each, list | tuple) and len(each) == rank
        else ()
    )
    if not pairs or not all(
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all(type(n) is int and 0 <= n <= MAX_SIZE for n in pair)
        for pair in pairs
    ):
        raise config.wrong(key, value, f"two whole numbers for each of {rank} axes")
    return tuple((before, behind) for before, behind in pairs)
