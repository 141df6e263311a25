//! The salvage sink: goes on behind what is refused, and knows which values hold it. Wraps any sink.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::error::{Error, reserve};
use crate::sink::{Factory, How, KnownValue, Made, Sink, View};

/// The keys that were taken out of a dict, each with the number of the error that it is out for.
pub type Taken<V> = Vec<(V, usize)>;

/// Builds into `S`, with an inert stand-in for each refused value.
pub struct SalvageSink<'a, S: Sink<'a>> {
    /// The sink that builds.
    pub inner: S,
    /// What was refused, in the order in which it was met; not what follows from it.
    errors: Vec<Error>,
    /// By identity: what was refused, or given a refused state; and the number of the error.
    sources: Vec<(usize, usize)>,
    /// By identity: what is or holds something refused, as far as that was known when it was built.
    spoiled: HashMap<usize, usize>,
    /// By identity: what is held, and by what.
    holders: Vec<(usize, usize)>,
    /// Whatever has an identity that is remembered lives on, so that no other value gets it.
    alive: Vec<S::Value>,
}

impl<'a, S: Sink<'a>> SalvageSink<'a, S> {
    /// Wraps a sink.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            errors: Vec::new(),
            sources: Vec::new(),
            spoiled: HashMap::new(),
            holders: Vec::new(),
            alive: Vec::new(),
        }
    }

    /// The number of the error about what a value is, or holds.
    pub fn error_of(&self, value: &S::Value) -> Option<usize> {
        self.spoiled.get(&self.inner.identity(value)).copied().filter(|_| !self.is_leaf(value))
    }

    /// Whether a value stands for something refused, or was given a refused state.
    pub fn is_source(&self, value: &S::Value) -> bool {
        let identity = self.inner.identity(value);
        self.spoiled.contains_key(&identity) && self.sources.iter().any(|(source, _)| *source == identity)
    }

    /// What was refused, in the order in which it was met.
    pub fn into_errors(self) -> Vec<Error> {
        self.errors
    }

    /// Takes each key out of the dict `root` that is refused, or whose value is or holds something refused:
    /// the keys, and the numbers of the errors. None if `root` is no dict, or refused itself.
    ///
    /// That a value holds `root` itself is no reason to take it out.
    pub fn prune(&mut self, root: &S::Value) -> Made<Option<Taken<S::Value>>, S::Error> {
        let own = self.inner.identity(root);
        let refused = self.sources.iter().any(|(identity, _)| *identity == own);
        if refused || !matches!(self.inner.view(root), View::Dict | View::DefaultDict) {
            return Ok(None);
        }
        self.holders.sort_unstable();
        let mut spoiled = HashMap::new();
        let mut ways = self.sources.clone();
        // The first error that reaches a value is the one that it is taken out for.
        ways.sort_by_key(|(_, error)| std::cmp::Reverse(*error));
        while let Some((identity, error)) = ways.pop() {
            if identity != own && spoiled.insert(identity, error).is_none() {
                let first = self.holders.partition_point(|(held, _)| *held < identity);
                let holders = self.holders[first..].iter().take_while(|(held, _)| *held == identity);
                ways.extend(holders.map(|(_, holder)| (*holder, error)));
            }
        }
        let mut kept = Vec::new();
        let mut taken = Vec::new();
        for pair in self.inner.entries(root).chunks_exact(2) {
            let held = pair.iter().filter(|value| !self.is_leaf(value));
            match held.filter_map(|value| spoiled.get(&self.inner.identity(value))).min() {
                Some(error) => taken.push((pair[0].clone(), *error)),
                None => kept.extend([pair[0].clone(), pair[1].clone()]),
            }
        }
        if !taken.is_empty() {
            self.inner.clear(root)?;
            self.inner.insert(root, kept.into_iter())?;
        }
        Ok(Some(taken))
    }

    fn is_leaf(&self, value: &S::Value) -> bool {
        matches!(
            self.inner.view(value),
            View::None | View::Bool(_) | View::Int(_) | View::Float(_) | View::Text(_) | View::Bytes(_)
        )
    }

    /// Notes that `holder` holds `values`.
    fn link<'v>(&mut self, holder: &S::Value, values: impl IntoIterator<Item = &'v S::Value>) -> Made<(), S::Error>
    where
        S::Value: 'v,
    {
        let to = self.inner.identity(holder);
        let mut linked = false;
        for value in values {
            if self.is_leaf(value) {
                continue;
            }
            let from = self.inner.identity(value);
            reserve(&mut self.alive)?;
            self.alive.push(value.clone());
            reserve(&mut self.holders)?;
            self.holders.push((from, to));
            linked = true;
            if let Some(&error) = self.spoiled.get(&from) {
                self.spoiled.entry(to).or_insert(error);
            }
        }
        if linked {
            reserve(&mut self.alive)?;
            self.alive.push(holder.clone());
        }
        Ok(())
    }

    /// A stand-in for what an error is about.
    fn stand_in(&mut self, error: usize) -> Made<S::Value, S::Error> {
        let value = self.inner.stub("", None)?;
        let identity = self.inner.identity(&value);
        self.sources.push((identity, error));
        self.alive.push(value.clone());
        self.spoiled.insert(identity, error);
        Ok(value)
    }

    /// The first error about one of these.
    fn first_error<'v>(&self, values: impl IntoIterator<Item = &'v S::Value>) -> Option<usize>
    where
        S::Value: 'v,
    {
        values.into_iter().filter_map(|value| self.error_of(value)).min()
    }
}

