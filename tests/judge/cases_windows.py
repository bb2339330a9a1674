"""What Keras is asked about other convolutions than plain ones, and what changes lengths."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.judge.case import FIRST, KERAS_3, Case, Keras, one


def transposing() -> Iterator[Case]:
    yield from _by_channel()
    old = ("tf_keras",)
    for padding, stride, size in product(("valid", "same"), (1, 2, 3), (1, 2, 3, 4)):
        for more in (None, *range(stride)):
            if (padding, size % 2, more) == ("same", 0, 0):
                continue  # TensorFlow: no convolution gives back the size of the input
            options = {"strides": stride, "padding": padding, "output_padding": more}
            yield Case(
                f"transpose1d-{padding}-stride-{stride}-size-{size}-more-{more}",
                Keras("Conv1DTranspose", {"filters": 3, "kernel_size": size, **options}),
                one((2, 4, 2), (1, 1, 2)),
                KERAS_3,
            )
            if size == 3:
                yield Case(
                    f"old-transpose1d-{padding}-stride-{stride}-more-{more}",
                    Keras("Conv1DTranspose", {"filters": 3, "kernel_size": size, **options}),
                    one((2, 4, 2)),
                    old,
                )
    for kind, size, strides in (
        ("Conv2DTranspose", (3, 2), (2, 1)),
        ("Conv3DTranspose", (3, 2, 1), (1, 2, 3)),
    ):
        rank = len(size)
        shape = (2, *(4, 3, 2)[:rank], 3)
        for padding, first in product(("valid", "same"), (False, True)):
            for name, options in {
                "plain": {},
                "strides": {"strides": strides},
                "more": {"strides": (2, 3, 2)[:rank], "output_padding": 1},
                "dilation": {"dilation_rate": (2, 2, 2)[:rank]},
                "no-bias": {"use_bias": False, "activation": "softmax"},
            }.items():
                layout = FIRST if first else {}
                given = {"filters": 2, "kernel_size": size, "padding": padding}
                called = (2, 3, *shape[1:-1]) if first else shape
                by = ("torch",) if first or name == "dilation" else KERAS_3
                yield Case(
                    f"{kind.lower()}-{padding}-{name}{'-channels-first' * first}",
                    Keras(kind, {**given, **options, **layout}),
                    one(called),
                    by,
                )
    for padding in ("valid", "same"):
        layer = Keras(
            "Conv2DTranspose",
            {"filters": 2, "kernel_size": (3, 2), "padding": padding, "dilation_rate": 2},
        )
        yield Case(f"old-conv2dtranspose-{padding}-dilation", layer, one((2, 4, 5, 3)), old)


def _by_channel() -> Iterator[Case]:
    """Depthwise and separable."""
    for kind, rank, padding, first in product(
        ("Depthwise", "Separable"), (1, 2), ("valid", "same"), (False, True)
    ):
        shape = (2, *(7, 6)[:rank], 3)
        for name, options in {
            "plain": {"kernel_size": (3, 2)[:rank]},
            "strides": {"kernel_size": 3, "strides": 2},
            "dilation": {"kernel_size": 2, "dilation_rate": 2},
            "multiplied": {"kernel_size": 2, "depth_multiplier": 3, "activation": "softplus"},
            "no-bias": {"kernel_size": (2, 3)[:rank], "use_bias": False},
        }.items():
            filters = {"filters": 4} if kind == "Separable" else {}
            layout = FIRST if first else {}
            called = (2, 3, *shape[1:-1]) if first else shape
            layer = Keras(
                f"{kind}Conv{rank}D", {**filters, "padding": padding, **options, **layout}
            )
            case = f"{kind.lower()}{rank}d-{padding}-{name}{'-channels-first' * first}"
            by = ("torch",) if first or name == "multiplied" else KERAS_3
            yield Case(case, layer, one(called), by)
            if not first and name != "multiplied":
                yield Case(f"old-{case}", layer, one(called), ("tf_keras",))
    for name, options in {
        "plain": {},
        "dilation": {"dilation_rate": 2},
        "strides": {"strides": 2},
    }.items():
        layer = Keras(
            "SeparableConv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", **options}
        )
        yield Case(f"old-separable1d-causal-{name}", layer, one((2, 7, 3)), ("tf_keras",))


def resizing() -> Iterator[Case]:
    everyone = (*KERAS_3, "tf_keras")
    for rank, first in product((1, 2, 3), (False, True)):
        sizes = (4, 3, 5)[:rank]
        shape = (2, 3, *sizes) if first else (2, *sizes, 3)
        layout = FIRST if first else {}
        ending = "-channels-first" * first
        sided = ((1, 2), (0, 1), (2, 0))[:rank]
        for name, value in {"one": 1, "sides": sided[0] if rank == 1 else sided}.items():
            # Of one axis, Keras 2 has none with the channels first.
            by = KERAS_3 if rank == 1 and first else everyone
            layer = Keras(f"ZeroPadding{rank}D", {"padding": value, **layout})
            yield Case(f"padding{rank}d-{name}{ending}", layer, one(shape), by)
            if rank == 1 and first:
                continue  # nor has Keras 3 a Cropping1D or an UpSampling1D
            layer = Keras(f"Cropping{rank}D", {"cropping": value, **layout})
            yield Case(f"cropping{rank}d-{name}{ending}", layer, one(shape), everyone)
        if rank == 1 and first:
            continue
        for size in (3,) if rank == 1 else (1, (2, 3, 1)[:rank]):
            layer = Keras(f"UpSampling{rank}D", {"size": size, **layout})
            yield Case(f"sampling{rank}d-{size}{ending}", layer, one(shape), everyone)
        if rank == 2:
            # TensorFlow computes in float32.
            for size in (2, (3, 4)):
                options = {"size": size, "interpolation": "bilinear", **layout}
                layer = Keras("UpSampling2D", options)
                calls = one(shape, (1, 3, 1, 2) if first else (1, 1, 2, 3))
                yield Case(f"sampling2d-bilinear-{size}{ending}", layer, calls, ("torch",))
    layer = Keras("UpSampling2D", {"size": 47})
    yield Case("sampling2d-far", layer, one((1, 2, 3, 1)))


def adapting() -> Iterator[Case]:
    for kind, rank, first in product(("Max", "Average"), (1, 2, 3), (False, True)):
        for name, size in {
            "some": (3, 2, 4)[:rank],
            "all": (1,) * rank,
            "more": (9,) * rank,
        }.items():
            sizes = (7, 6, 5)[:rank]
            layout = FIRST if first else {}
            layer = Keras(f"Adaptive{kind}Pooling{rank}D", {"output_size": size, **layout})
            shape = (2, 2, *sizes) if first else (2, *sizes, 2)
            case = f"adaptive-{kind.lower()}-{rank}d-{name}{'-channels-first' * first}"
            yield Case(
                case, layer, one(shape), KERAS_3 if rank < 3 and name == "some" else ("torch",)
            )
