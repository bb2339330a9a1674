"""Names that Python, PyTorch or a file system would stumble over."""

from scripts.test_data.catalogue import BOTH, KERAS3_AND_215, Keras, Model, architecture, chain


def named(keras: Keras, names: tuple[str, ...]) -> Model:
    """A chain of small layers, an LSTM at each third place, else a Dense, with these names."""
    layers = keras.layers
    x = y = keras.Input((None, 2), name="the input")
    for i, name in enumerate(names):
        kind = (
            layers.Dense(2, name=name)
            if i % 3
            else layers.LSTM(2, return_sequences=True, name=name)
        )
        y = kind(y)
    return keras.Model(x, y)


@architecture(formats=BOTH)
def names_not_identifiers(keras: Keras) -> Model:
    """Spaces, dashes, digits first, letters beyond ASCII, quotes, a dot, a very long one."""
    return named(
        keras,
        ("my lstm-1", "1st", "größe", "層", 'it\'s "so"', "a.b", "back\\slash", "n" * 200),
    )


@architecture()
def names_reserved(keras: Keras) -> Model:
    """Words that Python keeps for itself, and attributes that torch.nn.Module has."""
    return named(
        keras, ("class", "self", "forward", "training", "None", "x", "parameters", "__init__")
    )


@architecture()
def names_that_collide(keras: Keras) -> Model:
    """Different names that are the same once they are made into identifiers."""
    return named(keras, ("a b", "a-b", "a_b", "a_b_1", "A_B", "a b "))


@architecture(written_by=("keras215",))
def names_slashed(keras: Keras) -> Model:
    """Slashes, which Keras 2 allows and takes for groups."""
    return named(keras, ("a/b", "a", "a/b/c", "b"))


@architecture(written_by=KERAS3_AND_215)
def names_like_counters(keras: Keras) -> Model:
    """Names that are the counters of other layers: the file calls the layers otherwise."""
    layers = keras.layers
    return chain(
        keras,
        (None, 2),
        layers.LSTM(2, return_sequences=True, name="lstm_1"),
        layers.Dense(2, name="dense_1"),
        layers.LSTM(2, return_sequences=True, name="lstm"),
        layers.Dense(2, name="dense"),
    )
