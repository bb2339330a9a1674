"""Models of several files: SavedModels, checkpoints and models of TensorFlow.js, small.

Each is a folder, or a few files of one stem, in tests/data/savedmodel, checkpoint or tfjs. Beside
it NAME.npz has what Keras answers, as for every other file, and each array of each layer as
`get_weights()` gives it: `LAYER|K`, "outer/inner" for a layer in a model.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from scripts.test_data import manifest
from scripts.test_data.answers import recorded
from scripts.test_data.catalogue import Architecture, Keras, Model, chain
from scripts.test_data.weights import draw

Save = Callable[[Keras, Model, Path], None]


@dataclass(frozen=True, slots=True)
class Tree:
    """A model of several files.

    Attributes:
        who: What `--keras` has to say to have it written.
        place: Its path in tests/data, without an ending.
        about: What it shows, in a line.
        build: Gives the model.
        save: Writes it to a path.
        answers: Whether NAME.npz is written.
    """

    who: str
    place: str
    about: str
    build: Callable[[Keras], Model]
    save: Save
    answers: bool = True


TREES: list[Tree] = []


def write_all(keras: Keras, who: str, written_by: str, only: str | None) -> None:
    """Writes every tree that this Keras writes, or those of the name `only`."""
    rows = manifest.read()
    for tree in TREES:
        path = manifest.DATA / tree.place
        if tree.who != who or only not in (None, path.name):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in files(path):
            old.unlink()
        keras.backend.clear_session()
        model = tree.build(keras)
        if hasattr(model, "weights"):
            draw(model, path.name)
        tree.save(keras, model, path)
        if tree.answers:
            np.savez_compressed(path.with_name(f"{path.name}.npz"), **answers(keras, model, path))
        rows["about"][path.name] = tree.about
        for new in files(path):
            rows["files"][manifest.key(new)] = manifest.row(new, written_by)
        print(f"{tree.place}: {sum(new.stat().st_size for new in files(path))} bytes")
    manifest.write(rows)


def files(path: Path) -> list[Path]:
    """All files of a tree."""
    if not path.parent.exists():
        return []
    found = [one for one in path.parent.iterdir() if one.name.split(".")[0] == path.name]
    inner = [one for folder in found if folder.is_dir() for one in folder.rglob("*")]
    return sorted(one for one in (*found, *inner) if one.is_file())


def answers(keras: Keras, model: Model, path: Path) -> dict[str, Any]:
    """The cases of the model, and its arrays."""
    architecture = Architecture(
        name=path.name,
        about="",
        build=lambda _: model,
        written_by=(),
        formats=(),
        lengths=(2, 2, 2) if path.name == "traced" else (1, 2, 7),
        vocabulary=0,
        exact=False,
    )
    arrays = {
        f"{name}|{k}": array
        for name, layer in parts(model)
        for k, array in enumerate(layer.get_weights())
    }
    return {**recorded(keras, architecture, model), **arrays}


def parts(model: Model, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer that is no model."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from parts(layer, f"{prefix}{layer.name}/")
        else:
            yield prefix + layer.name, layer


def layers(keras: Keras) -> Model:
    """Two directions, a model in the model, a TimeDistributed, stacked cells of two kinds."""
    of = keras.layers
    x = keras.Input((None, 3), name="x")
    y = of.Bidirectional(of.LSTM(2, return_sequences=True), name="directions")(x)
    y = of.Dropout(0.5, name="dropout")(y)
    inner = keras.Sequential(
        [keras.Input((None, 4)), of.TimeDistributed(of.Dense(3), name="steps"), batch(keras)],
        name="inner",
    )
    y = inner(y)
    cells = [of.LSTMCell(2), of.GRUCell(2), of.LSTMCell(2)]
    y = of.RNN(cells, name="stack")(y)
    return keras.Model(x, [of.Dense(1, name="head")(y), y], name="layers")


def attention(keras: Keras) -> Model:
    """Heads, and attention with a weight of no axes."""
    of = keras.layers
    x = keras.Input((4, 3), name="x")
    y = of.MultiHeadAttention(2, 3, name="heads")(x, x)
    return keras.Model(x, of.Attention(use_scale=True, name="scaled")([x, y]), name="attention")


def batch(keras: Keras) -> Any:
    """A layer that has weights which are not trained."""
    return keras.layers.BatchNormalization(name="batch")


def sequential(keras: Keras) -> Model:
    """A GRU and a Dense, without an InputLayer in `layers`."""
    of = keras.layers
    return keras.Sequential(
        [of.GRU(2, reset_after=False, input_shape=(None, 3), name="gru"), of.Dense(2, name="dense")]
    )


def unrolled(keras: Keras) -> Model:
    """A SimpleRNN of two steps: a graph that is small even with the functions in it."""
    rnn = keras.layers.SimpleRNN(2, unroll=True, name="rnn")
    return chain(keras, (2, 3), rnn)


def subclassed(keras: Keras) -> Model:
    """A class of its own, with a Dense in it."""

    class Own(keras.Model):  # type: ignore[misc]
        """Code that is in no file."""

        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            """One layer."""
            return self.dense(x)

    model = Own()
    model(np.zeros((1, 3), np.float32))
    return model


def module(_: Keras) -> Any:
    """No Keras at all: a function of TensorFlow."""
    import tensorflow as tf

    class Doubling(tf.Module):  # type: ignore[misc]
        """A function without a layer."""

        @tf.function(input_signature=[tf.TensorSpec([None])])  # type: ignore[untyped-decorator]
        def double(self, x: Any) -> Any:
            """Twice x."""
            return 2 * x

    return Doubling()


def as_folder(_: Keras, model: Model, path: Path) -> None:
    """The folder that Keras 2 writes, without the functions: those are 90 % of it."""
    model.save(path, save_format="tf", save_traces=False)


def traced(_: Keras, model: Model, path: Path) -> None:
    """The same with them."""
    model.save(path, save_format="tf")


def trained(keras: Keras, model: Model, path: Path) -> None:
    """After a step of training: with the state of an optimizer."""
    fit(model)
    as_folder(keras, model, path)


def fit(model: Model) -> None:
    """One step of training, which changes every weight."""
    x = np.random.default_rng(3).normal(size=(2, 4, 3)).astype(np.float32)
    model.compile("adam", "mse")
    model.fit(x, np.ones((2, 2), np.float32), verbose=0)


def exported(_: Keras, model: Model, path: Path) -> None:
    """What Keras 3 writes to serve a model: no layers."""
    model.export(path, verbose=False)


def saved(_: Keras, model: Model, path: Path) -> None:
    """What TensorFlow itself saves."""
    import tensorflow as tf

    tf.saved_model.save(model, str(path))


def architecture(model: Model, path: Path) -> None:
    """The config beside a checkpoint."""
    path.with_name(f"{path.name}.json").write_text(model.to_json() + "\n", encoding="utf-8")


def weights(_: Keras, model: Model, path: Path) -> None:
    """The weights alone, and the architecture."""
    model.save_weights(f"{path}.ckpt")
    (path.parent / "checkpoint").unlink()
    architecture(model, path)


def training(_: Keras, model: Model, path: Path) -> None:
    """The model as a part of something else, and the state of an optimizer."""
    import tensorflow as tf

    fit(model)
    tf.train.Checkpoint(net=model, optimizer=model.optimizer).write(str(path))
    architecture(model, path)


def sharded(_: Keras, model: Model, path: Path) -> None:
    """In shards of at most 200 bytes."""
    import tensorflow as tf

    policy = tf.train.experimental.MaxShardSizePolicy(max_shard_size=200)
    options = tf.train.CheckpointOptions(experimental_sharding_callback=policy)
    model.save_weights(f"{path}.ckpt", options=options)
    (path.parent / "checkpoint").unlink()
    architecture(model, path)


def saver(_: Keras, model: Model, path: Path) -> None:
    """By TensorFlow 1's Saver: names of variables, and no graph of objects."""
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=[variable.name.split(":")[0] for variable in model.weights],
        shape_and_slices=[""] * len(model.weights),
        tensors=[variable.read_value() for variable in model.weights],
    )
    architecture(model, path)


