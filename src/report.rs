//! The report: what `inspect` finds in a pickle, ready to be serialized.

use std::collections::HashMap;

use serde::Serialize;

use crate::opcode::{self, OPCODES};
use crate::policy;

/// How many offsets of one global are kept.
const OFFSETS: usize = 16;

/// What a pickle consists of.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// How often each opcode occurs, in the table's order; none that do not occur.
    #[serde(serialize_with = "by_name")]
    opcodes: Counts,
    /// Each global, in the order of first use.
    pub globals: Vec<GlobalUse>,
    #[serde(skip)]
    index: HashMap<Box<str>, usize>,
}

/// One global, and where it is named.
#[derive(Debug, Serialize)]
pub struct GlobalUse {
    /// Escaped and cut.
    pub module: Box<str>,
    /// Escaped and cut.
    pub name: Box<str>,
    /// How often the bytes name it.
    pub count: usize,
    /// The offsets of the opcodes that name it; the first 16.
    pub offsets: Vec<usize>,
    /// Whether the policy allows it.
    pub allowed: bool,
}

#[derive(Debug)]
struct Counts([usize; 256]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; 256])
    }
}

fn by_name<S: serde::Serializer>(counts: &Counts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(rows(counts))
}

fn rows(counts: &Counts) -> impl Iterator<Item = (&'static str, usize)> {
    OPCODES.iter().map(|row| (row.name, counts.0[row.byte as usize])).filter(|(_, count)| *count > 0)
}

impl Report {
    /// How often each opcode occurs.
    pub fn opcodes(&self) -> impl Iterator<Item = (&'static str, usize)> {
        rows(&self.opcodes)
    }

    /// The first global that the policy does not allow, and where it stands.
    pub fn first_refused(&self) -> Option<(&GlobalUse, usize)> {
        let refused = self.globals.iter().filter(|found| !found.allowed);
        refused.filter_map(|found| Some((found, *found.offsets.first()?))).min_by_key(|(_, offset)| *offset)
    }

    /// The highest protocol that an opcode in it came with.
    pub fn highest_protocol(&self) -> u8 {
        let used = OPCODES.iter().filter(|row| self.opcodes.0[row.byte as usize] > 0);
        used.map(|row| row.protocol).max().unwrap_or(0)
    }

    pub(crate) fn count_opcode(&mut self, byte: u8) {
        if opcode::info(byte).is_some() {
            self.opcodes.0[byte as usize] += 1;
        }
    }

    pub(crate) fn count_global(&mut self, module: &str, name: &str, offset: usize, allowed: bool) {
        let next = self.globals.len();
        let index = *self.index.entry(format!("{module}\n{name}").into()).or_insert(next);
        if index == next {
            let (module, name) = (policy::escaped_part(module), policy::escaped_part(name));
            self.globals.push(GlobalUse { module, name, count: 0, offsets: Vec::new(), allowed });
        }
        let found = &mut self.globals[index];
        found.count += 1;
        if found.offsets.len() < OFFSETS {
            found.offsets.push(offset);
        }
    }
}
