"""YAML out of a stranger's file: data, held against the limits of JSON.

Keras 1 and 2 wrote architectures so (`model.to_yaml()`), with Python's tags for tuples and texts.
Those are lists and texts here; no other tag is known, and none makes an object.
"""

from __future__ import annotations

import json
from typing import Any

from converter.errors import FormatError, MissingExtraError
from converter.readers import strict
from converter.readers.strict import shown

MAX_BYTES = 512 * 1024
"""Of one document. That of a hundred layers takes a tenth of it; the reading is slow."""

TUPLE = "tag:yaml.org,2002:python/tuple"
TEXTS = ("tag:yaml.org,2002:python/unicode", "tag:yaml.org,2002:python/str")


def parse(text: bytes, what: str) -> Any:
    """A YAML document as the values that JSON has.

    Args:
        text: UTF-8.
        what: What it is, in words, for the error: "the architecture in model.yaml".

    Raises:
        FormatError: It is no YAML, over a limit, or has what is no data: tags of Python objects.
        MissingExtraError: PyYAML is not installed.
    """
    if len(text) > MAX_BYTES:
        raise FormatError(
            f"{what} is too large",
            context=f"{len(text)} bytes; at most {MAX_BYTES} of YAML are read",
            hint="write it as JSON: model.to_json()",
            code="too-large",
        )
    try:
        document = _loaded(text.decode(), what)
        _check_size(document)
        plain = json.dumps(document, allow_nan=False)
    except (RecursionError, ValueError, TypeError) as error:
        raise _malformed(what, str(error)) from error
    return strict.parse(plain, what)


def _loaded(text: str, what: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError(
            f"reading {what} needs the package PyYAML",
            context="YAML, and Python without PyYAML",
            hint="pip install pyyaml, or write it as JSON: model.to_json()",
            code="missing-extra",
        ) from error

    class Loader(yaml.SafeLoader):
        """Data alone; keys once each, and no merging of mappings, which can grow without end."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            seen = set()
            for key, _ in node.value:
                if not isinstance(key.value, str):
                    raise TypeError("a key that is no text")
                if key.tag == "tag:yaml.org,2002:merge" or key.value in seen:
                    raise ValueError(f"the key {shown(key.value)} twice, or a merge of mappings")
                seen.add(key.value)

        def of_tuple(self, node: yaml.SequenceNode) -> list[Any]:
            return self.construct_sequence(node, deep=True)

        def of_text(self, node: yaml.ScalarNode) -> Any:
            return self.construct_scalar(node)

    Loader.add_constructor(TUPLE, Loader.of_tuple)
    for tag in TEXTS:
        Loader.add_constructor(tag, Loader.of_text)
    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        raise ValueError(error.problem or error.context or "no YAML") from error
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _check_size(document: object) -> None:
    """Refuse what is small in the file and large without its references, or is in itself."""
    waiting: list[tuple[object, int]] = [(document, 0)]
    values = characters = 0
    while waiting:
        value, depth = waiting.pop()
        values += 1
        if isinstance(value, str):
            characters += len(value)
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise TypeError("a key that is no text")
            characters += sum(map(len, value))
            waiting.extend((inner, depth + 1) for inner in value.values())
        elif isinstance(value, list):
            waiting.extend((inner, depth + 1) for inner in value)
        if max(values, len(waiting)) > strict.MAX_VALUES or characters > strict.MAX_BYTES:
            raise ValueError(f"over {strict.MAX_VALUES} values, or as many texts")
        if depth > strict.MAX_DEPTH:
            raise ValueError(f"it is nested over {strict.MAX_DEPTH} levels deep")


def _malformed(what: str, context: str) -> FormatError:
    return FormatError(
        f"{what} is not the YAML that Keras writes",
        context=context,
        hint="write it again with model.to_yaml(), or as JSON with model.to_json()",
        code="yaml",
    )
