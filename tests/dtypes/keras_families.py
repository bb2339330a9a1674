"""Models of one family each, in the global dtype policy; and of one operation each, in a dtype."""

import numpy as np

from tests.operations import keras_operations


def of_families(k):
    """Those that tf_keras has as well, each by its name."""
    layers = k.layers
    x, s = k.Input((6, 4), name="x"), k.Input((5, 4), name="s")
    both = [x, s]
    for name, made in {
        "dot": layers.Attention(use_scale=True),
        "concat": layers.Attention(use_scale=True, score_mode="concat"),
        "additive": layers.AdditiveAttention(),
    }.items():
        output, scores = made(both, return_attention_scores=True)
        yield f"attention_{name}", k.Model(both, [output, scores])
    yield "attention_plain", k.Model(both, layers.Attention()(both))
    causal = layers.Attention()([x, x], use_causal_mask=True)
    yield "attention_causal", k.Model(x, causal)
    masked = layers.Masking(-1.0)
    yield "attention_masked", k.Model(both, layers.Attention()([masked(x), masked(s)]))
    q, v = (k.Input(size, name=key, dtype="bool") for key, size in (("q", (6,)), ("v", (5,))))
    made = layers.Attention()
    yield "attention_of_nothing", k.Model([*both, q, v], made(both, mask=[q, v]))
    for name, settings in {"heads": {}, "wide_heads": {"value_dim": 5, "output_shape": 6}}.items():
        made = layers.MultiHeadAttention(2, 4, **settings)
        yield name, k.Model(both, made(x, s))
    output, scores = layers.MultiHeadAttention(2, 3)(x, s, return_attention_scores=True)
    yield "heads_scores", k.Model(both, [output, scores])
    yield "heads_causal", k.Model(x, layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True))
    yield "heads_masked", k.Model(both, layers.MultiHeadAttention(2, 4)(masked(x), masked(s)))
    mask = k.Input((6, 5), name="mask", dtype="bool")
    for name, rate in {"heads": 0, "dropped_heads": 0.5}.items():
        made = layers.MultiHeadAttention(2, 4, dropout=rate)(x, s, attention_mask=mask)
        yield f"{name}_of_nothing", k.Model([*both, mask], made)
    mask = k.Input((6, 4), name="mask", dtype="bool")
    yield "softmax_of_nothing", k.Model([x, mask], layers.Softmax()(x, mask=mask))
    image = k.Input((3, 4, 2), name="x")
    yield "group_norm", k.Model(x, layers.GroupNormalization(2)(layers.Dense(4)(x)))
    yield "group_norm_image", k.Model(image, layers.GroupNormalization(2)(image))
    yield "unit_norm", k.Model(x, layers.UnitNormalization()(x))
    yield "up_sampling", k.Model(image, layers.UpSampling2D(3, interpolation="bilinear")(image))
    yield "rescaling", k.Model(x, layers.Rescaling(0.1, offset=[0.3, -1.0, 2.2, 0.7])(x))
    given = layers.Normalization(mean=[0.3, 1.7, -2.1, 0.1], variance=[0.3, 2.3, 1.7, 0.9])
    yield "normalization", k.Model(x, given(x))
    adapted = layers.Normalization()
    yield "normalization_adapted", k.Model(x, adapted(x))
    back = layers.Normalization(mean=0.3, variance=2.3, invert=True)
    yield "normalization_inverse", k.Model(x, back(x))


def of_keras_3(k):
    """Those that Keras 3 alone has."""
    layers = k.layers
    x, s = k.Input((6, 4), name="x"), k.Input((5, 4), name="s")
    yield "rms_norm", k.Model(x, layers.RMSNormalization()(layers.Dense(4)(x)))
    y, z = layers.Dense(4)(x), layers.Dense(4)(x)
    yield "dot", k.Model(x, layers.Dot(2, normalize=True)([y, z]))
    bins = layers.Discretization([-1.0, 0.1, 0.7], output_mode="one_hot")
    yield "bins", k.Model(x, [bins(x), bins(layers.Dense(4, dtype="float16")(x))])
    tokens = k.Input((4,), name="x", dtype="int32")
    encoded = layers.CategoryEncoding(30, output_mode="one_hot")
    yield "categories", k.Model(tokens, encoded(tokens))
    yield "grouped_heads", k.Model([x, s], layers.GroupQueryAttention(4, 4, 2)(x, s))


def of_operations(k, dtype):
    """Each operation, on inputs of a dtype."""
    o, shape = k.ops, (5, 4)
    row = np.array([0.1, 1, 2, 3])
    operations = keras_operations.keras_3(k)
    for name, (function, shapes) in {
        **{key: case for key, case in operations.items() if key not in ("remainder", "cumsum")},
        "remainders": (lambda a, b: a % b, [shape, shape]),
        "clip": (lambda a: o.clip(a, -0.3, 0.7), [shape]),
        "tenths": (lambda a: 0.1 * a + 0.7, [shape]),
        "constant_half": (lambda a: a * row.astype("float16"), [shape]),
        "constant_double": (lambda a: a * row, [shape]),
        "cast": (lambda a: o.cast(a * 0.3, "float16") - a, [shape]),
        "product_of_two": (lambda a: o.cast(a, "float32") @ a[:, :4], [shape]),
        "cumsum": operations["cumsum"],
    }.items():
        given = []
        for key, sizes in zip("ab", shapes, strict=False):
            whole = sizes[0] == "int32"
            size = sizes[1:] if whole else sizes
            given.append(k.Input(size, name=key, dtype="int32" if whole else dtype))
        yield f"operation_{name}", k.Model(given, function(*given))
