//! What counts where a key or a member was given more than once.

use std::collections::HashMap;

use super::{Node, NodeId, ValueSink};

/// Up to so many keys are compared with each other; more are hashed.
const FEW: usize = 16;

/// A key, such that equal keys are those that Python takes for equal, as far as that matters here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key<'v> {
    None,
    Text(&'v [u8]),
    Bytes(&'v [u8]),
    Int(i64),
    Node(u64),
}

#[inline]
fn key<'v>(values: &'v ValueSink<'_>, id: NodeId) -> Key<'v> {
    if let Some(raw) = values.utf8_of(id) {
        return Key::Text(raw);
    }
    match values.node(id) {
        Node::None => Key::None,
        Node::Surrogates(raw) => Key::Text(raw),
        Node::Bytes(raw) => Key::Bytes(raw),
        Node::Bool(value) => Key::Int(value.into()),
        Node::Int(value) => Key::Int(value),
        Node::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Key::Int(value as i64),
        _ => Key::Node(id.number()),
    }
}

/// Equal for equal keys, never 0, and rarely equal for others.
#[inline]
fn mark(values: &ValueSink<'_>, id: NodeId) -> u32 {
    let ends = |raw: &[u8]| match *raw {
        [] => 0,
        [only] => u32::from(only),
        [first, .., last] => (raw.len() as u32) << 16 | u32::from(first) << 8 | u32::from(last),
    };
    let bits = match values.utf8_of(id) {
        Some(raw) => ends(raw),
        None => match key(values, id) {
            Key::None => 0,
            Key::Text(raw) | Key::Bytes(raw) => ends(raw),
            Key::Int(value) => value as u32,
            Key::Node(number) => number as u32,
        },
    };
    bits | 1 << 31
}

/// Tells each place where a key stands that an earlier place has, and that earlier one, in order.
#[inline]
fn repeated(values: &ValueSink<'_>, keys: impl ExactSizeIterator<Item = NodeId>, mut found: impl FnMut(usize, usize)) {
    if keys.len() > FEW {
        let mut seen = HashMap::with_capacity(keys.len());
        for (place, id) in keys.enumerate() {
            let first = *seen.entry(key(values, id)).or_insert(place);
            if first != place {
                found(place, first);
            }
        }
        return;
    }
    // Most keys are told apart by their marks, all of which are compared at once.
    let mut marks = [0; FEW];
    let mut seen = [NodeId::NONE; FEW];
    for (place, id) in keys.enumerate() {
        let mark = mark(values, id);
        if marks.iter().fold(false, |any, other| any | (*other == mark))
            && let Some(first) = seen[..place].iter().position(|earlier| key(values, *earlier) == key(values, id))
        {
            found(place, first);
        }
        (marks[place], seen[place]) = (mark, id);
    }
}

/// Keys and values, alternating, with the last value of each key, in the order of first insertion; none
/// if that is how they stand already.
pub fn entries(values: &ValueSink<'_>, held: &[NodeId]) -> Option<Vec<NodeId>> {
    let mut last: Option<(Vec<NodeId>, Vec<bool>)> = None;
    repeated(values, held.iter().step_by(2).copied(), |place, first| {
        let (entries, dropped) = last.get_or_insert_with(|| (held.to_vec(), vec![false; held.len()]));
        entries[2 * first + 1] = held[2 * place + 1];
        dropped[2 * place..2 * place + 2].fill(true);
    });
    last.map(|(entries, dropped)| kept(entries, &dropped))
}

/// Each member once; none if that is how they stand already.
pub fn members(values: &ValueSink<'_>, held: &[NodeId]) -> Option<Vec<NodeId>> {
    let mut dropped: Option<Vec<bool>> = None;
    repeated(values, held.iter().copied(), |place, _| {
        dropped.get_or_insert_with(|| vec![false; held.len()])[place] = true;
    });
    dropped.map(|dropped| kept(held.to_vec(), &dropped))
}

fn kept(held: Vec<NodeId>, dropped: &[bool]) -> Vec<NodeId> {
    held.into_iter().zip(dropped).filter(|(_, dropped)| !**dropped).map(|(id, _)| id).collect()
}
