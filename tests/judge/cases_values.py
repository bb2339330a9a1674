"""What Keras is asked about layers that normalize and prepare values."""

from __future__ import annotations

from collections.abc import Iterator

from tests.judge.case import KERAS_3, Case, Keras, one

EVERYONE = (*KERAS_3, "tf_keras")


def scaling() -> Iterator[Case]:
    shape = (3, 4, 5, 6)
    for name, options in {
        "plain": {"groups": 2},
        "axis-1": {"groups": 2, "axis": 1},
        "axis-from-the-end": {"groups": 5, "axis": -2},
        "instances": {"groups": -1},
        "one-group": {"groups": 1, "epsilon": 0.1},
        "no-scale": {"groups": 3, "scale": False},
        "no-center": {"groups": 3, "center": False},
        "neither": {"groups": 3, "scale": False, "center": False},
    }.items():
        yield Case(f"group-{name}", Keras("GroupNormalization", options), one(shape), EVERYONE)
    layer = Keras("GroupNormalization", {"groups": 2})
    yield Case("group-vectors", layer, one((3, 6)), EVERYONE)
    yield Case("group-sequences", layer, one((3, 5, 6), (1, 2, 6)), EVERYONE)
    for name, options in {
        "plain": {},
        "axes": {"axis": [-1, -2]},
        "all": {"axis": [1, 2, 3], "epsilon": 0.1},
    }.items():
        yield Case(f"rms-{name}", Keras("RMSNormalization", options), one(shape))
    for name, options in {
        "plain": {},
        "axis-1": {"axis": 1},
        "axes": {"axis": [1, 2]},
        "axes-from-the-end": {"axis": [-1, -3]},
    }.items():
        for by in (KERAS_3, ("tf_keras",)):
            old = "old-" if by != KERAS_3 else ""
            layer = Keras("UnitNormalization", options)
            yield Case(f"{old}unit-{name}", layer, one(shape), by)
    for size in (0.0, 1e-13, 1e-12, 1e-9, 1e-7, 1e-6):  # where the least norm shows
        layer = Keras("UnitNormalization")
        yield Case(f"unit-of-size-{size}", layer, one((3, 4)), KERAS_3, size=size)
        yield Case(f"old-unit-of-size-{size}", layer, one((3, 4)), ("tf_keras",), size=size)
        layer = Keras("Dot", {"axes": 1, "normalize": True})
        case = f"old-dot-of-size-{size}"
        yield Case(case, layer, (((3, 4), (3, 4)),), ("tf_keras",), size=size)


def preparing() -> Iterator[Case]:
    shape = (3, 4, 5)
    for kind in ("Identity", "ActivityRegularization"):
        yield Case(kind.lower(), Keras(kind), one(shape), EVERYONE)
    for name, options in {
        "plain": {"scale": 0.25},
        "offset": {"scale": -2.0, "offset": -0.5},
        "only-offset": {"scale": 1.0, "offset": 3.5},
        "lists": {"scale": [0.5, 2.0, -1.0, 3.0, 0.125], "offset": [1.0, 0.0, 0.5, -1.0, 2.0]},
    }.items():
        yield Case(f"rescaling-{name}", Keras("Rescaling", options), one(shape), EVERYONE)
    sizes = [4.0, 3.0, 2.0, 0.5]
    # Numbers that float32 has, in which TensorFlow takes lists.
    vectors = {"mean": [0.5, -1.0, 2.0, 0.125, 1.0], "variance": [2.0, 0.5, 1.0, 4.0, 0.0]}
    for name, options in {
        "found": {},
        "found-inverted": {"invert": True},
        "found-axis-1": {"axis": 1},
        "found-axes": {"axis": [-1, 1]},
        "found-one": {"axis": None},
        "numbers": {"axis": None, "mean": 3.0, "variance": 2.0},
        "numbers-inverted": {"axis": None, "mean": -3.0, "variance": 0.0, "invert": True},
        "number-of-each": {"mean": 3.0, "variance": 2.0},
        "vectors": vectors,
        "vectors-inverted": {**vectors, "invert": True},
        "vectors-axis-1": {"axis": 1, "mean": sizes[::-1], "variance": sizes},
    }.items():
        layer = Keras("Normalization", options)
        yield Case(f"normalization-{name}", layer, one(shape, (1, 4, 5)), EVERYONE)
    for mode, last in (("one_hot", 1), ("one_hot", 4), ("multi_hot", 4), ("count", 4)):
        layer = Keras("CategoryEncoding", {"num_tokens": 6, "output_mode": mode})
        # tf.keras encodes to rank 2 at most, where Keras 3 is given several numbers.
        by = KERAS_3 if (mode, last) == ("one_hot", 4) else EVERYONE
        for dtype in ("int32", "int64", "float64"):
            case = f"encoding-{mode}-of-{last}-{dtype}"
            yield Case(case, layer, one((5, last)), by, indices=6, index_dtype=dtype)
    bins = [-1.0, -0.25, 0.1, 0.1, 1.5]
    for mode, last in (("int", 4), ("one_hot", 1), ("multi_hot", 4), ("count", 4)):
        layer = Keras("Discretization", {"bin_boundaries": bins, "output_mode": mode})
        yield Case(f"bins-{mode}", layer, one((9, last)), EVERYONE)
    layer = Keras("Discretization", {"bin_boundaries": [1, 2, 4]})
    yield Case("bins-of-indices", layer, one((9, 4)), EVERYONE, indices=6)
