//! What counts where a key or a member was given more than once.

use std::collections::HashMap;

use smallvec::SmallVec;

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

/// Tells each place where a key stands that an earlier place has, and that earlier one, in order.
fn repeated(values: &ValueSink<'_>, keys: impl ExactSizeIterator<Item = NodeId>, mut found: impl FnMut(usize, usize)) {
    let count = keys.len();
    let keys = keys.map(|id| key(values, id)).enumerate();
    if count <= FEW {
        let mut seen: SmallVec<[Key<'_>; FEW]> = SmallVec::new();
        for (place, key) in keys {
            if let Some(first) = seen.iter().position(|earlier| *earlier == key) {
                found(place, first);
            }
            seen.push(key);
        }
        return;
    }
    let mut seen = HashMap::with_capacity(count);
    for (place, key) in keys {
        let first = *seen.entry(key).or_insert(place);
        if first != place {
            found(place, first);
        }
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

/// Whether keys and values, alternating, are of one key.
pub fn is_one_key(values: &ValueSink<'_>, held: &[NodeId]) -> bool {
    let mut keys = held.iter().step_by(2).map(|id| key(values, *id));
    keys.next().is_some_and(|first| keys.all(|other| other == first))
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
