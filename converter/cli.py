"""The command `ifco`: each command is one call into the library, and a view of its result.

What a command needs is imported when it runs, so that `ifco --help` is quick.
"""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App, CycloptsError

from converter import __version__
from converter.compare import BATCHES, ROUNDS, RUNTIMES, TIMES
from converter.configuration import Configuration
from converter.errors import ConverterError, FormatError
from converter.printing import (
    Format,
    forget_stdout,
    internal_error,
    progress,
    show,
    show_error,
    usage_error,
)

if TYPE_CHECKING:
    from converter.compare.timings import Timings
    from converter.description import Era
    from converter.verify.verdict import Verdict

To = Literal[
    "pytorch", "onnx", "keras", "h5", "weights.h5", "state-dict", "keras-weights", "keras-source"
]
State = Literal["kept", "explicit"]
Precision = Literal["source", "float16", "float32", "float64"]
Quantize = Literal["none", "int8"]
EraName = Literal["keras-1", "keras-2", "tf-keras", "keras-3"]

INTERRUPTED = 130
BROKEN_PIPE = 141
"""What a shell reports for a process that ended by SIGINT, by SIGPIPE."""


def convert(
    model: Path,
    /,
    *,
    to: To = "pytorch",
    out: Path | None = None,
    force: bool = False,
    verify: bool = True,
    era: EraName | None = None,
    arch: Path | None = None,
    keras_python: Path | None = None,
    opset: int | None = None,
    state: State = "kept",
    precision: Precision = "source",
    half_io: bool = False,
    quantize: Quantize = "none",
    max_deviation: float | None = None,
    run_code: bool = False,
    exit_zero: bool = False,
    format: Format = "text",
) -> int:
    """Turn a model into another form, and verify that it is the same model.

    Ends with 0 if it is done and equal, 1 if the models differ, 2 for wrong usage, 3 if the model
    cannot be read or converted, 4 if it could not be decided.

    Args:
        model: A saved Keras model, an ONNX file or a PyTorch checkpoint; or, with --run-code,
            package.module:build, a function that gives a torch.nn.Module and example inputs for it.
        to: What it becomes. pytorch is a folder with model.py and model.safetensors; onnx is a
            file for onnxruntime and others; keras is a
            file for Keras 3, h5 one for tf_keras and Keras 3, weights.h5 the weights alone;
            state-dict is a .safetensors file of the recurrent layers, as nn.LSTM and nn.GRU;
            keras-weights the weights of a PyTorch checkpoint in a file for load_weights;
            keras-source a folder with model.py, readable Keras code, and model.weights.h5.
        out: Where it is written; by default here, named after model and target.
        force: Replace what is there already.
        verify: Run both and compare; without it nothing says that they are the same, and an
            ONNX file holds no test vector.
        era: The Keras whose meaning the model has, where the file says it wrongly.
        arch: The architecture of weights: JSON, YAML, or another saved model in any form; of a
            PyTorch checkpoint, with --run-code, package.module:build too.
        keras_python: A Python that has Keras, to load and run a Keras file that was written;
            without it the one that runs ifco, if it has.
        opset: Of an ONNX file, from 15; by default one that most runtimes read.
        state: explicit makes the states of recurrent layers inputs and outputs of the model: of
            those that keep them (stateful=True), and of all that read forwards from zeros.
        precision: What the model computes in: float16, float32 or float64 throughout, or each layer
            in what it computes in there.
        half_io: With float16, its inputs and outputs are in it, too; without it they stay as they
            are.
        quantize: int8 rounds the weights of an ONNX file to 8 bits, by onnxruntime's own tool.
        max_deviation: How far an output may be from the source in float64 where something was
            rounded on request, as a part of its largest number: 0.01. What is farther differs.
        run_code: Import package.module and call build, which executes your code.
        exit_zero: End with 0 also if the models differ or it could not be decided.
        format: How the result is printed.
    """
    from converter import conversion
    from converter.artefacts import default_out
    from converter.readers.torch.code import is_code, named, source_of
    from converter.report.json import conversion_as_dict
    from converter.report.text import show_conversion

    with progress(f"converting {model}"):
        module: Any = arch
        source: Any = model
        if arch is not None and is_code(arch):
            module, example_inputs = source_of(arch, run_code=run_code)
        else:
            source, example_inputs = source_of(model, run_code=run_code)
        done = conversion.convert(
            source,
            example_inputs=example_inputs,
            to=to,
            out=out or default_out(named(model), to),
            force=force,
            verify=verify,
            era=era_of(era),
            arch=module,
            keras_python=keras_python,
            opset=opset,
            state=state,
            precision=precision,
            half_io=half_io,
            quantize=quantize,
            max_deviation=max_deviation,
        )
    show(format, lambda console: show_conversion(console, done), lambda: conversion_as_dict(done))
    return 0 if exit_zero or done.verdict is None else done.verdict.status.exit_code


