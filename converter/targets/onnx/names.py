"""Names in a graph: C90 identifiers, as the specification of ONNX wants them."""

from __future__ import annotations

import re
from collections.abc import Collection


def identifier(name: str, taken: Collection[str] = ()) -> str:
    """An identifier for any text, not in `taken`; a text that is one stays.

    >>> identifier("lstm_1"), identifier("encoder/lstm:1"), identifier("1st")
    ('lstm_1', 'encoder_lstm_1', '_1st')
    >>> identifier("lstm", {"lstm"})
    'lstm_2'
    """
    text = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    text = f"_{text}" if text[0].isdigit() else text
    unique, count = text, 1
    while unique in taken:
        count += 1
        unique = f"{text}_{count}"
    return unique
