"""What an ONNX file that `convert` wrote says of itself: the names of its metadata's entries."""

SOURCE = "ifco.source"
"""The name of the source's file."""

SOURCE_SHA256 = "ifco.source_sha256"

LEDGER_SHA256 = "ifco.ledger_sha256"
"""Of the ledger: every array of the source, its hash, and where it went."""

TEST_VECTOR = "ifco.test_vector"
"""Inputs and the judge's answers, as `converter.verify.vector` writes them."""

QUANTIZED = "ifco.quantized"
"""To what its weights are rounded: "int8"."""

STATES = "ifco.states"
"""Pairs of names, as JSON: the input of a state that is kept, and the output with the next."""
