"""The limits of one decoding, on by default."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds that are kept before memory or time is spent. ``None`` switches one off.

    Attributes:
        max_bytes: bytes of input.
        max_memory: bytes for containers and copies, besides 40 for each byte of input.
        max_work: steps of about 25 ns besides 4 for each byte of input: nodes hashed, items copied,
            slow constructors by what they cost.
        max_depth: containers inside containers.
        max_key_depth: tuples and frozensets inside a key, which CPython hashes by recursion in C.
        max_probes: hash table slots for each key, on average, in containers of over 256 keys.
        max_int_bits: bits of an integer written in binary.
        max_int_digits: digits of an integer written as text (CVE-2020-10735).
        max_decimal_digits: digits of a Decimal or a Fraction.
        max_decimal_exponent: absolute exponent of a Decimal.
        max_name_bytes: bytes of a module and a name together.
        max_output_bytes: bytes of JSON or of a sanitized pickle, besides 16 for each byte of input.
    """

    max_bytes: int | None = 64 * _MIB
    max_memory: int | None = 64 * _MIB
    max_work: int | None = 1_000_000
    max_depth: int | None = 1_000
    max_key_depth: int | None = 100
    max_probes: int | None = 16
    max_int_bits: int | None = 65_536
    max_int_digits: int | None = 4_300
    max_decimal_digits: int | None = 4_300
    max_decimal_exponent: int | None = 100_000
    max_name_bytes: int | None = 256
    max_output_bytes: int | None = _MIB

    def __post_init__(self) -> None:
        for name, bound in vars(self).items():
            if bound is not None and (type(bound) is not int or bound < 0):
                raise ValueError(f"{name} must be a number of at least 0, or None for no limit")
