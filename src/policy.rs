//! The policy: which names the bytes may select, and what each becomes.

use std::collections::HashMap;

use crate::globals::{self, Row};

/// What a name selects.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// A row of the table; and the number of the framework's own builder, where the policy has one.
    Known(&'static Row, Option<u32>),
    /// Its state, as plain data.
    Plain,
    /// The class or function of this number, which the app handed over.
    Registered(u32),
    /// An inert stand-in.
    Stub,
}

/// Which names the bytes may select. Made once, before any bytes are seen.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    own: HashMap<Box<str>, Target>,
    stub: bool,
}

impl Policy {
    /// Admits an app's class as plain data. `name` is module and name, joined by a dot.
    pub fn as_plain(&mut self, name: &str) {
        self.own.insert(name.into(), Target::Plain);
    }

    /// Admits a class or function of the app under `name`.
    pub fn register(&mut self, name: &str, index: u32) {
        self.own.insert(name.into(), Target::Registered(index));
    }

    /// Lets a framework's own builder make what a row of the table stands for. False: no such row.
    pub fn native(&mut self, name: &str, index: u32) -> bool {
        let row = name.match_indices('.').find_map(|(dot, _)| globals::lookup(&name[..dot], &name[dot + 1..]));
        if let Some(row) = row {
            self.own.insert(name.into(), Target::Known(row, Some(index)));
        }
        row.is_some()
    }

    /// Makes an inert stub of every name that is not known.
    pub fn stub(&mut self) {
        self.stub = true;
    }

    /// What a name selects. `fix_imports` maps Python 2's names, as pickle does.
    pub fn lookup(&self, module: &str, name: &str, fix_imports: bool) -> Option<Target> {
        if !self.own.is_empty()
            && let Some(target) = self.own.get(format!("{module}.{name}").as_str())
        {
            return Some(*target);
        }
        match globals::lookup(module, name) {
            Some(row) if fix_imports || !row.python2() => Some(Target::Known(row, None)),
            _ => self.stub.then_some(Target::Stub),
        }
    }
}

/// A module and a name for a message: escaped, cut at 128 characters.
pub fn escaped(module: &str, name: &str) -> Box<str> {
    escape(module.chars().chain(['.']).chain(name.chars()))
}

/// A module or a name for a message: escaped, cut at 128 characters.
pub fn escaped_part(part: &str) -> Box<str> {
    escape(part.chars())
}

fn escape(characters: impl Iterator<Item = char>) -> Box<str> {
    let mut out = String::new();
    for (count, character) in characters.enumerate() {
        if count == 128 {
            out.push('…');
            break;
        }
        if character.is_ascii_graphic() && character != '\\' {
            out.push(character);
        } else {
            out.extend(character.escape_default());
        }
    }
    out.into()
}

/// Modules whose names hand code, or the process, to whoever calls them. Nothing is refused by this
/// list: what is not allowed is refused. It only stops a policy from being made by mistake.
const HANDS_OVER_CODE: &[&str] = &[
    "_functools",
    "_io",
    "_posixsubprocess",
    "_weakref",
    "io",
    "_winapi",
    "asyncio",
    "bdb",
    "builtins",
    "__builtin__",
    "code",
    "codeop",
    "commands",
    "concurrent",
    "copy_reg",
    "copyreg",
    "ctypes",
    "_ctypes",
    "dill",
    "cloudpickle",
    "functools",
    "gc",
    "importlib",
    "imp",
    "inspect",
    "joblib",
    "marshal",
    "multiprocessing",
    "nt",
    "operator",
    "_operator",
    "os",
    "pdb",
    "pickle",
    "_pickle",
    "cPickle",
    "pickletools",
    "pip",
    "pkgutil",
    "platform",
    "popen2",
    "posix",
    "posixpath",
    "profile",
    "cProfile",
    "pty",
    "pydoc",
    "runpy",
    "shelve",
    "shutil",
    "signal",
    "site",
    "socket",
    "ssl",
    "subprocess",
    "sys",
    "threading",
    "_thread",
    "timeit",
    "trace",
    "types",
    "venv",
    "weakref",
    "webbrowser",
    "yaml",
    "zipimport",
    "_codecs",
    "codecs",
];

/// Why a policy must not admit `name`, if so.
pub fn refusal(name: &str) -> Option<&'static str> {
    let identifier = |part: &str| {
        let mut characters = part.chars();
        characters.next().is_some_and(|first| first == '_' || first.is_alphabetic())
            && characters.all(|character| character == '_' || character.is_alphanumeric())
    };
    if name.contains(['*', '?', '[']) {
        return Some("wildcards are never allowed: name each class");
    }
    if !name.contains('.') || !name.split('.').all(identifier) {
        return Some("not a full name such as \"shop.cart.Cart\"; prefixes are never allowed");
    }
    hands_over_code(name).then_some("this module's names can run code of the attacker's choice")
}

/// Whether a name is of a module whose names run code, or change the process, for whoever calls them.
pub fn hands_over_code(name: &str) -> bool {
    HANDS_OVER_CODE.contains(&name.split('.').next().unwrap_or_default())
}

/// The line that would admit a name, for the end of a message, where admitting it is sane.
pub fn hint(module: &str, name: &str) -> Box<str> {
    let full = format!("{module}.{name}");
    if full.len() > 128 || !full.is_ascii() || refusal(&full).is_some() {
        return Box::default();
    }
    format!("; if it is a class of yours, policy.as_plain(\"{full}\") reads its state, and runs nothing of it").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_message_is_escaped_and_cut() {
        assert_eq!(&*escaped("os", "sys\x1b[31m\ntem"), "os.sys\\u{1b}[31m\\ntem");
        assert_eq!(escaped("a", &"b".repeat(1000)).chars().count(), 129);
    }

    #[test]
    fn only_exact_names_are_known() {
        let policy = Policy::default();
        assert!(policy.lookup("decimal", "Decimal", true).is_some());
        for (module, name) in
            [("decimal", "decimal"), ("decimal", "Decimal.x"), ("Decimal", "Decimal"), ("decimal.Decimal", "")]
        {
            assert!(policy.lookup(module, name, true).is_none());
        }
    }
}
