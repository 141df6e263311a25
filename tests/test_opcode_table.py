"""The opcode table against `pickletools`: the standard library's own description of the format."""

from __future__ import annotations

import pickletools

import pytest

from plainpickle import _core

ROWS = {
    name: (byte, protocol, before, after)
    for byte, name, protocol, before, after in _core.opcode_table()
}


def test_the_table_has_the_68_opcodes_of_protocols_0_to_5_once_each() -> None:
    assert len(_core.opcode_table()) == len(ROWS) == len({row[0] for row in ROWS.values()}) == 68
    assert set(ROWS) == {opcode.name for opcode in pickletools.opcodes}
    assert {row[1] for row in ROWS.values()} == set(range(6))


@pytest.mark.parametrize("opcode", pickletools.opcodes, ids=lambda opcode: opcode.name)
def test_a_row_has_the_byte_the_protocol_and_the_stack_effect_of_pickletools(
    opcode: pickletools.OpcodeInfo,
) -> None:
    """The stack effect by name, so also by number; `mark` and `stackslice` stand for many items."""
    byte, protocol, before, after = ROWS[opcode.name]
    assert (chr(byte), protocol) == (opcode.code, opcode.proto)
    assert before == [item.name for item in opcode.stack_before]
    assert after == [item.name for item in opcode.stack_after]
