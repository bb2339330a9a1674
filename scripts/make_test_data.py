"""Builds the models in tests/data with real Keras, and records what Keras answers.

Run from the root, each time under the interpreter that has that Keras:

    python -m scripts.make_test_data --keras keras3      Keras 3
    python -m scripts.make_test_data --keras keras215    TensorFlow 2.15, Keras 2.15
    python -m scripts.make_test_data --keras tfkeras     tf_keras
    python -m scripts.make_test_data --keras bad         Keras 3, after the others
    python -m scripts.make_test_data --keras savedmodel  TensorFlow 2.15, Keras 2.15
    python -m scripts.make_test_data --keras tfjs        the same, and tensorflowjs 4.17
    python -m scripts.make_test_data --keras shards      tf_keras, and TensorFlow 2.16 or newer
    python -m scripts.make_test_data --keras export      Keras 3
    python -m scripts.make_test_data --keras cudnn       TensorFlow 2.15, Keras 2.15
    python -m scripts.make_test_data --keras weights215  the same
    python -m scripts.make_test_data --keras weights3    Keras 3

The same versions give the same weights, inputs and answers each time; the files differ in the
date that Keras writes into them. tests/data/README.md says what is there.
"""

import argparse
import importlib
import logging
import os
import sys
import warnings

from scripts import test_data
from scripts.test_data import bad, cudnn, savedmodel, weights_alone, writing

MODULES = {
    "keras3": "keras",
    "keras215": "keras",
    "tfkeras": "tf_keras",
    "bad": "keras",
    "savedmodel": "keras",
    "tfjs": "keras",
    "shards": "tf_keras",
    "export": "keras",
    "cudnn": "keras",
    "weights215": "keras",
    "weights3": "keras",
}
VERSIONS = {
    "keras3": "3.",
    "keras215": "2.15.",
    "tfkeras": "2.",
    "bad": "3.",
    "savedmodel": "2.15.",
    "tfjs": "2.15.",
    "shards": "2.",
    "export": "3.",
    "cudnn": "2.15.",
    "weights215": "2.15.",
    "weights3": "3.",
}


def main() -> int:
    """Writes what was asked for; 2 where this interpreter has another Keras."""
    parser = argparse.ArgumentParser(description="Build the models in tests/data.")
    parser.add_argument("--keras", choices=MODULES, required=True, help="which files to write")
    parser.add_argument("--only", metavar="NAME", help="write this one alone")
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its order of summation is the machine's
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    logging.getLogger("absl").setLevel(logging.ERROR)  # that HDF5 is legacy
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", UserWarning)
    keras = importlib.import_module(MODULES[arguments.keras])
    if not keras.__version__.startswith(VERSIONS[arguments.keras]):
        print(
            f"error: {arguments.keras} needs Keras {VERSIONS[arguments.keras]}x\n"
            f"  found: {keras.__version__} in {sys.executable}",
            file=sys.stderr,
        )
        return 2
    written_by = f"{MODULES[arguments.keras]} {keras.__version__}"
    if arguments.keras == "bad":
        bad.write_all(keras, written_by, arguments.only)
    elif any(tree.who == arguments.keras for tree in savedmodel.TREES):
        savedmodel.write_all(keras, arguments.keras, written_by, arguments.only)
    elif arguments.keras == "cudnn":
        cudnn.write_all(keras, written_by, arguments.only)
    elif arguments.keras in ("weights215", "weights3"):
        weights_alone.write_all(keras, written_by, arguments.only)
    else:
        print(f"{len(test_data.ARCHITECTURES)} architectures are known")
        writing.write_all(keras, arguments.keras, written_by, arguments.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
