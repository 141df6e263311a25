//! The opcode table: one row for each of the 68 opcodes of protocols 0 to 5.

/// How the argument of an opcode is written in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// No argument.
    None,
    /// Unsigned bytes of this count, little-endian.
    Uint(u8),
    /// A signed 32-bit integer, little-endian.
    Int4,
    /// A big-endian IEEE 754 double.
    Float8,
    /// One line of text.
    Line,
    /// Two lines of text: module and name.
    TwoLines,
    /// A length of this many bytes, then as many bytes of payload.
    Counted(u8),
}

/// One row of the table.
#[derive(Debug)]
pub struct OpcodeInfo {
    /// The byte that selects it.
    pub byte: u8,
    /// The name that `pickletools` gives it.
    pub name: &'static str,
    /// The protocol that introduced it.
    pub protocol: u8,
    /// How its argument is written.
    pub argument: Argument,
    /// What it takes from the stack, top last. `mark` stands for the topmost mark and all above it.
    pub before: &'static [&'static str],
    /// What it leaves on the stack.
    pub after: &'static [&'static str],
    /// What it does.
    pub doc: &'static str,
}

macro_rules! opcodes {
    ($($name:ident $byte:literal $protocol:literal $argument:expr, [$($before:ident)*] [$($after:ident)*] $doc:literal;)*) => {
        /// The opcode bytes by name.
        pub mod op {
            $(#[doc = $doc] pub const $name: u8 = $byte;)*
        }
        /// All rows, in the order in which the protocols introduced them.
        pub static OPCODES: &[OpcodeInfo] = &[$(OpcodeInfo {
            byte: $byte,
            name: stringify!($name),
            protocol: $protocol,
            argument: $argument,
            before: &[$(stringify!($before)),*],
            after: &[$(stringify!($after)),*],
            doc: $doc,
        }),*];
    };
}

use Argument::{Counted, Float8, Int4, Line, TwoLines, Uint};
const NONE: Argument = Argument::None;

opcodes! {
    MARK            b'('  0 NONE, [] [mark] "Sets a mark, which a later opcode takes items down to.";
    STOP            b'.'  0 NONE, [any] [] "Ends the pickle: the top of the stack is its value.";
    POP             b'0'  0 NONE, [any] [] "Drops the top of the stack, or the mark if it is on top.";
    POP_MARK        b'1'  1 NONE, [mark stackslice] [] "Drops the topmost mark and all above it.";
    DUP             b'2'  0 NONE, [any] [any any] "Pushes the top of the stack once more.";
    FLOAT           b'F'  0 Line, [] [float] "Pushes a float written as text.";
    INT             b'I'  0 Line, [] [int_or_bool] "Pushes an integer written as text; 00 and 01 are the booleans.";
    BININT          b'J'  1 Int4, [] [int] "Pushes a signed four-byte integer.";
    BININT1         b'K'  1 Uint(1), [] [int] "Pushes a one-byte integer.";
    LONG            b'L'  0 Line, [] [int] "Pushes an integer written as text, with an optional L.";
    BININT2         b'M'  1 Uint(2), [] [int] "Pushes a two-byte integer.";
    NONE            b'N'  0 NONE, [] [None] "Pushes None.";
    PERSID          b'P'  0 Line, [] [any] "Pushes what the caller's resolver gives for a persistent id on a line.";
    BINPERSID       b'Q'  1 NONE, [any] [any] "Replaces a persistent id by what the caller's resolver gives for it.";
    REDUCE          b'R'  0 NONE, [any any] [any] "Replaces a callable and its argument tuple by the value that they select.";
    STRING          b'S'  0 Line, [] [bytes_or_str] "Pushes a Python 2 str written as a quoted literal.";
    BINSTRING       b'T'  1 Counted(4), [] [bytes_or_str] "Pushes a Python 2 str with a signed four-byte length.";
    SHORT_BINSTRING b'U'  1 Counted(1), [] [bytes_or_str] "Pushes a Python 2 str with a one-byte length.";
    UNICODE         b'V'  0 Line, [] [str] "Pushes text written in raw-unicode-escape.";
    BINUNICODE      b'X'  1 Counted(4), [] [str] "Pushes UTF-8 text with a four-byte length.";
    APPEND          b'a'  0 NONE, [list any] [list] "Appends one item to a list.";
    BUILD           b'b'  0 NONE, [any any] [any] "Gives an object its state.";
    GLOBAL          b'c'  0 TwoLines, [] [any] "Pushes the table's entry for a module and a name on two lines.";
    DICT            b'd'  0 NONE, [mark stackslice] [dict] "Makes a dict of the keys and values above the mark.";
    EMPTY_DICT      b'}'  1 NONE, [] [dict] "Pushes an empty dict.";
    APPENDS         b'e'  1 NONE, [list mark stackslice] [list] "Appends all items above the mark to a list.";
    GET             b'g'  0 Line, [] [any] "Pushes the memo entry whose index is on a line.";
    BINGET          b'h'  1 Uint(1), [] [any] "Pushes the memo entry of a one-byte index.";
    INST            b'i'  0 TwoLines, [mark stackslice] [any] "Makes an instance of a class named on two lines.";
    LONG_BINGET     b'j'  1 Uint(4), [] [any] "Pushes the memo entry of a four-byte index.";
    LIST            b'l'  0 NONE, [mark stackslice] [list] "Makes a list of the items above the mark.";
    EMPTY_LIST      b']'  1 NONE, [] [list] "Pushes an empty list.";
    OBJ             b'o'  1 NONE, [mark any stackslice] [any] "Makes an instance of the class right above the mark.";
    PUT             b'p'  0 Line, [] [] "Stores the top of the stack in the memo; the index is on a line.";
    BINPUT          b'q'  1 Uint(1), [] [] "Stores the top of the stack in the memo; one-byte index.";
    LONG_BINPUT     b'r'  1 Uint(4), [] [] "Stores the top of the stack in the memo; four-byte index.";
    SETITEM         b's'  0 NONE, [dict any any] [dict] "Sets one key of a dict.";
    TUPLE           b't'  0 NONE, [mark stackslice] [tuple] "Makes a tuple of the items above the mark.";
    EMPTY_TUPLE     b')'  1 NONE, [] [tuple] "Pushes the empty tuple.";
    SETITEMS        b'u'  1 NONE, [dict mark stackslice] [dict] "Sets the keys and values above the mark in a dict.";
    BINFLOAT        b'G'  1 Float8, [] [float] "Pushes an eight-byte float.";
    PROTO           0x80  2 Uint(1), [] [] "Declares the protocol.";
    NEWOBJ          0x81  2 NONE, [any any] [any] "Makes an instance of a class with an argument tuple.";
    EXT1            0x82  2 Uint(1), [] [any] "Names an entry of the extension registry; always refused.";
    EXT2            0x83  2 Uint(2), [] [any] "Names an entry of the extension registry; always refused.";
    EXT4            0x84  2 Int4, [] [any] "Names an entry of the extension registry; always refused.";
    TUPLE1          0x85  2 NONE, [any] [tuple] "Makes a tuple of the topmost item.";
    TUPLE2          0x86  2 NONE, [any any] [tuple] "Makes a tuple of the two topmost items.";
    TUPLE3          0x87  2 NONE, [any any any] [tuple] "Makes a tuple of the three topmost items.";
    NEWTRUE         0x88  2 NONE, [] [bool] "Pushes True.";
    NEWFALSE        0x89  2 NONE, [] [bool] "Pushes False.";
    LONG1           0x8a  2 Counted(1), [] [int] "Pushes an integer of up to 255 bytes, two's complement.";
    LONG4           0x8b  2 Counted(4), [] [int] "Pushes an integer with a four-byte length, two's complement.";
    BINBYTES        b'B'  3 Counted(4), [] [bytes] "Pushes bytes with a four-byte length.";
    SHORT_BINBYTES  b'C'  3 Counted(1), [] [bytes] "Pushes bytes with a one-byte length.";
    SHORT_BINUNICODE 0x8c 4 Counted(1), [] [str] "Pushes UTF-8 text with a one-byte length.";
    BINUNICODE8     0x8d  4 Counted(8), [] [str] "Pushes UTF-8 text with an eight-byte length.";
    BINBYTES8       0x8e  4 Counted(8), [] [bytes] "Pushes bytes with an eight-byte length.";
    EMPTY_SET       0x8f  4 NONE, [] [set] "Pushes an empty set.";
    ADDITEMS        0x90  4 NONE, [set mark stackslice] [set] "Adds the items above the mark to a set.";
    FROZENSET       0x91  4 NONE, [mark stackslice] [frozenset] "Makes a frozenset of the items above the mark.";
    NEWOBJ_EX       0x92  4 NONE, [any any any] [any] "Makes an instance of a class with arguments and keywords.";
    STACK_GLOBAL    0x93  4 NONE, [str str] [any] "Replaces a module and a name by the table's entry for them.";
    MEMOIZE         0x94  4 NONE, [any] [any] "Stores the top of the stack in the next memo entry.";
    FRAME           0x95  4 Uint(8), [] [] "Declares the length of the frame that follows.";
    BYTEARRAY8      0x96  5 Counted(8), [] [bytearray] "Pushes a bytearray with an eight-byte length.";
    NEXT_BUFFER     0x97  5 NONE, [] [buffer] "Pushes the caller's next out-of-band buffer.";
    READONLY_BUFFER 0x98  5 NONE, [buffer] [buffer] "Makes the buffer on top read-only.";
}

/// Row numbers by byte; 0xFF where no opcode has that byte.
static ROWS: [u8; 256] = {
    let mut rows = [0xFF; 256];
    let mut i = 0;
    while i < OPCODES.len() {
        rows[OPCODES[i].byte as usize] = i as u8;
        i += 1;
    }
    rows
};

/// The row of `byte`, if it is an opcode.
pub fn info(byte: u8) -> Option<&'static OpcodeInfo> {
    OPCODES.get(ROWS[byte as usize] as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_byte() {
        assert_eq!(OPCODES.len(), 68);
        for row in OPCODES {
            assert_eq!(info(row.byte).map(|found| found.name), Some(row.name));
        }
        assert!(info(0xFF).is_none());
    }
}