def inspect(
    model: Path,
    /,
    *,
    values: bool | None = None,
    era: EraName | None = None,
    arch: Path | None = None,
    format: Format = "text",
) -> int:
    """Show what is in a saved model: layers, parameters, and each recurrent layer taken apart.

    For a recurrent layer: which arrays it has in Keras and in PyTorch, which columns and rows
    belong to which gate, and how its parameters are counted. Of weights without an architecture,
    what their names and shapes tell.

    Args:
        model: A saved Keras model, an ONNX file or a PyTorch checkpoint.
        values: Print the numbers of recurrent layers; by default those of small layers.
        era: The Keras whose meaning the model has, where the file says it wrongly.
        arch: The architecture of weights: JSON, YAML, or another saved model in any form.
        format: How the result is printed.
    """
    from converter.library import inspect as look
    from converter.report.inspection_text import show_inspection

    try:
        found = look(model, values=values, era=era_of(era), arch=arch)
    except FormatError as error:
        if error.code != "no-architecture":
            raise
        return inspect_weights(model, format, error)
    show(format, lambda console: show_inspection(console, found), found.as_dict)
    return 0


def inspect_weights(path: Path, format: Format, without: FormatError) -> int:
    """Show what weights say that have no architecture.

    Raises:
        FormatError: `without`, where they are of a form that is not looked into.
    """
    from converter.report.weights import looked_into

    found = looked_into(path)
    if found is None:
        raise without
    show(format, *found)
    return 0


def verify(
    original: Path,
    artefact: Path | None = None,
    /,
    *,
    era: EraName | None = None,
    arch: Path | None = None,
    keras_python: Path | None = None,
    state: State = "kept",
    precision: Precision = "source",
    half_io: bool = False,
    quantize: Quantize = "none",
    max_deviation: float | None = None,
    report: Path | None = None,
    force: bool = False,
    exit_zero: bool = False,
    format: Format = "text",
) -> int:
    """Say whether an artefact is the same model as its original.

    Ends with 0 if they are equal, 1 if they differ, 2 for wrong usage, 3 if one cannot be read,
    4 if it could not be decided.

    Args:
        original: A saved model; alone, an ONNX file that convert wrote, which holds some
            inputs and the answers to them.
        artefact: What it became: the folder or the file that convert wrote.
        era: The Keras whose meaning the model has, where the file says it wrongly.
        arch: The architecture of weights: JSON, YAML, or another saved model in any form.
        keras_python: A Python that has Keras, to load and run a Keras file; without it the one
            that runs ifco, if it has.
        state: As it was converted.
        precision: As it was converted.
        half_io: As it was converted.
        quantize: As it was converted.
        max_deviation: How far an output may be from the source in float64 where something was
            rounded on request, as a part of its largest number: 0.01. What is farther differs.
        report: An HTML file to write, which opens offline.
        force: Replace a report that exists.
        exit_zero: End with 0 also if the models differ or it could not be decided.
        format: How the result is printed.
    """
    from converter.report.text import show_verdict
    from converter.verify import verify as decide

    with progress(f"verifying {artefact or original}"):
        verdict = decide(
            original,
            artefact,
            era=era_of(era),
            arch=arch,
            keras_python=keras_python,
            state=state,
            precision=precision,
            half_io=half_io,
            quantize=quantize,
            max_deviation=max_deviation,
        )
    if report is not None:
        write_report(report, verdict, force=force)
    show(format, lambda console: show_verdict(console, verdict), verdict.as_dict)
    return 0 if exit_zero else verdict.status.exit_code


