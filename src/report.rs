//! The report: what `inspect` finds in a pickle, ready to be serialized.

use std::collections::HashMap;

use serde::Serialize;
use serde::ser::SerializeStruct as _;
use smallvec::SmallVec;

use crate::opcode::OPCODES;
use crate::policy;

/// How many offsets of one global are kept.
const OFFSETS: usize = 16;

/// Up to so many globals are compared with each other; more are hashed.
const FEW: usize = 8;

/// What a pickle consists of. Recorded as it comes; names are made fit to be shown when they are asked for.
#[derive(Debug, Default)]
pub struct Report {
    opcodes: Counts,
    /// The modules and names of all globals, one behind the other.
    names: String,
    used: Vec<Used>,
    /// The place of each global by the size of its module and by both names, once they are many.
    index: HashMap<(usize, Box<str>), usize>,
}

/// A global, in the order of first use.
#[derive(Debug)]
struct Used {
    /// Where its module and its name start, and where both end.
    start: usize,
    name: usize,
    end: usize,
    count: usize,
    offsets: SmallVec<[usize; 2]>,
    /// Where the policy refuses it first: a name of Python 2 may be refused behind a newer PROTO only.
    refused: Option<usize>,
}

/// One global, and where it is named.
#[derive(Debug, Serialize)]
pub struct GlobalUse<'r> {
    /// Escaped and cut.
    pub module: Box<str>,
    /// Escaped and cut.
    pub name: Box<str>,
    /// How often the bytes name it.
    pub count: usize,
    /// The offsets of the opcodes that name it; the first 16.
    pub offsets: &'r [usize],
    /// Whether the policy allows it.
    pub allowed: bool,
}

/// A count for each byte; those that are no opcodes are never shown.
#[derive(Debug)]
struct Counts(Box<[u32; 256]>);

impl Default for Counts {
    fn default() -> Self {
        Self(Box::new([0; 256]))
    }
}

impl Report {
    /// How often each opcode occurs, in the table's order; none that do not occur.
    pub fn opcodes(&self) -> impl Iterator<Item = (&'static str, u32)> {
        OPCODES.iter().map(|row| (row.name, self.count(row.byte))).filter(|(_, count)| *count > 0)
    }

    /// Each global, in the order of first use.
    pub fn globals(&self) -> impl ExactSizeIterator<Item = GlobalUse<'_>> {
        self.used.iter().map(|used| GlobalUse {
            module: policy::escaped_part(&self.names[used.start..used.name]),
            name: policy::escaped_part(&self.names[used.name..used.end]),
            count: used.count,
            offsets: &used.offsets,
            allowed: used.refused.is_none(),
        })
    }

    /// The first global that the policy does not allow, and where it stands.
    pub fn first_refused(&self) -> Option<(GlobalUse<'_>, usize)> {
        let first = self.used.iter().enumerate().filter_map(|(place, used)| Some((place, used.refused?)));
        let (place, offset) = first.min_by_key(|(_, offset)| *offset)?;
        Some((self.globals().nth(place)?, offset))
    }

    /// The highest protocol that an opcode in it came with.
    pub fn highest_protocol(&self) -> u8 {
        let used = OPCODES.iter().filter(|row| self.count(row.byte) > 0);
        used.map(|row| row.protocol).max().unwrap_or(0)
    }

    fn count(&self, byte: u8) -> u32 {
        self.opcodes.0[usize::from(byte)]
    }

    #[inline(always)]
    pub(crate) fn count_opcode(&mut self, byte: u8) {
        let count = &mut self.opcodes.0[usize::from(byte)];
        // Only over 4 GiB of input can have so many; there is nothing to be gained by a wrong count.
        *count = count.wrapping_add(1);
    }

    pub(crate) fn count_global(&mut self, module: &str, name: &str, offset: usize, allowed: bool) {
        let place = self.place(module, name).unwrap_or_else(|| {
            let start = self.names.len();
            self.names.push_str(module);
            self.names.push_str(name);
            let (name, end) = (start + module.len(), self.names.len());
            self.used.push(Used { start, name, end, count: 0, offsets: SmallVec::new(), refused: None });
            self.used.len() - 1
        });
        let found = &mut self.used[place];
        found.count += 1;
        if !allowed {
            found.refused.get_or_insert(offset);
        }
        if found.offsets.len() < OFFSETS {
            found.offsets.push(offset);
        }
    }

    /// Where a global is in `used`, if it was named before.
    fn place(&mut self, module: &str, name: &str) -> Option<usize> {
        let both = |used: &Used| &self.names[used.start..used.end];
        if self.used.len() <= FEW {
            return self.used.iter().position(|used| {
                used.name - used.start == module.len() && both(used).strip_prefix(module) == Some(name)
            });
        }
        for (place, used) in self.used.iter().enumerate().skip(self.index.len()) {
            self.index.insert((used.name - used.start, both(used).into()), place);
        }
        self.index.get(&(module.len(), format!("{module}{name}").into())).copied()
    }
}

impl Serialize for Report {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Opcodes<'r>(&'r Report);
        impl Serialize for Opcodes<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.opcodes())
            }
        }
        let mut report = serializer.serialize_struct("Report", 2)?;
        report.serialize_field("opcodes", &Opcodes(self))?;
        report.serialize_field("globals", &self.globals().collect::<Vec<_>>())?;
        report.end()
    }
}