def convert(model: Model, path: Path, **options: Any) -> None:
    """The folder that tensorflowjs writes."""
    tensorflowjs = import_module("tensorflowjs")
    tensorflowjs.converters.save_keras_model(model, str(path), **options)


def plain(_: Keras, model: Model, path: Path) -> None:
    """One shard."""
    convert(model, path)


def quantized(kind: str) -> Save:
    """Quantised to `kind`, in shards of 100 bytes."""

    def save(_: Keras, model: Model, path: Path) -> None:
        convert(model, path, quantization_dtype_map={kind: "*"}, weight_shard_size_bytes=100)

    return save


SAVED, CHECKPOINT, TFJS = "savedmodel", "checkpoint", "tfjs"

TREES += [
    Tree(SAVED, "savedmodel/layers", "Keras 2.15's folder; the graph has no functions",
         layers, as_folder),
    Tree(SAVED, "savedmodel/trained", "the same of a Sequential, with the state of an optimizer",
         sequential, trained),
    Tree(SAVED, "savedmodel/attention", "heads, whose parts are attributes with an underscore",
         attention, as_folder),
    Tree(SAVED, "savedmodel/traced", "the same with the functions that TensorFlow would execute",
         unrolled, traced),
    Tree(SAVED, "savedmodel/own_class", "a class of its own: its config is empty",
         subclassed, traced, answers=False),
    Tree(SAVED, "savedmodel/module", "no Keras: a tf.Module with one function",
         module, saved, answers=False),
    Tree(SAVED, "checkpoint/weights", "model.save_weights of Keras 2.15", layers, weights),
    Tree(SAVED, "checkpoint/training", "tf.train.Checkpoint of a model and its optimizer",
         sequential, training),
    Tree(SAVED, "checkpoint/saver", "TensorFlow 1's way: names, and no graph of objects",
         sequential, saver, answers=False),
    Tree("shards", "checkpoint/sharded", "model.save_weights in shards of 200 bytes",
         layers, sharded),
    Tree("export", "savedmodel/exported", "model.export of Keras 3: no layers",
         unrolled, exported, answers=False),
    Tree(TFJS, "tfjs/float32", "tensorflowjs 4.17 from Keras 2.15", layers, plain),
    Tree(TFJS, "tfjs/uint8", "the same in whole numbers of a byte", layers, quantized("uint8")),
    Tree(TFJS, "tfjs/uint16", "the same in two bytes", layers, quantized("uint16")),
    Tree(TFJS, "tfjs/float16", "the same in half precision", layers, quantized("float16")),
]  # fmt: skip