def compare(
    model: Path,
    /,
    *,
    runtimes: str = ",".join(RUNTIMES),
    providers: str | None = None,
    batches: str = ",".join(map(str, BATCHES)),
    times: str = ",".join(map(str, TIMES)),
    rounds: int = ROUNDS,
    threads: int = 1,
    python: str = "",
    keras_python: Path | None = None,
    require_placement: bool = False,
    era: EraName | None = None,
    arch: Path | None = None,
    state: State = "kept",
    precision: Precision = "source",
    report: Path | None = None,
    force: bool = False,
    exit_zero: bool = False,
    format: Literal["text", "json", "markdown"] = "text",
) -> int:
    """Run a saved model in every runtime that is here: the same or not, where it ran, how fast.

    Each runs in a process of its own, and all are measured in turns. A runtime that is not here
    is a row that says why. Ends with 0 if all that ran are equal, 1 if one differs, 2 for wrong
    usage, 3 if the model cannot be read, 4 if it could not be decided.

    Args:
        model: A saved Keras model.
        runtimes: Which, with commas between.
        providers: Of onnxruntime: cpu, cuda, tensorrt, openvino, directml, coreml, qnn, ...; by
            default those that it has.
        batches: Sequences at once.
        times: Steps of each, where the model leaves their number free.
        rounds: How often each is measured at each batch and time.
        threads: That each runtime may use.
        python: Another Python for a provider: openvino=/path/to/python.
        keras_python: A Python that has Keras; without it the one that runs ifco, if it has.
        require_placement: End with 1 if a provider is not there, or left a recurrent layer to
            the CPU.
        era: The Keras whose meaning the model has, where the file says it wrongly.
        arch: The architecture of weights: JSON, YAML, or another saved model in any form.
        state: As convert makes it.
        precision: Likewise.
        report: An HTML file to write, which opens offline.
        force: Replace a report that exists.
        exit_zero: End with 0 also if one differs or it could not be decided.
        format: How the result is printed.
    """
    from converter import typed
    from converter.compare import compare as run_all
    from converter.report.markdown import as_markdown
    from converter.report.timings import show_timings

    with progress(f"comparing runtimes of {model}"):
        found = run_all(
            model,
            runtimes=typed.listed(runtimes),
            providers=None if providers is None else typed.listed(providers),
            batches=typed.numbers(batches, "--batches"),
            times=typed.numbers(times, "--times"),
            rounds=rounds,
            threads=threads,
            python=typed.pairs(python, "--python"),
            keras_python=keras_python,
            era=era_of(era),
            arch=arch,
            state=state,
            precision=precision,
        )
    if report is not None:
        write_report(report, found, force=force)
    if format == "markdown":
        show("text", lambda console: console.out(as_markdown(found), highlight=False), dict)
    else:
        show(format, lambda console: show_timings(console, found), found.as_dict)
    if exit_zero:
        return 0
    return 1 if require_placement and not found.placed else found.status.exit_code


def write_report(path: Path, result: Timings | Verdict, *, force: bool) -> None:
    """Write a result as HTML."""
    from converter.report.html import write_report as write

    write(path, result, force=force)


def doctor(model: Path | None = None, /, *, format: Format = "text") -> int:
    """Say why today's Keras would not open a file or would answer differently, and what to do.

    Without a file: which versions are here, and which extras are installed.

    Args:
        model: A saved Keras model of any age.
        format: How the result is printed.
    """
    from converter.doctor import examine
    from converter.installed import setup
    from converter.report.doctor import show_diagnosis, show_setup

    if model is None:
        here = setup()
        show(format, lambda console: show_setup(console, here), here.as_dict)
        return 0
    found = examine(model)
    show(format, lambda console: show_diagnosis(console, found), found.as_dict)
    return 0


def era_of(name: EraName | None) -> Era | None:
    """`keras-2` as Era.KERAS_2."""
    from converter.description import Era

    return None if name is None else Era[name.replace("-", "_").upper()]


COMMANDS: dict[str, Callable[..., int]] = {
    "convert": convert,
    "inspect": inspect,
    "verify": verify,
    "compare": compare,
    "doctor": doctor,
}


def options_of(command: Callable[..., int]) -> frozenset[str]:
    """The options of a command as they are typed, without their dashes in front."""
    return frozenset(name.replace("_", "-") for name in command.__kwdefaults__ or ())


def make_app() -> App:
    """The command line."""
    from converter.report.help import HelpText

    app = App(
        name="ifco",
        help="Move recurrent networks between Keras, PyTorch and ONNX, and prove that they "
        "are the same.",
        help_epilogue="Every option can also stand in [tool.ifco] of pyproject.toml.",
        version=__version__,
        config=Configuration({name: options_of(command) for name, command in COMMANDS.items()}),
        help_formatter=HelpText(),
        group_parameters="Options",
    )
    for name, command in COMMANDS.items():
        app.command(command, name=name)
    return app


def run(tokens: Sequence[str]) -> int:
    """One command line, as typed; gives the exit code. Errors are printed, never raised."""
    try:
        code = make_app()(
            tokens, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        return show_error(usage_error(error, tokens, COMMANDS), tokens)
    except ConverterError as error:
        return show_error(error, tokens)
    return code or 0


def main() -> int:
    """The entry point: run what was typed, and end as a command should.

    A reader that goes away and Ctrl-C end it quietly. An error that nobody foresaw is shown whole,
    and its exit code is not the one that means "differs".
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(sys.argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        forget_stdout()
        return BROKEN_PIPE
    except Exception as error:
        traceback.print_exc()
        return show_error(internal_error(error), sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
