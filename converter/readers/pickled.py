"""A pickle as data: what a closed table of opcodes and globals says, and nothing else.

Nothing is imported, looked up or called by a name from the file. A global is two texts, and each
that may be there stands in a table with a function of this package that takes its arguments. Any
other opcode or global is refused. Bytes stay views of the stream, so that nothing is allocated for
a size that the stream only claims.

The opcodes are those of protocols 2 to 5 (Lib/pickletools.py of Python) in which NumPy, Keras and
PyTorch write dictionaries of arrays.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NoReturn

from converter.errors import FormatError
from converter.readers.pickle_language import (
    SAVE_AGAIN,
    Arguments,
    Global,
    Known,
    Language,
    Made,
    MalformedError,
    UnknownGlobalError,
    is_key,
    refuse,
)
from converter.readers.strict import named

PROTOCOLS = range(2, 6)
MAX_NAME = 200
"""Bytes of a line with half a global."""

MAX_INTEGER = 32
"""Bytes of a whole number: a generator of random numbers has some of 128 bits."""


def read(stream: bytes, known: Known, what: str) -> object:
    """The one value of a pickle.

    Args:
        stream: All of it.
        known: The only globals that may be in it.
        what: What it is, in words, for the error: "'layers/lstm.npy' of model.weights.npz".

    Returns:
        None, bool, int, float, str, memoryview (for bytes), tuple, list, frozenset, dict with keys
        of str, `Global`, or what a function of `known` made.

    Raises:
        FormatError: It is cut off or damaged, or has what is in no table.
    """
    value, size = read_first(stream, Language(known), what)
    if size != len(stream):
        raise damaged(what, f"something is left at its end, byte {size}")
    return value


def read_first(stream: bytes | memoryview, language: Language, what: str) -> tuple[object, int]:
    """The value of a pickle that other bytes may follow, and how many bytes it takes.

    Args:
        stream: It, and what follows.
        language: What may be in it.
        what: As for `read`.

    Raises:
        FormatError: As for `read`.
    """
    try:
        return _Machine(stream, language).run()
    except UnknownGlobalError as error:
        raise FormatError(
            f"{what} is a pickle of Python objects, which is never run",
            context=str(error),
            hint=language.hint,
            code="pickle-global",
        ) from error
    except (MalformedError, UnicodeDecodeError) as error:
        raise damaged(what, str(error), language.hint) from error


def damaged(what: str, context: str, hint: str = SAVE_AGAIN) -> FormatError:
    """The error for what is no pickle of arrays."""
    return FormatError(
        f"{what} is not a pickle of plain arrays",
        context=context,
        hint=f"the file may be damaged; {hint}",
        code="pickle",
    )


class _Machine:
    """The stack, the marks on it, and the memo."""

    def __init__(self, stream: bytes | memoryview, language: Language) -> None:
        self._stream = memoryview(stream)
        self._position = 0
        self._language = language
        self._globals: dict[tuple[str, str], Global] = {}
        self._stack: list[object] = []
        self._below: list[list[object]] = []  # the stacks under each mark
        self._memo: dict[int, object] = {}

    def run(self) -> tuple[object, int]:
        """The value at STOP, and where that is."""
        if bytes(self._take(1)) != b"\x80" or self._unsigned(1) not in PROTOCOLS:
            refuse(f"it does not begin with a protocol from {PROTOCOLS[0]} to {PROTOCOLS[-1]}")
        for _ in range(self._language.max_steps):
            at = self._position
            code = bytes(self._take(1))
            if code == b".":
                return self._result()
            step = OPCODES.get(code)
            if step is None:
                refuse(f"the opcode 0x{code.hex()} at byte {at}, which no pickle of arrays has")
            step(self)
        return refuse(f"over {self._language.max_steps} opcodes")

    def _result(self) -> tuple[object, int]:
        value = self._pop()
        if self._stack or self._below:
            refuse(f"something is left at its end, byte {self._position}")
        return value, self._position

    def _take(self, count: int) -> memoryview:
        """The next bytes of the stream."""
        left = len(self._stream) - self._position
        if count > left:
            refuse(f"{count} bytes at byte {self._position}, where {left} are left")
        self._position += count
        return self._stream[self._position - count : self._position]

    def _unsigned(self, width: int) -> int:
        return int.from_bytes(self._take(width), "little")

    def _pop(self) -> object:
        if not self._stack:
            refuse(f"nothing on the stack at byte {self._position}")
        return self._stack.pop()

    def _top(self) -> object:
        value = self._pop()
        self._stack.append(value)
        return value

    def _above_mark(self) -> list[object]:
        """What was put on the stack after the last mark, which goes with it."""
        if not self._below:
            refuse(f"no mark on the stack at byte {self._position}")
        values, self._stack = self._stack, self._below.pop()
        return values

    def frame(self) -> None:
        """A part of the stream that is written at once; it may be read in any way."""
        size = self._unsigned(8)
        left = len(self._stream) - self._position
        if size > left:
            refuse(f"a frame of {size} bytes, where {left} are left")

    def mark(self) -> None:
        """Put a mark on the stack."""
        self._below.append(self._stack)
        self._stack = []

    def integer(self, width: int, signed: bool = False) -> None:
        """A whole number."""
        self._stack.append(int.from_bytes(self._take(width), "little", signed=signed))

    def long(self) -> None:
        """A whole number that says how long it is."""
        width = self._unsigned(1)
        if width > MAX_INTEGER:
            refuse(f"a whole number of {width} bytes at byte {self._position}")
        self.integer(width, signed=True)

    def number(self) -> None:
        """A float of 64 bits."""
        self._stack.append(struct.unpack(">d", self._take(8))[0])

    def text(self, width: int) -> None:
        """UTF-8."""
        self._stack.append(str(self._take(self._unsigned(width)), "utf-8"))

    def octets(self, width: int) -> None:
        """Bytes, as a view."""
        self._stack.append(self._take(self._unsigned(width)))

    def put(self, value: object) -> None:
        """A constant."""
        self._stack.append(value)

    def put_dict(self) -> None:
        """An empty dictionary."""
        self._stack.append({})

    def put_list(self) -> None:
        """An empty list."""
        self._stack.append([])

    def put_set(self) -> None:
        """An empty set; nothing can be added."""
        self._stack.append(frozenset())

    def tuple_of(self, count: int) -> None:
        """The last `count` values as one."""
        values = [self._pop() for _ in range(count)]
        self._stack.append(tuple(reversed(values)))

    def tuple_to_mark(self) -> None:
        """All values after the mark as one."""
        values = self._above_mark()
        self._stack.append(tuple(values))

    def append(self) -> None:
        """One more value of a list."""
        self._extend([self._pop()])

    def appends(self) -> None:
        """More values of a list."""
        self._extend(self._above_mark())

    def _extend(self, values: list[object]) -> None:
        target = self._top()
        if not isinstance(target, list | Made):
            refuse(f"values for a {type(target).__name__}, expected a list")
        target.extend(values)

    def set_item(self) -> None:
        """One more entry of a dictionary."""
        value = self._pop()
        self._update([self._pop(), value])

    def set_items(self) -> None:
        """More entries of a dictionary."""
        self._update(self._above_mark())

    def _update(self, values: list[object]) -> None:
        target = self._top()
        if not isinstance(target, dict | Made) or len(values) % 2:
            refuse(f"{len(values)} keys and values for a {type(target).__name__}")
        entries = list(zip(values[::2], values[1::2], strict=True))
        if isinstance(target, Made):
            target.update(entries)
            return
        for key, value in entries:
            if not (isinstance(key, str) or (self._language.any_keys and is_key(key))):
                refuse(f"a {type(key).__name__} as a key, expected a text")
            if key in target:
                refuse(f"two values for the key {named(str(key))}")
            target[key] = value

    def memoize(self) -> None:
        """Remember the last value by the next number."""
        self._memo[len(self._memo)] = self._top()

    def remember(self, width: int) -> None:
        """Remember the last value by a number."""
        self._memo[self._unsigned(width)] = self._top()

    def recall(self, width: int) -> None:
        """A value that was remembered."""
        number = self._unsigned(width)
        if number not in self._memo:
            refuse(f"the value {number} of the memo, which has none of that number")
        self._stack.append(self._memo[number])

    def global_line(self) -> None:
        """A global in two lines."""
        module, name = self._line(), self._line()
        self._push_global(module, name)

    def global_stack(self) -> None:
        """A global of two texts on the stack."""
        name, module = self._pop(), self._pop()
        if not isinstance(module, str) or not isinstance(name, str):
            refuse(f"a global named by {type(module).__name__} and {type(name).__name__}")
        self._push_global(module, name)

    def _line(self) -> str:
        rest = bytes(self._stream[self._position : self._position + MAX_NAME])
        end = rest.find(b"\n")
        if end < 0:
            refuse(f"no end of a name at byte {self._position}")
        self._position += end + 1
        return rest[:end].decode()

    def _push_global(self, module: str, name: str) -> None:
        key = (module, name)
        if key not in self._globals:
            self._globals[key] = self._global(module, name)
        self._stack.append(self._globals[key])

    def _global(self, module: str, name: str) -> Global:
        language, full = self._language, f"{module}.{name}"
        make = language.known.get((module, name))
        if make is not None:
            return Global(full, make)
        stranger = language.stranger
        if stranger is None:
            raise UnknownGlobalError(f"it names {named(full)}, which no array needs")

        def refuse_call(_: Arguments) -> NoReturn:
            raise UnknownGlobalError(f"it calls {named(full)}, which no array needs")

        return Global(full, refuse_call, lambda arguments: stranger(full, arguments))

    def persistent(self) -> None:
        """What is kept outside of the stream, by its id."""
        if self._language.persistent is None:
            refuse("something that is kept outside of it")
        self._stack.append(self._language.persistent(self._pop()))

    def reduce(self) -> None:
        """A call."""
        arguments, called = self._pop(), self._pop()
        if not isinstance(arguments, tuple):
            refuse(f"a {type(arguments).__name__} as arguments")
        if isinstance(called, Global):
            self._stack.append(called.make(arguments))
        elif isinstance(called, Made):
            self._stack.append(called.call(arguments))
        else:
            refuse(f"a call of a {type(called).__name__}")

    def new(self) -> None:
        """A new object of a class."""
        arguments, called = self._pop(), self._pop()
        if not isinstance(arguments, tuple) or not isinstance(called, Global):
            refuse(f"a new object of a {type(called).__name__}")
        self._stack.append((called.new or called.make)(arguments))

    def build(self) -> None:
        """The state of an object."""
        state, target = self._pop(), self._top()
        if not isinstance(target, Made):
            refuse(f"a state for a {type(target).__name__}")
        target.build(state)


# fmt: off
OPCODES: dict[bytes, Callable[[_Machine], None]] = {
    b"\x95": _Machine.frame,                      # FRAME
    b"(":    _Machine.mark,                       # MARK
    b"K":    lambda it: it.integer(1),            # BININT1
    b"M":    lambda it: it.integer(2),            # BININT2
    b"J":    lambda it: it.integer(4, True),      # BININT
    b"\x8a": _Machine.long,                       # LONG1
    b"G":    _Machine.number,                     # BINFLOAT
    b"\x88": lambda it: it.put(True),             # NEWTRUE
    b"\x89": lambda it: it.put(False),            # NEWFALSE
    b"N":    lambda it: it.put(None),             # NONE
    b"\x8c": lambda it: it.text(1),               # SHORT_BINUNICODE
    b"X":    lambda it: it.text(4),               # BINUNICODE
    b"\x8d": lambda it: it.text(8),               # BINUNICODE8
    b"C":    lambda it: it.octets(1),             # SHORT_BINBYTES
    b"B":    lambda it: it.octets(4),             # BINBYTES
    b"\x8e": lambda it: it.octets(8),             # BINBYTES8
    b"\x96": lambda it: it.octets(8),             # BYTEARRAY8
    b"}":    _Machine.put_dict,                   # EMPTY_DICT
    b"]":    _Machine.put_list,                   # EMPTY_LIST
    b"\x8f": _Machine.put_set,                    # EMPTY_SET
    b")":    lambda it: it.put(()),               # EMPTY_TUPLE
    b"\x85": lambda it: it.tuple_of(1),           # TUPLE1
    b"\x86": lambda it: it.tuple_of(2),           # TUPLE2
    b"\x87": lambda it: it.tuple_of(3),           # TUPLE3
    b"t":    _Machine.tuple_to_mark,              # TUPLE
    b"a":    _Machine.append,                     # APPEND
    b"e":    _Machine.appends,                    # APPENDS
    b"s":    _Machine.set_item,                   # SETITEM
    b"u":    _Machine.set_items,                  # SETITEMS
    b"\x94": _Machine.memoize,                    # MEMOIZE
    b"q":    lambda it: it.remember(1),           # BINPUT
    b"r":    lambda it: it.remember(4),           # LONG_BINPUT
    b"h":    lambda it: it.recall(1),             # BINGET
    b"j":    lambda it: it.recall(4),             # LONG_BINGET
    b"Q":    _Machine.persistent,                 # BINPERSID
    b"c":    _Machine.global_line,                # GLOBAL
    b"\x93": _Machine.global_stack,               # STACK_GLOBAL
    b"R":    _Machine.reduce,                     # REDUCE
    b"\x81": _Machine.new,                        # NEWOBJ
    b"b":    _Machine.build,                      # BUILD
}
# fmt: on
"""What may be in a stream, but PROTO at its start and STOP at its end."""
