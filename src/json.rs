//! Tagged JSON: plain data as plain JSON, every other type as an object of one key that begins with a space.

mod writer;

pub(crate) use writer::{iso_clock, iso_day, iso_offset};

pub use writer::write;
