"""Give tf_keras the arrays of an archive that no Keras opens: a process of its own.

`python -m tests.corpus.rebuilt convlstm_model.keras answers.npz`. The archive is read without this
project: its weights lie in HDF5 groups whose names have backslashes.
"""

import io
import json
import sys
import zipfile

import h5py
import numpy as np
import tf_keras


def main(source: str, answers: str) -> None:
    with zipfile.ZipFile(source) as archive:
        config = json.loads(archive.read("config.json"))["config"]
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    layers = []
    for item in config["layers"]:
        values = {k: v for k, v in item["config"].items() if not k.endswith("regularizer")}
        layers.append(getattr(tf_keras.layers, item["class_name"]).from_config(values))
    model = tf_keras.Sequential(layers)
    arrays: list[np.ndarray] = []
    prefix = "_layer_checkpoint_dependencies\\"
    for place in ("conv_lstm2d\\cell", "dense", "dense_2"):  # 2.13 counts in steps of two
        group = weights[f"{prefix}{place}/vars"]
        arrays += [group[str(k)][()] for k in range(len(group))]
    model.set_weights(arrays)
    x = np.random.default_rng(4).normal(size=(3, *model.input_shape[1:])).astype("float32")
    np.savez(answers, x=x, y=np.asarray(model(x)))


if __name__ == "__main__":
    main(*sys.argv[1:])
