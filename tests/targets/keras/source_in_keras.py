"""Run as a module, by the Keras that is asked: what it answers for code, and its own defaults.

python -m tests.targets.keras.source_in_keras FOLDER: each folder in it has model.py and inputs.npz,
and gets answers.npz; arguments.json lists classes and arguments, and defaults.json is made.
"""

from __future__ import annotations

import inspect
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main(folder: Path) -> None:
    """Every folder, and the signatures."""
    import keras

    for path in sorted(folder.glob("*/model.py")):
        model = runpy.run_path(str(path))["load"]()
        with np.load(path.with_name("inputs.npz")) as inputs:
            given = [inputs[f"arr_{k}"] for k in range(len(inputs.files))]
        answers = model(given[0] if len(given) == 1 else given)
        flat = answers if isinstance(answers, list | tuple) else [answers]
        arrays = [keras.ops.convert_to_numpy(one) for one in flat]
        np.savez(path.with_name("answers.npz"), *arrays)
    wanted = json.loads((folder / "arguments.json").read_text())
    found = {
        kind: {key: default_of(getattr(keras.layers, kind), key) for key in keys}
        for kind, keys in wanted.items()
    }
    (folder / "defaults.json").write_text(json.dumps(found))


def default_of(layer: Any, key: str) -> Any:
    """The default of an argument, in a list; [] where there is none."""
    signature = inspect.signature(layer.__init__)
    found = signature.parameters.get(key)
    if found is None or found.default is inspect.Parameter.empty:
        return []
    return [found.default]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
