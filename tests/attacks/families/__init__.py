"""The list of all attack cases, family by family, in the order of the README's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.attacks.families import (
    amplification,
    build_state,
    builtin_gadgets,
    call_opcodes,
    codecs,
    cycles,
    demo,
    dotted_names,
    extension_registry,
    hash_collisions,
    length_fields,
    memo_indexes,
    module_access,
    name_tricks,
    nesting,
    numbers,
    persistent_ids,
    reentrancy,
    sharing,
    stack_abuse,
    stream_tricks,
    text_opcodes,
    type_confusion,
)

if TYPE_CHECKING:
    from tests.attacks.case import Case

CASES: tuple[Case, ...] = tuple(
    case
    for module in (
        demo,
        call_opcodes,
        dotted_names,
        module_access,
        name_tricks,
        builtin_gadgets,
        extension_registry,
        build_state,
        persistent_ids,
        sharing,
        amplification,
        codecs,
        nesting,
        cycles,
        numbers,
        length_fields,
        memo_indexes,
        stack_abuse,
        stream_tricks,
        text_opcodes,
        type_confusion,
        hash_collisions,
        reentrancy,
    )
    for case in module.family.cases
)
