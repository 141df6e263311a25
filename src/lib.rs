//! Reads pickles without ever running them.
//!
//! The core knows no Python: a [`machine`] decodes the opcodes under [`limits`] and a [`policy`], and
//! hands values to a [`sink`]. Loading, inspecting and converting are sinks of that one machine.
#![deny(unsafe_code)]
#![cfg_attr(not(feature = "python"), forbid(unsafe_code))]

pub mod error;
pub mod globals;
pub mod json;
pub mod limits;
pub mod machine;
pub mod opcode;
pub mod plain;
pub mod policy;
#[cfg(feature = "python")]
mod python;
pub mod reader;
pub mod report;
pub mod sink;

pub use machine::{Decoded, Options, Strings, decode};
