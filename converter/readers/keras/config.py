"""The config of a layer as a checked view: known keys, of the right type, within their range.

A key that is asked for is known; `done` refuses those that nobody asked for. What has no meaning
at inference is known to everyone and never looked at: initializers, regularizers, constraints.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, TypeGuard

from converter.dtypes import FLOATS, HALVES
from converter.errors import FormatError, UnsupportedError
from converter.readers.keras.custom import description_of, is_keras_own, unknown
from converter.readers.strict import named, shown

MAX_UNITS = 1_000_000
MAX_SIZE = 2**31 - 1

NO_EFFECT = re.compile(
    r"\w*_(initializer|regularizer|constraint)|name|trainable|seed|unit_forget_bias"
    r"|(batch_)?(input_)?shape|input_(dim|length|dtype)|init|inner_init|forget_bias_init"
)
"""Keys of any layer that say nothing about what it computes, or are read with its shape."""

MODULES = re.compile(r"(tensorflow\.(python\.)?|tf_)?keras(\.[\w.]*)?|builtins")
"""Where Keras's own classes and functions are. Nothing is ever imported from there."""

OBJECT_KEYS = frozenset(
    {
        "module",
        "class_name",
        "config",
        "registered_name",
        "build_config",
        "compile_config",
        "shared_object_id",
        "name",
        "inbound_nodes",
    }
)

_HINT = "the file may be damaged; save the model again"


class _Required:
    pass


REQUIRED = _Required()


