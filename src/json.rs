//! Tagged JSON: plain data as plain JSON, every other type as an object of one key that begins with a space.

mod out;
mod reader;
mod writer;

pub(crate) use out::{iso_clock, iso_day, iso_offset};

pub use reader::{Number, Quoted, Tokens};
pub use writer::{SURE_DIGITS, SURE_HASHED, Style, Unwritten, Written, encode, write};