macro_rules! delegate {
    ($($method:ident($($argument:ident: $type:ty),*) -> $made:ty;)*) => {
        $(fn $method(&mut self, $($argument: $type),*) -> $made {
            self.inner.$method($($argument),*)
        })*
    };
}

impl<'a, S: Sink<'a>> Sink<'a> for SalvageSink<'a, S> {
    type Value = S::Value;
    type Error = S::Error;
    const LEAF: usize = S::LEAF;
    const OPAQUE: bool = S::OPAQUE;
    const NATIVE: bool = S::NATIVE;
    const SALVAGE: bool = true;

    fn begin(&mut self, input: &'a [u8]) {
        self.inner.begin(input);
    }
    delegate! {
        none() -> Made<S::Value, S::Error>;
        bool(value: bool) -> Made<S::Value, S::Error>;
        int(value: i64) -> Made<S::Value, S::Error>;
        big_int(bytes: &[u8]) -> Made<S::Value, S::Error>;
        int_text(digits: &str) -> Made<S::Value, S::Error>;
        float(value: f64) -> Made<S::Value, S::Error>;
        text(text: Cow<'a, str>) -> Made<S::Value, S::Error>;
        text_surrogates(text: Cow<'a, [u8]>) -> Made<S::Value, S::Error>;
        utf8(raw: &'a [u8]) -> Made<S::Value, S::Error>;
        latin1(text: &S::Value) -> Made<Option<S::Value>, S::Error>;
        text_coded(raw: Cow<'a, [u8]>, encoding: &str, errors: &str) -> Made<S::Value, S::Error>;
        bytes(bytes: Cow<'a, [u8]>) -> Made<S::Value, S::Error>;
        bytearray(bytes: Cow<'a, [u8]>) -> Made<S::Value, S::Error>;
        set() -> Made<S::Value, S::Error>;
        dict() -> Made<S::Value, S::Error>;
        known(value: KnownValue<'_, S::Value>) -> Made<S::Value, S::Error>;
        hash(key: &S::Value) -> Made<Option<i64>, S::Error>;
        builtin(factory: Factory) -> Made<S::Value, S::Error>;
        registered(index: u32, module: &str, name: &str) -> Made<u32, S::Error>;
        persistent(id: &S::Value) -> Made<S::Value, S::Error>;
        buffer() -> Made<S::Value, S::Error>;
        readonly(buffer: &S::Value) -> Made<S::Value, S::Error>;
    }

    fn tuple<I: ExactSizeIterator<Item = S::Value>>(&mut self, items: I) -> Made<S::Value, S::Error> {
        let items: Vec<_> = items.collect();
        let made = self.inner.tuple(items.iter().cloned())?;
        self.link(&made, &items)?;
        Ok(made)
    }
    fn list<I: ExactSizeIterator<Item = S::Value>>(&mut self, items: I) -> Made<S::Value, S::Error> {
        let items: Vec<_> = items.collect();
        let made = self.inner.list(items.iter().cloned())?;
        self.link(&made, &items)?;
        Ok(made)
    }
    fn frozenset<I: ExactSizeIterator<Item = S::Value>>(&mut self, items: I) -> Made<S::Value, S::Error> {
        let items: Vec<_> = items.collect();
        let made = self.inner.frozenset(items.iter().cloned())?;
        self.link(&made, &items)?;
        Ok(made)
    }
    fn extend<I: ExactSizeIterator<Item = S::Value>>(&mut self, target: &S::Value, items: I) -> Made<(), S::Error> {
        let items: Vec<_> = items.collect();
        self.link(target, &items)?;
        // The app's own code never sees a stand-in.
        if self.inner.view(target) == View::Object && self.error_of(target).is_some() {
            return Ok(());
        }
        self.inner.extend(target, items.into_iter())
    }
    fn insert<I: ExactSizeIterator<Item = S::Value>>(&mut self, target: &S::Value, items: I) -> Made<(), S::Error> {
        let items: Vec<_> = items.collect();
        self.link(target, &items)?;
        if self.inner.view(target) == View::Object && self.error_of(target).is_some() {
            return Ok(());
        }
        self.inner.insert(target, items.into_iter())
    }
    fn add<I: ExactSizeIterator<Item = S::Value>>(&mut self, target: &S::Value, items: I) -> Made<(), S::Error> {
        let items: Vec<_> = items.collect();
        self.link(target, &items)?;
        if self.inner.view(target) == View::Object && self.error_of(target).is_some() {
            return Ok(());
        }
        self.inner.add(target, items.into_iter())
    }
    fn clear(&mut self, target: &S::Value) -> Made<(), S::Error> {
        // A stand-in is no dict.
        if self.inner.view(target) == View::Stub { Ok(()) } else { self.inner.clear(target) }
    }
    fn build(&mut self, target: &S::Value, state: &S::Value) -> Made<(), S::Error> {
        self.link(target, [state])?;
        if self.inner.view(target) == View::Object && self.error_of(target).is_some() {
            return Ok(());
        }
        self.inner.build(target, state)
    }
    fn stub(&mut self, name: &str, args: Option<&S::Value>) -> Made<S::Value, S::Error> {
        let made = self.inner.stub(name, args)?;
        self.link(&made, args)?;
        Ok(made)
    }
    fn construct(
        &mut self,
        index: u32,
        how: How,
        args: &S::Value,
        kwargs: Option<&S::Value>,
    ) -> Made<S::Value, S::Error> {
        if let Some(error) = self.first_error(std::iter::once(args).chain(kwargs)) {
            return self.stand_in(error);
        }
        let made = self.inner.construct(index, how, args, kwargs)?;
        self.link(&made, std::iter::once(args).chain(kwargs))?;
        Ok(made)
    }
    fn native(&mut self, index: u32, args: &[S::Value]) -> Made<S::Value, S::Error> {
        if let Some(error) = self.first_error(args) {
            return self.stand_in(error);
        }
        let made = self.inner.native(index, args)?;
        self.link(&made, args)?;
        Ok(made)
    }
    fn refused(&mut self, error: Error, causes: &[S::Value]) -> Made<S::Value, S::Error> {
        let number = self.first_error(causes).unwrap_or_else(|| {
            self.errors.push(error);
            self.errors.len() - 1
        });
        self.stand_in(number)
    }
    fn spoiled(&mut self, value: &S::Value, refused: &S::Value) {
        if let Some(error) = self.error_of(refused) {
            self.alive.push(value.clone());
            let identity = self.inner.identity(value);
            self.sources.push((identity, error));
            self.spoiled.entry(identity).or_insert(error);
        }
    }

    fn view<'v>(&'v self, value: &'v S::Value) -> View<'v> {
        self.inner.view(value)
    }
    fn is_text(&self, value: &S::Value) -> bool {
        self.inner.is_text(value)
    }
    fn wtf8(&self, value: &S::Value) -> Option<Vec<u8>> {
        self.inner.wtf8(value)
    }
    fn len(&self, container: &S::Value) -> usize {
        self.inner.len(container)
    }
    fn item(&self, tuple: &S::Value, index: usize) -> Option<S::Value> {
        self.inner.item(tuple, index)
    }
    fn items(&self, container: &S::Value) -> Vec<S::Value> {
        self.inner.items(container)
    }
    fn get(&self, dict: &S::Value, key: &str) -> Option<S::Value> {
        self.inner.get(dict, key)
    }
    fn entries(&self, dict: &S::Value) -> Vec<S::Value> {
        self.inner.entries(dict)
    }
    fn u128(&self, value: &S::Value) -> Option<u128> {
        self.inner.u128(value)
    }
    fn identity(&self, value: &S::Value) -> usize {
        self.inner.identity(value)
    }
    fn opcode(&mut self, byte: u8) {
        self.inner.opcode(byte);
    }
    fn global(&mut self, module: &str, name: &str, offset: usize, allowed: bool) -> bool {
        self.inner.global(module, name, offset, allowed)
    }
}
