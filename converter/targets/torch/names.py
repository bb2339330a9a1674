"""Identifiers for names that come from a file."""

from __future__ import annotations

import keyword
import re
import unicodedata

LONGEST = 30
"""Characters of an attribute, and"""
LONGEST_VARIABLE = 20
"""of a variable: so that `variable = self.attribute(variable)` fits into 88 columns."""

# fmt: off
MODULE_ATTRIBUTES = frozenset({
    "T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children",
    "compile", "cpu", "cuda", "double", "dump_patches", "eval", "extra_repr", "float", "forward",
    "get_buffer", "get_extra_state", "get_parameter", "get_submodule", "half", "ipu",
    "load_state_dict", "modules", "mtia", "named_buffers", "named_children", "named_modules",
    "named_parameters", "parameters", "register_backward_hook", "register_buffer",
    "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
    "register_full_backward_pre_hook", "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook", "register_module", "register_parameter",
    "register_state_dict_post_hook", "register_state_dict_pre_hook", "requires_grad_",
    "set_extra_state", "set_submodule", "share_memory", "state_dict", "to", "to_empty", "train",
    "training", "type", "xpu", "zero_grad",
})
"""What nn.Module has already: dir(nn.Module()) of torch 2.13."""
# fmt: on

# What the generated file uses itself.
FILE_NAMES = frozenset(
    {"F", "Path", "Tensor", "load", "load_model", "model", "nn", "path", "self", "torch"}
)


def identifier(
    name: str, taken: frozenset[str] | set[str] = frozenset(), longest: int = LONGEST
) -> str:
    """A Python identifier of at most `longest` characters for any text, not in `taken`.

    >>> identifier("my lstm-1"), identifier("class"), identifier("1st"), identifier("encoder/lstm")
    ('my_lstm_1', 'class_', 'layer_1st', 'encoder_lstm')
    >>> identifier("lstm", {"lstm"})
    'lstm_2'
    """
    text = re.sub(r"\W", "_", _without_accents(name), flags=re.ASCII).strip("_") or "layer"
    if text[0].isdigit():
        text = f"layer_{text}"
    text = text[:longest].rstrip("_")
    if keyword.iskeyword(text) or keyword.issoftkeyword(text):
        text = f"{text}_"
    unique, count = text, 1
    while unique in taken:
        count += 1
        unique = f"{text[: longest - 1 - len(str(count))]}_{count}"
    return unique


def class_name(name: str, taken: frozenset[str] | set[str] = frozenset()) -> str:
    """A class name for a model's name.

    >>> class_name("stacked forecaster"), class_name("sequential_5"), class_name("")
    ('StackedForecaster', 'Sequential5', 'Model')
    """
    words = re.findall(r"[A-Za-z0-9]+", _without_accents(name))
    joined = "".join(word[0].upper() + word[1:] for word in words) or "Model"
    return identifier(joined if not joined[0].isdigit() else f"Model{joined}", taken)


def _without_accents(text: str) -> str:
    """Letters without the marks on them: "ete" for "été"."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))
