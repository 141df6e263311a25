//! Reads pickles without ever running them.
//!
//! The core knows no Python: a [`machine`] decodes the opcodes under [`limits`] and a [`policy`], and
//! hands values to a [`sink`]. Loading, inspecting and converting are sinks of that one machine.
#![deny(unsafe_code)]

#[forbid(unsafe_code)]
pub mod error;
#[forbid(unsafe_code)]
pub mod extent;
#[forbid(unsafe_code)]
pub mod globals;
#[forbid(unsafe_code)]
pub mod json;
#[forbid(unsafe_code)]
mod latin1;
#[forbid(unsafe_code)]
pub mod limits;
#[forbid(unsafe_code)]
pub mod machine;
#[forbid(unsafe_code)]
pub mod opcode;
#[forbid(unsafe_code)]
pub mod plain;
#[forbid(unsafe_code)]
pub mod policy;
#[cfg(feature = "python")]
mod python;
#[forbid(unsafe_code)]
pub mod reader;
#[forbid(unsafe_code)]
pub mod report;
#[forbid(unsafe_code)]
pub mod sink;
#[cfg_attr(not(feature = "python"), allow(dead_code))]
#[forbid(unsafe_code)]
mod sure;
#[forbid(unsafe_code)]
pub mod tree;
#[forbid(unsafe_code)]
pub mod utf8;

pub use machine::{Decoded, Options, Strings, decode, decode_json};
