"""What Keras is asked: every layer with its options. The child that asks and the tests read it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from converter.activations import ACTIVATIONS
from tests.judge.case import FIRST, KERAS_3, QUICK, Case, Keras, Shapes, one
from tests.judge.cases_values import preparing, scaling
from tests.judge.cases_windows import adapting, resizing, transposing


def sequences(features: int) -> tuple[Shapes, ...]:
    """One step, several, and as many as the comparison is good for (8, see `TOLERANCE`)."""
    return one((3, 5, features), (1, 1, features), (2, 8, features))


# Recurrent layers

CELLS = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {"reset_after": True}),
    "gru-reset-before": ("GRU", {"reset_after": False}),
    "rnn": ("SimpleRNN", {}),
}

ELEMENTWISE = sorted(set(ACTIVATIONS) - {"softmax", "log_softmax", "sparsemax", "glu"})

EXACT = {"gelu": ("torch",), "leaky_relu": ("torch",), "softplus": ("tensorflow",)}
"""TensorFlow keeps gelu's constant and leaky_relu's slope in float32, even in float64; Keras on
PyTorch takes softplus(x) as x beyond 20, where it is 2e-9 more."""


def cell(name: str, units: int = 3, **arguments: Any) -> Keras:
    """A recurrent layer by its name in `CELLS`."""
    kind, fixed = CELLS[name]
    return Keras(kind, {"units": units, **fixed, **arguments})


def bidirectional(layer: Keras, **arguments: Any) -> Keras:
    return Keras("Bidirectional", {"layer": layer, **arguments})


def recurrent() -> Iterator[Case]:
    for name in CELLS:
        yield Case(name, cell(name), sequences(4))
        yield Case(f"{name}-as-many-features-as-units", cell(name), sequences(3))
        yield Case(f"{name}-one-feature-one-unit", cell(name, 1), sequences(1))
        yield Case(f"{name}-no-bias", cell(name, use_bias=False), sequences(4))
        for sequence, state, backwards in product((False, True), repeat=3):
            options = {"return_sequences": sequence, "return_state": state}
            words = [word for word in options if options[word]] + ["backwards"] * backwards
            layer = cell(name, go_backwards=backwards, **options)
            by = KERAS_3 if name == "lstm" else QUICK
            yield Case("-".join([name, *words, "options"]), layer, sequences(4), by)
        states = 2 if name == "lstm" else 1
        yield Case(
            f"{name}-initial-state",
            cell(name, return_sequences=True, return_state=True),
            (((3, 5, 4), *((3, 3),) * states), ((1, 1, 4), *((1, 3),) * states)),
            states=states,
        )
        for merge, sequence in product(("concat", "sum", "mul", "ave", None), (False, True)):
            inner = cell(name, return_sequences=sequence, return_state=merge in ("sum", None))
            yield Case(
                f"{name}-both-{merge}{'-sequence' * sequence}",
                bidirectional(inner, merge_mode=merge),
                sequences(4),
                KERAS_3 if merge in ("concat", None) else QUICK,
            )
        yield Case(
            f"{name}-both-initial-states",
            bidirectional(cell(name, return_sequences=True, return_state=True)),
            (((3, 5, 4), *((3, 3),) * 2 * states),),
            states=2 * states,
        )
    yield Case(
        "both-different",
        bidirectional(
            cell("lstm", 3, return_sequences=True, return_state=True),
            backward_layer=cell(
                "lstm",
                2,
                return_sequences=True,
                return_state=True,
                go_backwards=True,
                activation="relu",
                use_bias=False,
            ),
        ),
        sequences(4),
    )
    for sequence in (False, True):
        name = f"both-turned-round{'-sequence' * sequence}"
        forward = cell("gru", go_backwards=True, return_sequences=sequence)
        layer = bidirectional(forward, backward_layer=cell("gru", return_sequences=sequence))
        yield Case(name, layer, sequences(4))
        yield Case(f"old-{name}", bidirectional(forward), sequences(4), ("tf_keras",))
    for activation in ELEMENTWISE:
        by = EXACT.get(activation, KERAS_3)
        # The exponential of an exponential leaves float64 within a few steps.
        calls, size = (one((3, 2, 4)), 0.1) if activation == "exponential" else (one((3, 4, 4)), 1)
        for place in ("activation", "recurrent_activation"):
            yield Case(
                f"lstm-{activation}-as-{place}",
                cell("lstm", return_sequences=True, **{place: activation}),
                calls,
                by,
                size=size,
            )
    for name in ("gru", "gru-reset-before"):
        chosen = {"activation": "elu", "recurrent_activation": "hard_sigmoid"}
        yield Case(f"{name}-other-activations", cell(name, **chosen), sequences(4))
    yield Case("rnn-other-activation", cell("rnn", activation="relu"), sequences(4))
    yield Case("lstm-softmax", cell("lstm", activation="softmax"), sequences(4))
    for name in CELLS:
        layer = cell(name, return_sequences=True)
        old = {} if name == "rnn" else {"recurrent_activation": "hard_sigmoid"}
        yield Case(f"old-{name}", cell(name, **old), sequences(4), ("tf_keras",))
        for options in ({}, {"go_backwards": True}, {"return_sequences": True}):
            layer = cell(name, time_major=True, return_state=True, **options)
            words = "-".join([f"old-{name}-time-major", *options])
            yield Case(words, layer, one((5, 3, 4), (1, 2, 4)), ("tf_keras",))
    layer = cell("lstm", time_major=True, return_sequences=True)
    yield Case("old-both-time-major", bidirectional(layer), one((5, 3, 4)), ("tf_keras",))


# Core


def core() -> Iterator[Case]:
    for name, shape in {"2": (3, 4), "3": (3, 5, 4), "4": (2, 3, 2, 4)}.items():
        yield Case(f"dense-rank-{name}", Keras("Dense", {"units": 5}), one(shape))
    yield Case("dense-no-bias", Keras("Dense", {"units": 5, "use_bias": False}), one((3, 4)))
    for name in ACTIVATIONS:
        by = EXACT.get(name, KERAS_3)
        dense = Keras("Dense", {"units": 6, "activation": name})
        yield Case(f"dense-{name}", dense, one((2, 9, 5)), by, size=3)
        layer = Keras("Activation", {"activation": name})
        # 20 and more is where softplus and what it is part of are cut off.
        yield Case(f"activation-{name}", layer, one((9, 7, 6)), by, size=10)
    yield Case(
        "old-hard-sigmoid",
        Keras("Activation", {"activation": "hard_sigmoid"}),
        one((9, 4)),
        ("tf_keras",),
        size=2,
    )
    for slope, top, threshold in product((0.0, 0.1), (None, 6.0, 1.5), (0.0, 0.5)):
        options = {"negative_slope": slope, "max_value": top, "threshold": threshold}
        by = ("torch",) if slope and top is None and not threshold else KERAS_3  # leaky_relu
        layer = Keras("ReLU", options)
        yield Case(f"relu-{slope}-{top}-{threshold}", layer, one((9, 7)), by, size=4)
    yield Case("leaky-relu", Keras("LeakyReLU", {"negative_slope": 0.25}), one((9, 7)))
    yield Case("elu", Keras("ELU", {"alpha": 0.7}), one((9, 7)))
    for axis in (-1, 1, 2, (1, 3)):
        yield Case(f"softmax-{axis}", Keras("Softmax", {"axis": axis}), one((2, 3, 4, 5)))
    yield Case("prelu", Keras("PReLU"), one((3, 4, 5)))
    yield Case("prelu-shared", Keras("PReLU", {"shared_axes": [1]}), one((3, 4, 5), (2, 4, 5)))
    table = {"input_dim": 11, "output_dim": 4}
    yield Case("embedding", Keras("Embedding", table), one((3, 5), (1, 1)), indices=11)
    yield Case("embedding-rank-1", Keras("Embedding", table), one((3,)), indices=11)
    yield Case(
        "embedding-float", Keras("Embedding", table), one((3, 5)), indices=11, index_dtype="float64"
    )
    for kind, options in {
        "Dropout": {"rate": 0.5},
        "SpatialDropout1D": {"rate": 0.5},
        "AlphaDropout": {"rate": 0.5},
        "GaussianDropout": {"rate": 0.5},
        "GaussianNoise": {"stddev": 0.5},
    }.items():
        yield Case(kind.lower(), Keras(kind, options), one((3, 4, 5)))
    for name, inner, shape in (
        ("dense", Keras("Dense", {"units": 5, "activation": "tanh"}), (3, 4, 2)),
        ("softmax", Keras("Softmax"), (3, 4, 2)),
        (
            "conv",
            Keras("Conv1D", {"filters": 2, "kernel_size": 3, "padding": "same"}),
            (2, 4, 5, 3),
        ),
        ("flatten", Keras("Flatten"), (2, 4, 5, 3)),
        ("norm", Keras("BatchNormalization"), (3, 4, 2)),
        ("lstm", cell("lstm", return_sequences=True), (2, 3, 4, 5)),
        ("itself", Keras("TimeDistributed", {"layer": Keras("Dense", {"units": 2})}), (2, 3, 4, 5)),
    ):
        yield Case(f"every-step-{name}", Keras("TimeDistributed", {"layer": inner}), one(shape))


# Convolution and pooling


def convolution() -> Iterator[Case]:
    for padding, stride, dilation, groups in product(
        ("valid", "same", "causal"), (1, 2, 3), (1, 2), (1, 2)
    ):
        if stride > 1 and dilation > 1:  # Keras refuses the two together
            continue
        options = {"strides": stride, "dilation_rate": dilation, "groups": groups}
        layer = Keras("Conv1D", {"filters": 6, "kernel_size": 3, "padding": padding, **options})
        name = f"conv1d-{padding}-stride-{stride}-dilation-{dilation}-groups-{groups}"
        yield Case(name, layer, one((2, 7, 4), (1, 8, 4)), KERAS_3 if groups == 1 else QUICK)
    for name, options in {
        "kernel-of-two": {"kernel_size": 2, "padding": "same"},
        "kernel-of-one": {"kernel_size": 1, "strides": 2},
        "stride-over-kernel": {"kernel_size": 2, "strides": 3, "padding": "same"},
        "no-bias": {"kernel_size": 3, "use_bias": False},
        "activation": {"kernel_size": 3, "activation": "softplus"},
        "activation-of-channels": {"kernel_size": 3, "activation": "softmax"},
        "channels-first": {"kernel_size": 3, "activation": "softmax", **FIRST},
    }.items():
        by = ("torch",) if "data_format" in options else KERAS_3
        layer = Keras("Conv1D", {"filters": 6, **options})
        yield Case(f"conv1d-{name}", layer, one((2, 7, 9)), by)
    for kind, size, rest in (("Conv2D", (2, 3), (1, 2)), ("Conv3D", (2, 3, 1), (1, 2, 1))):
        shape = (2, 5, 6, 4) if kind == "Conv2D" else (2, 4, 5, 3, 4)
        for padding, first in product(("valid", "same"), (False, True)):
            for name, options in {
                "plain": {},
                "strides": {"strides": rest[::-1]},
                "dilation": {"dilation_rate": rest},
                "groups": {"groups": 2},
            }.items():
                layout = FIRST if first else {}
                given = {"filters": 2, "kernel_size": size, "padding": padding}
                called = (2, 4, *shape[1:-1]) if first else shape
                # On a CPU TensorFlow convolves with the channels last only.
                by = ("torch",) if first else QUICK if name == "groups" else KERAS_3
                yield Case(
                    f"{kind.lower()}-{padding}-{name}{'-channels-first' * first}",
                    Keras(kind, {**given, **options, **layout}),
                    one(called),
                    by,
                )


def pooling() -> Iterator[Case]:
    shapes = {1: (2, 7, 3), 2: (2, 7, 6, 3), 3: (2, 4, 5, 3, 2)}
    for kind, rank, padding, first in product(
        ("Max", "Average"), (1, 2, 3), ("valid", "same"), (False, True)
    ):
        shape = shapes[rank]
        if first:
            shape = (shape[0], shape[-1], *shape[1:-1])
        for name, options in {
            "plain": {"pool_size": 2},
            "strides": {"pool_size": (3, 2, 2)[:rank], "strides": (2, 3, 1)[:rank]},
        }.items():
            by = KERAS_3
            if rank == 3:
                by = ("torch",)  # TensorFlow's has no float64
            if (kind, padding) == ("Average", "same"):
                if rank == 3:
                    continue  # nobody is exact: test_pooling.py holds it against the others
                by = ("tensorflow",)  # PyTorch's repeats the border, or counts the padding
            yield Case(
                f"{kind.lower()}-{rank}d-{padding}-{name}{'-channels-first' * first}",
                Keras(
                    f"{kind}Pooling{rank}D",
                    {"padding": padding, **options, **(FIRST if first else {})},
                ),
                one(shape),
                by,
            )
        if padding == "valid":
            for keep in (False, True):
                yield Case(
                    f"global-{kind.lower()}-{rank}d{'-kept' * keep}{'-channels-first' * first}",
                    Keras(
                        f"Global{kind}Pooling{rank}D",
                        {"keepdims": keep, **(FIRST if first else {})},
                    ),
                    one(shape),
                )


# Normalization, merging, shaping


def normalization() -> Iterator[Case]:
    for name, options in {
        "plain": {},
        "axis-1": {"axis": 1},
        "axis-2": {"axis": 2},
        "no-scale": {"scale": False},
        "no-center": {"center": False},
        "neither": {"scale": False, "center": False},
        "epsilon": {"epsilon": 0.1},
    }.items():
        layer = Keras("BatchNormalization", options)
        yield Case(f"batch-{name}", layer, one((3, 4, 5, 2), (1, 4, 5, 2)))
    several = Keras("BatchNormalization", {"axis": [3, 1]})
    yield Case("batch-axes-1-3", several, one((3, 4, 5, 2), (1, 4, 5, 2)), ("tf_keras",))
    for name, options in {
        "plain": {},
        "axis-1": {"axis": 1},
        "axes-2-3": {"axis": [2, 3]},
        "axes-1-3": {"axis": [1, 3]},
        "axes-from-the-end": {"axis": [-1, -2]},
        "no-scale": {"scale": False},
        "no-center": {"center": False},
        "epsilon": {"epsilon": 0.1},
        "deviation": {"rms_scaling": True},
        "deviation-axis-2": {"rms_scaling": True, "axis": 2, "epsilon": 0.1},
    }.items():
        # Keras on PyTorch normalizes the last axes whenever these are next to each other.
        by = ("tensorflow",) if name in ("axis-1", "axes-from-the-end") else KERAS_3
        layer = Keras("LayerNormalization", options)
        yield Case(f"layer-{name}", layer, one((3, 4, 5, 2), (1, 4, 5, 2)), by)


def merging() -> Iterator[Case]:
    for kind in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
        for name, shapes in {
            "two": ((3, 4, 5), (3, 4, 5)),
            "three": ((3, 4), (3, 4), (3, 4)),
            "broadcast": ((3, 4, 1), (3, 1, 5)),
            "ranks": ((3, 2, 4, 5), (3, 5)),
        }.items():
            if (kind, name) != ("Subtract", "three"):
                yield Case(f"{kind.lower()}-{name}", Keras(kind), (shapes,))
    for axis in (-1, 1, 2):
        shapes = tuple((2, *(n if k == axis % 3 else 4 for k in (1, 2))) for n in (3, 1, 5))
        yield Case(f"concatenate-{axis}", Keras("Concatenate", {"axis": axis}), (shapes,))
    for name, axes, shapes in (
        ("vectors", 1, ((3, 4), (3, 4))),
        ("vector-matrix", (1, 2), ((3, 4), (3, 5, 4))),
        ("matrix-vector", (1, 1), ((3, 4, 2), (3, 4))),
        ("matrices", (1, 2), ((3, 4, 2), (3, 5, 4))),
        ("last-axes", -1, ((3, 2, 4), (3, 5, 4))),
        ("rank-4", (2, 1), ((2, 3, 4, 5), (2, 4, 3, 2))),
    ):
        for normalize in (False, True):
            yield Case(
                f"dot-{name}{'-normalized' * normalize}",
                Keras("Dot", {"axes": axes, "normalize": normalize}),
                (shapes,),
            )
    for size in (0.0, 1e-9, 1e-7, 1e-6):  # where Keras's epsilon shows
        layer = Keras("Dot", {"axes": 1, "normalize": True})
        yield Case(f"dot-of-size-{size}", layer, (((3, 4), (3, 4)),), size=size)


def shaping() -> Iterator[Case]:
    yield Case("flatten", Keras("Flatten"), one((2, 3, 4, 5), (1, 3, 4, 5)))
    yield Case("flatten-channels-first", Keras("Flatten", FIRST), one((2, 3, 4, 5)))
    yield Case("flatten-rank-2", Keras("Flatten"), one((2, 3)))
    for target in ((12,), (3, 4), (2, -1, 3), (-1,)):
        name = "reshape-" + "-".join(map(str, target))
        yield Case(name, Keras("Reshape", {"target_shape": target}), one((3, 2, 6), (1, 2, 6)))
    for dims in ((1, 2, 3), (3, 1, 2), (2, 3, 1)):
        name = "permute-" + "-".join(map(str, dims))
        yield Case(name, Keras("Permute", {"dims": dims}), one((2, 3, 4, 5)))
    yield Case("repeat", Keras("RepeatVector", {"n": 3}), one((2, 4), (1, 4)))


FAMILIES: dict[str, tuple[Case, ...]] = {
    family.__name__: tuple(family())
    for family in (
        recurrent,
        core,
        convolution,
        transposing,
        pooling,
        adapting,
        resizing,
        normalization,
        scaling,
        preparing,
        merging,
        shaping,
    )
}

CASES = {case.name: case for cases in FAMILIES.values() for case in cases}
assert len(CASES) == sum(map(len, FAMILIES.values())), "two cases of one name"
