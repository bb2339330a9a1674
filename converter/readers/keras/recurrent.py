"""LSTM, GRU, SimpleRNN, and Bidirectional of them.

Shape letters: I input features, H units, G gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from converter.description import Direction, Layer, Merge, Recurrent, Shape
from converter.errors import FormatError, UnsupportedError
from converter.readers.keras.cells import RNN, is_stacked
from converter.readers.keras.chain import TwoChains, chains_of
from converter.readers.keras.config import Config
from converter.readers.keras.conv_recurrent import RANKS, two_directions
from converter.readers.keras.cudnn import CUDNN
from converter.readers.keras.direction import (
    CELLS,
    FORCED,
    read_direction,
    read_sequence,
    zeroes,
)
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import reads
from converter.readers.keras.refused import CLASSES
from converter.readers.keras.refused import error as refused
from converter.readers.keras.stacked import read_stacked
from converter.readers.keras.weights import Weights
from converter.readers.strict import shown

BOTH_WAYS = (*CELLS, *CUDNN, RNN, *RANKS)
"""What may be in a Bidirectional."""


@reads("LSTM", "GRU", "SimpleRNN", *CUDNN, several=True)
def _(config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer) -> Layer:
    """One direction."""
    return Recurrent(
        **config.base(),
        forward=read_direction(config, inputs[0], weights, writer),
        zero_output_for_mask=zeroes(config),
        **read_sequence(config, inputs[0], writer),
    )


@reads("Bidirectional", several=True)
def _(
    config: Config, inputs: tuple[Shape, ...], weights: Weights, writer: Writer
) -> Layer | TwoChains:
    """Two directions: a layer, and a copy of it that reads from the end, or another one."""
    mode = config.value("merge_mode", default="concat")
    modes = {None if merge is Merge.SEPARATE else merge.value: merge for merge in Merge}
    if not isinstance(mode, str | None) or mode not in modes:
        raise config.wrong("merge_mode", mode, ", ".join(shown(known) for known in modes))
    forward = _recurrent_child(config, "layer")
    own = forward.own_name.removeprefix("forward_")
    explicit = config.value("backward_layer", default=None) is not None
    if explicit:
        backward = _recurrent_child(config, "backward_layer")
        name = backward.own_name
        names = [name, f"backward_{name}", f"backward_{name.removeprefix('backward_')}"]
    else:
        backward = _recurrent_child(config, "layer")
        names = [f"backward_{forward.own_name}", f"backward_{own}"]
    ahead = weights.part("forward_layer", f"forward_{own}", f"forward_{forward.own_name}")
    back = weights.part("backward_layer", *names)
    if {forward.kind, backward.kind} & RANKS.keys():
        children = forward, backward
        return two_directions(
            config,
            children,
            inputs[0],
            (ahead, back),
            writer,
            merge=modes[mode],
            turned=not explicit,
        )
    if any(child.kind == RNN and is_stacked(child) for child in (forward, backward)):
        return _two_stacks(
            config,
            (forward, backward),
            inputs,
            (ahead, back),
            writer,
            merge=modes[mode],
            turned=not explicit,
        )
    parts = [
        read_direction(forward, inputs[0], ahead, writer),
        read_direction(backward, inputs[0], back, writer, turned=not explicit),
    ]
    sequence, other = (read_sequence(part, inputs[0], writer) for part in (forward, backward))
    for part in (forward, backward):
        zeroes(part)  # bidirectional.py sets it, whatever the layers say
    forward.done()
    backward.done()
    _check_pair(config, modes[mode], parts, (sequence, other))
    return Recurrent(
        **config.base(),
        forward=parts[0],
        backward=parts[1],
        merge=modes[mode],
        zero_output_for_mask=sequence["return_sequences"] and writer.era in FORCED,
        **sequence,
    )


def _two_stacks(
    config: Config,
    children: tuple[Config, Config],
    inputs: tuple[Shape, ...],
    parts: tuple[Weights, Weights],
    writer: Writer,
    *,
    merge: Merge,
    turned: bool,
) -> TwoChains:
    """A Bidirectional of cells that are stacked, in one direction at least: chains of layers."""
    for child, prefix in zip(children, ("forward", "backward"), strict=True):
        child.name = f"{config.name}/{prefix}_{child.own_name.removeprefix(f'{prefix}_')}"
    sequences = [read_sequence(child, inputs[0], writer) for child in children]
    forward, backward = (
        read_stacked(
            child,
            inputs,
            part,
            writer,
            turned=turned and child is children[1],
            zeroed=sequences[0]["return_sequences"] and writer.era in FORCED,
        )
        for child, part in zip(children, parts, strict=True)
    )
    for child in children:
        zeroes(child)  # as above
        child.done()
    directions = [forward.layers[0].forward, backward.layers[0].forward]
    _check_pair(config, merge, directions, sequences, (forward.units, backward.units))
    return chains_of(config.base(), forward, backward, merge)


def _check_pair(
    config: Config,
    merge: Merge,
    parts: Sequence[Direction],
    sequences: Sequence[dict[str, Any]],
    units: Sequence[int] = (),
) -> None:
    """Refuse two directions that no Bidirectional has.

    Args:
        config: Of the Bidirectional.
        merge: Of the directions.
        parts: What reads the sequence in each.
        sequences: The settings of each.
        units: Of what each returns; those of `parts` if () is given.
    """
    if sequences[0] != sequences[1] or parts[0].go_backwards == parts[1].go_backwards:
        said = map(_said, parts, sequences)
        raise FormatError(
            f"the two layers of {config.where} do not belong together",
            context=" and ".join(said),
            hint="the file may be damaged; save the model again",
            code="config",
        )
    ahead, back = units or [part.units for part in parts]
    if ahead != back and merge is not Merge.CONCAT:
        raise FormatError(
            f"the two layers of {config.where} cannot be merged",
            context=f"{ahead} and {back} units, merge_mode {shown(config.value('merge_mode'))}",
            hint="the file may be damaged; save the model again",
            code="config",
        )


def _said(direction: Direction, sequence: dict[str, Any]) -> str:
    settings = {"go_backwards": direction.go_backwards, **sequence}
    return ", ".join(f"{key}={shown(value)}" for key, value in settings.items())


def _recurrent_child(config: Config, key: str) -> Config:
    child = config.child(key)
    if child.kind not in BOTH_WAYS:
        if child.kind in CLASSES:
            reason = CLASSES[child.kind]
            raise refused(reason, child.where, f"{shown(child.kind)}: {reason.found}")
        raise UnsupportedError(
            f"{config.where} is of a layer that is not read in two directions",
            context=f"{shown(child.kind)}; known: {', '.join(BOTH_WAYS)}",
            hint="use LSTM, GRU or SimpleRNN in Bidirectional",
            code="unknown-layer",
        )
    return child