class Config:
    """The config of one layer.

    Attributes:
        kind: Its class, by Keras's name.
        name: Of the layer in the model: "outer/inner".
        file: The path of the file, for the errors.
        trainable: False where it, or a model that it is in, is frozen.
        calls: How the layer is called: the arguments that are true or false, and "mask".
    """

    def __init__(
        self,
        kind: str,
        name: str,
        values: object,
        file: str,
        *,
        trainable: bool = True,
        calls: Collection[str] = (),
    ) -> None:
        self.kind = kind
        self.name = name
        self.file = file
        self.calls = calls
        if not isinstance(values, dict):
            raise self.wrong("config", values, "an object")
        self._values: Mapping[str, Any] = values
        self._asked: set[str] = set()
        self.trainable = self.boolean("trainable", default=True) and trainable

    @property
    def where(self) -> str:
        """The layer and the file, for an error."""
        return f"layer {named(self.name)} of {self.file}"

    @property
    def values(self) -> Mapping[str, Any]:
        """All of it, unchecked."""
        return self._values

    @property
    def own_name(self) -> str:
        """The layer's name without the models that it is in."""
        return self.text("name", default=self.name)

    def base(self, *whole: str) -> dict[str, Any]:
        """What every `Layer` has: its name, and the dtypes that it computes and keeps weights in.

        Args:
            whole: As for `policy`.
        """
        if self.kind.startswith(PREFIX):  # what it says is the dtype of its result
            return {"name": self.name, "trainable": self.trainable}
        dtype, variable_dtype = self.policy(*whole)
        autocast = {} if self.boolean("autocast", default=True) else {"autocast": False}
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype,
            "variable_dtype": variable_dtype,
            **autocast,
        }

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def called(self, argument: str) -> bool:
        """Whether the layer is called with this argument, true."""
        return argument in self.calls

    def value(self, *keys: str, default: object = REQUIRED) -> Any:
        """The value of the one of `keys` that is there: old and new names of one thing."""
        self._asked.update(keys)
        present = [key for key in keys if key in self._values]
        if len(present) > 1 and any(
            self._values[key] != self._values[present[0]] for key in present
        ):
            raise self.wrong(present[0], self._values[present[0]], f"the same as {present[1]}")
        if present:
            return self._values[present[0]]
        if default is REQUIRED:
            raise self.missing(keys[0])
        return default

    def instead(self, key: str, value: object) -> None:
        """Take a key to have another value: what is left of it when the rest has been read."""
        self._values = {**self._values, key: value}

    def boolean(self, *keys: str, default: bool | _Required = REQUIRED) -> bool:
        """True or false."""
        value = self.value(*keys, default=default)
        if not isinstance(value, bool):
            raise self.wrong(keys[0], value, "true or false")
        return value

    def integer(
        self,
        *keys: str,
        least: int = 1,
        most: int = MAX_SIZE,
        default: int | _Required = REQUIRED,
    ) -> int:
        """A whole number."""
        value = self.value(*keys, default=default)
        if not _is_whole(value) or not least <= value <= most:
            raise self.wrong(keys[0], value, f"a whole number from {least} to {most}")
        return int(value)

    def number(
        self,
        *keys: str,
        least: float = -1e30,
        most: float = 1e30,
        default: float | _Required = REQUIRED,
    ) -> float:
        """A number."""
        value = self.value(*keys, default=default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(keys[0], value, "a number")
        if not least <= value <= most:
            raise self.wrong(keys[0], value, f"a number from {least:g} to {most:g}")
        return float(value)

    def text(
        self, *keys: str, among: Collection[str] = (), default: str | _Required = REQUIRED
    ) -> str:
        """A text, one of `among` where they are given."""
        value = self.value(*keys, default=default)
        if not isinstance(value, str):
            raise self.wrong(keys[0], value, "a text")
        if among and value not in among:
            raise self.wrong(keys[0], value, " or ".join(sorted(among)))
        return value

    def sizes(
        self, *keys: str, rank: int, default: int | tuple[int, ...] | _Required = REQUIRED
    ) -> tuple[int, ...]:
        """A positive whole number for each of `rank` axes, or one for all of them."""
        value = self.value(*keys, default=default)
        sizes = list(value) if isinstance(value, list | tuple) else [value] * rank
        if len(sizes) != rank or not all(_is_whole(n) and 1 <= n <= MAX_SIZE for n in sizes):
            raise self.wrong(keys[0], value, f"{rank} positive whole numbers")
        return tuple(sizes)

    def integers(
        self, *keys: str, least: int, most: int = MAX_SIZE, default: object = REQUIRED
    ) -> tuple[int, ...]:
        """A list of whole numbers."""
        value = self.value(*keys, default=default)
        if not isinstance(value, list | tuple) or not all(
            _is_whole(n) and least <= n <= most for n in value
        ):
            raise self.wrong(keys[0], value, f"a list of whole numbers, {least} or more")
        return tuple(value)

    def channels_first(self) -> bool:
        """Whether axis 1 has the channels."""
        if self.value("dim_ordering", default=None) is not None:  # of Keras 1
            return self.text("dim_ordering", among=("tf", "th")) == "th"
        value = self.value("data_format", default=None)
        if value is None:
            return False
        return self.text("data_format", among=FORMATS) == "channels_first"

    def must_be(self, key: str, *harmless: object, code: str, hint: str) -> None:
        """Refuse a setting that would change what the layer computes.

        Args:
            key: It may be absent.
            harmless: What it may be.
            code: Of the error.
            hint: Of the error.
        """
        value = self.value(key, default=harmless[0])
        if not any(value is one or (value == one and type(value) is type(one)) for one in harmless):
            raise UnsupportedError(
                f"{key} of {self.where} is not read yet",
                context=f"{key}={shown(value)}",
                hint=hint,
                code=code,
            )

    def policy(self, *whole: str) -> tuple[str, str]:
        """In which dtype it computes, and in which it keeps its weights.

        Args:
            whole: Dtypes of whole numbers that may stand there instead: they mean the input.

        Raises:
            UnsupportedError: It is no policy of a floating point type.
        """
        value = self.value("dtype", default=None)
        policy = value
        if isinstance(value, dict):
            kind, config = serialized(value, f"dtype of {self.where}")
            policy = config.get("name") if isinstance(config, dict) else None
            if not isinstance(policy, str) or kind not in POLICIES:
                raise self.wrong("dtype", value, f"{' or '.join(POLICIES)} with a name")
        if policy is None or policy in whole:
            return "float32", "float32"
        compute = policy.removeprefix(MIXED) if isinstance(policy, str) else ""
        mixed = compute != policy
        if compute not in (HALVES if mixed else FLOATS):
            raise UnsupportedError(
                f"{self.where} has a dtype policy that is not read",
                context=f"dtype {shown(policy)}",
                hint=f"set it to one of {', '.join(FLOATS)} or to {MIXED}float16 or "
                f"{MIXED}bfloat16, and save the model again",
                code="dtype-policy",
            )
        return compute, "float32" if mixed else compute

    def float32(self) -> None:
        """Refuse another dtype, for a layer that computes otherwise in it.

        Raises:
            UnsupportedError: It has one.
        """
        if (policy := self.policy()) != ("float32", "float32"):
            raise UnsupportedError(
                f"{self.where} is read in float32 alone",
                context=f"{self.kind} with dtype {_said(policy)}",
                hint="set its dtype policy to float32 and save the model again",
                code="dtype-policy",
            )

    def computes_as(self, outer: Config) -> None:
        """Refuse a part that computes in another dtype than the layer that it is in.

        Raises:
            UnsupportedError: It does.
        """
        inside, outside = self.policy(*WHOLE), outer.policy(*WHOLE)
        if inside != outside:
            raise UnsupportedError(
                f"{self.where} computes in another dtype than the layer around it, "
                "which is not read",
                context=f"{_said(inside)} in {_said(outside)}",
                hint="give both the same dtype policy and save the model again",
                code="dtype-policy",
            )

    def done(self) -> None:
        """Refuse keys that are not known for this layer: they may change what it computes.

        Raises:
            UnsupportedError: There is one.
        """
        for key in self._values:
            if key not in self._asked and not NO_EFFECT.fullmatch(key):
                raise UnsupportedError(
                    f"{self.where} has a setting that is not known",
                    context=f"{shown(key)}: {shown(self._values[key])} of {self.kind}",
                    hint="save the model without it, or ask for it to be read",
                    code="config-key",
                )

    def child(self, key: str) -> Config:
        """A layer in the config of this one, as a view of its own; "wrapper/inner" is its name."""
        kind, config = serialized(self.value(key), f"{key} of {self.where}")
        own = config.get("name") if isinstance(config, dict) else None
        name = own if isinstance(own, str) else key
        part = Config(kind, f"{self.name}/{name}", config, self.file, trainable=self.trainable)
        part.computes_as(self)
        return part

    def wrong(self, key: str, value: object, expected: str) -> FormatError:
        """The error for a value that a key cannot have."""
        return FormatError(
            f"{key} of {self.where} is not as Keras writes it",
            context=f"{shown(value)}; expected {expected}",
            hint=_HINT,
            code="config",
        )

    def missing(self, key: str) -> FormatError:
        """The error for a key that must be there."""
        return FormatError(
            f"{self.where} has no {key}",
            context=f"{self.kind} with {shown(sorted(self._values))}",
            hint=_HINT,
            code="config",
        )


POLICIES = ("DTypePolicy", "FloatDTypePolicy", "Policy")
MIXED = "mixed_"

PREFIX = "ops."
"""Before the name of an operation of Keras 3: a class of the same name may be a layer as well."""

WHOLE = ("int32", "int64")
"""Dtypes of a layer that mean its input, in old files."""

FORMATS = ("channels_first", "channels_last")


def _said(policy: tuple[str, str]) -> str:
    """A policy as Keras calls it."""
    compute, variable = policy
    return compute if compute == variable else MIXED + compute


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_registered(name: object) -> TypeGuard[str]:
    """Whether it is "Package>Name", by which Keras knows a class that is not its own."""
    return isinstance(name, str) and ">" in name


def serialized(value: object, what: str) -> tuple[str, Any]:
    """The class and the config of an object that Keras serialized: its own, or a described one.

    A class that is registered is called as it is registered, "Package>Name", so that it is never
    taken for one of Keras's own.

    Args:
        value: `{"class_name": ..., "config": ..., "module": ..., "registered_name": ...}`.
        what: What it should be, for the error.

    Raises:
        FormatError: It is no such thing.
        UnsupportedError: Its class is not Keras's own, and not described.
    """
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
        raise malformed(what, value, "an object with a class_name and a config")
    if surplus := value.keys() - OBJECT_KEYS:
        raise malformed(what, sorted(surplus), f"keys among {', '.join(sorted(OBJECT_KEYS))}")
    if "config" not in value:
        raise malformed(what, sorted(value), "a config")
    kind, module, registered = (
        value["class_name"],
        value.get("module"),
        value.get("registered_name"),
    )
    if is_registered(registered):
        return registered, value["config"]
    keras = module is None or (isinstance(module, str) and bool(MODULES.fullmatch(module)))
    # Keras 3 gives a class of its own no registered name, and one of a script no module.
    own = not keras or (module is None and registered not in (None, "function"))
    if registered not in (None, kind, "function") or (own and description_of(kind) is None):
        said = f"{shown(kind)} of module {shown(module)}, registered as {shown(registered)}"
        raise unknown(what, said, "" if is_keras_own(kind) else kind)
    return kind, value["config"]


def malformed(what: str, value: object, expected: str) -> FormatError:
    """The error for a part of a config that is not as Keras writes it."""
    return FormatError(
        f"{what} is not as Keras writes it",
        context=f"{shown(value)}; expected {expected}",
        hint=_HINT,
        code="config",
    )
