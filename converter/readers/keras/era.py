"""Which Keras wrote a file, and what its words meant where they have changed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from converter.description import Era
from converter.errors import FormatError
from converter.readers.strict import named

_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,9}))?([-.\w+]{0,40})", re.ASCII)

_TYPICAL = {
    Era.KERAS_1: (1, 2),
    Era.KERAS_2: (2, 2),
    Era.TF_KERAS: (2, 15),
    Era.KERAS_3: (3, 15),
}
"""The version of a file that says none, as a JSON architecture: of Keras 3, today's."""


@dataclass(frozen=True, slots=True)
class Writer:
    """The Keras that wrote a file.

    Attributes:
        version: As the file says it.
        number: (major, minor) of the version.
        era: By the version, or as the caller says.
        backend: "tensorflow", "theano", ...; "" where the file does not say.
    """

    version: str
    number: tuple[int, int]
    era: Era
    backend: str = ""

    @classmethod
    def of(cls, version: str, path: str, era: Era | None = None, backend: str = "") -> Writer:
        """The writer of that version.

        Args:
            version: As the file says it.
            path: Of the file, for the error.
            era: What the caller knows better.
            backend: What the file says about it.

        Raises:
            FormatError: It is no version of Keras.
        """
        match = _VERSION.fullmatch(version)
        if match and int(match[1]):
            number = (int(match[1]), int(match[2]))
            era = era or _era(number, int(match[3] or 0), "tf" in match[4])
        elif era:
            number = _TYPICAL[era]
        else:
            raise FormatError(
                f"{path} does not say which Keras wrote it",
                context=f"version {named(version)}; expected one like '2.15.0' or '3.8.0'",
                hint="give its era: converter.readers.read(path, era=Era.KERAS_3)",
                code="version",
            )
        return cls(version, number, era, backend)

    @property
    def keras_3(self) -> bool:
        """Whether words mean what they mean in Keras 3."""
        return self.era is Era.KERAS_3

    @property
    def casts(self) -> bool:
        """Whether layers have a dtype policy, and cast their inputs by it."""
        return self.keras_3 or (self.era is Era.TF_KERAS and self.number >= (2, 4))

    @property
    def reset_after(self) -> bool:
        """What GRU did where its config does not say: the key exists since Keras 2.1.5."""
        match self.era:
            case Era.KERAS_3:
                return True
            case Era.TF_KERAS:  # TensorFlow 1 wrote up to 2.2.4-tf
                return self.number > (2, 2)
            case _:
                return False

    @property
    def recurrent_activation(self) -> str:
        """What LSTM and GRU used where their config does not say."""
        if self.keras_3 or self.number > (2, 2):
            return "sigmoid"
        return "hard_sigmoid"

    @property
    def starts_from_state(self) -> bool:
        """A masked step that none before it counts gave the initial state, not zeros.

        So says `rnn` in keras/backend/tensorflow_backend.py up to 2.2.4, in its symbolic loop.
        """
        if self.era is Era.KERAS_1:  # which wrote down no backend
            return self.backend == "tensorflow"
        return self.era is Era.KERAS_2 and self.number < (2, 3) and self.backend != "theano"

    @property
    def convolves(self) -> bool:
        """Theano turned the kernel round, as a convolution does; the others correlate."""
        return self.backend == "theano"


def _era(number: tuple[int, int], patch: int, of_tensorflow: bool) -> Era:
    if number[0] == 1:
        return Era.KERAS_1
    if number[0] >= 3:
        return Era.KERAS_3
    if of_tensorflow or (*number, patch) > (2, 3, 1):
        return Era.TF_KERAS
    return Era.KERAS_2
