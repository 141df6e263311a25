"""An assembler of pickles: each function gives the bytes that push one value."""

from __future__ import annotations

import struct
from typing import Any

Value = Any
"""What `push` writes: None, bool, int, float, str, bytes, Raw, and tuples, lists, dicts of them."""


class Raw(bytes):
    """Opcodes given as they are, where `push` would otherwise write a bytes value."""


def line(text: str | bytes) -> bytes:
    """Text as a line argument of an opcode of protocol 0."""
    return (text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text) + b"\n"


def text(value: str | bytes) -> Raw:
    """A BINUNICODE, or SHORT_BINUNICODE where it fits. Bytes are written as found."""
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    if len(data) < 256:
        return Raw(b"\x8c" + bytes([len(data)]) + data)
    return Raw(b"X" + struct.pack("<I", len(data)) + data)


def binary(value: bytes) -> Raw:
    """A BINBYTES, or SHORT_BINBYTES where it fits."""
    if len(value) < 256:
        return Raw(b"C" + bytes([len(value)]) + value)
    return Raw(b"B" + struct.pack("<I", len(value)) + value)


def integer(value: int) -> Raw:
    """The shortest binary opcode for an integer."""
    if 0 <= value < 256:
        return Raw(b"K" + bytes([value]))
    if -(2**31) <= value < 2**31:
        return Raw(b"J" + struct.pack("<i", value))
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    if len(data) < 256:
        return Raw(b"\x8a" + bytes([len(data)]) + data)
    return Raw(b"\x8b" + struct.pack("<i", len(data)) + data)


def push(value: Value) -> bytes:
    """Opcodes that push a plain value; `Raw` members are copied in."""
    if isinstance(value, Raw):
        return value
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return integer(value)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bytes):
        return binary(value)
    if isinstance(value, tuple):
        return b"(" + b"".join(map(push, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(push, value)) + b"e"
    return b"}(" + b"".join(push(key) + push(item) for key, item in value.items()) + b"u"


def pickled(*values: Value, protocol: int = 4) -> bytes:
    """A whole pickle: PROTO, the values, STOP."""
    return b"\x80" + bytes([protocol]) + b"".join(map(push, values)) + b"."


def split(name: str) -> tuple[str, str]:
    """Splits "module:name", or "module.name" at its last dot."""
    module, _, attribute = name.partition(":") if ":" in name else name.rpartition(".")
    return module, attribute


def glob(name: str) -> Raw:
    """A GLOBAL."""
    module, attribute = split(name)
    return Raw(b"c" + line(module) + line(attribute))


def stack_glob(name: str) -> Raw:
    """A STACK_GLOBAL."""
    module, attribute = split(name)
    return Raw(text(module) + text(attribute) + b"\x93")


def reduced(name: str | Raw, *args: Value) -> Raw:
    """A REDUCE of the named global with these arguments."""
    return Raw((name if isinstance(name, Raw) else glob(name)) + push(args) + b"R")


def new(name: str | Raw, *args: Value) -> Raw:
    """A NEWOBJ of the named global with these arguments."""
    return Raw((name if isinstance(name, Raw) else glob(name)) + push(args) + b"\x81")


def new_ex(name: str | Raw, args: Value, keywords: Value) -> Raw:
    """A NEWOBJ_EX of the named global."""
    start = name if isinstance(name, Raw) else glob(name)
    return Raw(start + push(args) + push(keywords) + b"\x92")


def instance(name: str, *args: Value) -> Raw:
    """An INST of the named global."""
    module, attribute = split(name)
    return Raw(b"(" + b"".join(map(push, args)) + b"i" + line(module) + line(attribute))


def obj(name: str, *args: Value) -> Raw:
    """An OBJ of the named global."""
    return Raw(b"(" + glob(name) + b"".join(map(push, args)) + b"o")


def built(value: Value, state: Value) -> Raw:
    """A BUILD of a value with a state."""
    return Raw(push(value) + push(state) + b"b")


def put(index: int) -> bytes:
    """A LONG_BINPUT."""
    return b"r" + struct.pack("<I", index)


def get(index: int) -> Raw:
    """A LONG_BINGET."""
    return Raw(b"j" + struct.pack("<I", index))


def spellings(name: str, *args: Value) -> dict[str, bytes]:
    """One call of a global, in every spelling that pickle has for it."""
    return {
        "global": pickled(reduced(name, *args), protocol=0),
        "stack-global": pickled(reduced(stack_glob(name), *args)),
        "inst": pickled(instance(name, *args), protocol=1),
        "obj": pickled(obj(name, *args), protocol=1),
        "newobj": pickled(new(name, *args), protocol=2),
        "newobj-ex": pickled(new_ex(stack_glob(name), args, {})),
        "py2-reconstructor": pickled(
            reduced("copy_reg._reconstructor", glob(name), glob("__builtin__.object"), None),
            protocol=2,
        ),
    }
