//! The null sink: keeps nothing, so that fuzzing and benchmarks see the machine alone.

use std::borrow::Cow;
use std::convert::Infallible;

use crate::sink::{Factory, How, KnownValue, Made, Sink, View};

/// Throws every value away.
#[derive(Debug, Default)]
pub struct NullSink;

type Nothing = Made<(), Infallible>;

impl<'a> Sink<'a> for NullSink {
    type Value = ();
    type Error = Infallible;
    const OPAQUE: bool = true;

    fn none(&mut self) -> Nothing {
        Ok(())
    }
    fn bool(&mut self, _: bool) -> Nothing {
        Ok(())
    }
    fn int(&mut self, _: i64) -> Nothing {
        Ok(())
    }
    fn big_int(&mut self, _: &[u8]) -> Nothing {
        Ok(())
    }
    fn int_text(&mut self, _: &str) -> Nothing {
        Ok(())
    }
    fn float(&mut self, _: f64) -> Nothing {
        Ok(())
    }
    fn text(&mut self, _: Cow<'a, str>) -> Nothing {
        Ok(())
    }
    fn text_surrogates(&mut self, _: Cow<'a, [u8]>) -> Nothing {
        Ok(())
    }
    fn text_coded(&mut self, _: Cow<'a, [u8]>, _: &str, _: &str) -> Nothing {
        Ok(())
    }
    fn bytes(&mut self, _: Cow<'a, [u8]>) -> Nothing {
        Ok(())
    }
    fn bytearray(&mut self, _: Cow<'a, [u8]>) -> Nothing {
        Ok(())
    }
    fn tuple<I: ExactSizeIterator<Item = ()>>(&mut self, _: I) -> Nothing {
        Ok(())
    }
    fn list<I: ExactSizeIterator<Item = ()>>(&mut self, _: I) -> Nothing {
        Ok(())
    }
    fn frozenset<I: ExactSizeIterator<Item = ()>>(&mut self, _: I) -> Nothing {
        Ok(())
    }
    fn set(&mut self) -> Nothing {
        Ok(())
    }
    fn dict(&mut self) -> Nothing {
        Ok(())
    }
    fn known(&mut self, _: KnownValue<'_, ()>) -> Nothing {
        Ok(())
    }
    fn extend<I: ExactSizeIterator<Item = ()>>(&mut self, (): &(), _: I) -> Nothing {
        Ok(())
    }
    fn insert<I: ExactSizeIterator<Item = ()>>(&mut self, (): &(), _: I) -> Nothing {
        Ok(())
    }
    fn add<I: ExactSizeIterator<Item = ()>>(&mut self, (): &(), _: I) -> Nothing {
        Ok(())
    }
    fn clear(&mut self, (): &()) -> Nothing {
        Ok(())
    }
    fn build(&mut self, (): &(), (): &()) -> Nothing {
        Ok(())
    }
    fn view<'v>(&'v self, (): &'v ()) -> View<'v> {
        View::Opaque
    }
    fn len(&self, (): &()) -> usize {
        0
    }
    fn item(&self, (): &(), _: usize) -> Option<()> {
        None
    }
    fn items(&self, (): &()) -> Vec<()> {
        Vec::new()
    }
    fn latin1(&mut self, (): &()) -> Made<Option<()>, Infallible> {
        Ok(None)
    }
    fn get(&self, (): &(), _: &str) -> Option<()> {
        None
    }
    fn entries(&self, (): &()) -> Vec<()> {
        Vec::new()
    }
    fn u128(&self, (): &()) -> Option<u128> {
        None
    }
    fn identity(&self, (): &()) -> usize {
        0
    }
    fn hash(&mut self, (): &()) -> Made<Option<i64>, Infallible> {
        Ok(None)
    }
    fn stub(&mut self, _: &str, _: Option<&()>) -> Nothing {
        Ok(())
    }
    fn builtin(&mut self, _: Factory) -> Nothing {
        Ok(())
    }
    fn construct(&mut self, _: u32, _: How, (): &(), _: Option<&()>) -> Nothing {
        Ok(())
    }
    fn native(&mut self, _: u32, _: &[()]) -> Nothing {
        Ok(())
    }
    fn persistent(&mut self, (): &()) -> Nothing {
        Ok(())
    }
    fn buffer(&mut self) -> Nothing {
        Ok(())
    }
    fn readonly(&mut self, (): &()) -> Nothing {
        Ok(())
    }
}
