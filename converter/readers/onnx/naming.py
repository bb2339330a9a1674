"""What a layer is called, by its node's name or the modules that it stands in."""

from __future__ import annotations

import re

from converter.readers.onnx.messages import Node

OWN = frozenset(
    {
        "BatchNormalization",
        "Conv",
        "ConvTranspose",
        "GRU",
        "Gather",
        "Gemm",
        "InstanceNormalization",
    }
    | {"LSTM", "LayerNormalization", "MatMul", "MaxPool", "PRelu", "RNN"}
)
"""Kinds of nodes that are what a layer is called for; others stand around one."""

PREFIXES = re.compile(r"^((StatefulPartitionedCall|PartitionedCall|functional|model)[_\d]*/)+")
TAILS = re.compile(r"(__\d+|:\d+)+$")
SCOPE = re.compile(r"'([^']*)'")


def named_for(node: Node) -> str:
    """What a layer is called whose node this is: by the module that it stands in, if it is said.

    >>> named_for(Node("LSTM", "/encoder/lstm/LSTM", (), (), {}))
    'encoder/lstm'
    >>> named_for(Node("Squeeze", "/encoder/lstm/Squeeze_1", (), (), {}))
    'encoder/lstm_squeeze'
    >>> named_for(Node("LSTM", "node_LSTM_115", (), (), {}, "['', 'lstm', 'lstm']"))
    'lstm'
    >>> named_for(Node("Gemm", "", (), ("12",), {}))
    'gemm'
    """
    kind = node.kind.split(":")[-1]
    scopes = SCOPE.findall(node.scope)
    if len(scopes) > 1:
        module = ".".join(scopes[:-1]).split(".")
        parts = list(dict.fromkeys(part for part in module if part))
        if parts and kind not in OWN:
            parts[-1] = f"{parts[-1]}_{kind.lower()}"
        parts = parts or scopes[-1:]
    else:
        parts = [part for part in TAILS.sub("", node.name).split("/") if part]
        if parts and parts[-1].split("_")[0] == kind:
            parts.pop()
            if parts and kind not in OWN:
                parts[-1] = f"{parts[-1]}_{kind.lower()}"
    name = PREFIXES.sub("", "/".join(parts))
    ending = f"_{kind.lower()}"
    if kind in OWN and name.endswith(ending) and len(name) > len(ending):
        name = name[: -len(ending)]
    return name or kind.lower()
