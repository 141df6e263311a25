//! Damaged sessions: 20,000 seeded mutations of the corpus never panic, on a stack of 256 KiB.

use std::path::Path;
use std::{fs, thread};

use plainpickle::extent::{Extent, extent};
use plainpickle::json::{self, Style};
use plainpickle::limits::Limits;
use plainpickle::policy::Policy;
use plainpickle::sink::value::{NodeId, ValueSink};
use plainpickle::sink::{globals::GlobalsSink, null::NullSink, salvage::SalvageSink};
use plainpickle::{Options, decode, decode_json, plain};

const INPUTS: usize = 20_000;
const SEED: u64 = 0x5EED_0001;

/// xorshift64*: the same inputs on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

/// The pickles of the corpus, in the order of their names.
fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "bin"));
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// One to four changes: another byte, an opcode, a byte more or less, a piece of itself, or of another one.
fn mutated(samples: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    const OPCODES: &[u8] = b"(.012FIJKLMNPQRSTUVXabcd}eghijl]opqrstu)G\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8f\x90\x91\x92\x93\x94\x95";
    let mut data = samples[dice.below(samples.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(data.len().max(1)).min(data.len());
        let other = &samples[dice.below(samples.len())];
        match dice.below(7) {
            0 if at < data.len() => data[at] = dice.below(256) as u8,
            1 if at < data.len() => data[at] = OPCODES[dice.below(OPCODES.len())],
            2 if at < data.len() => data[at] ^= 1 << dice.below(8),
            3 => data.insert(at, OPCODES[dice.below(OPCODES.len())]),
            4 if at < data.len() => drop(data.remove(at)),
            5 => data.truncate(at),
            _ => {
                let start = dice.below(other.len());
                let end = (start + dice.below(40)).min(other.len());
                data.splice(at..at, other[start..end].iter().copied());
            }
        }
    }
    data
}

fn written(values: &ValueSink<'_>, root: NodeId, show: bool) -> Option<String> {
    let max_depth = if show { u64::MAX } else { 1_000 };
    json::write(values, &root, Style { indent: 0, show, max_bytes: 1 << 20, max_depth }).ok()
}

/// What was written is read to the same; damaged, to a value or an error.
fn read_json(text: &str, policy: &Policy) {
    let limits = Limits::default();
    let mut values = ValueSink::default();
    if let Ok(root) = decode_json(text.as_bytes(), &mut values, policy, &limits) {
        assert_eq!(written(&values, root, false).as_deref(), Some(text));
    }
    for at in (0..text.len()).step_by(text.len() / 4 + 1) {
        let mut damaged = text.as_bytes().to_vec();
        damaged[at] ^= 1 << (at % 7);
        let _ = decode_json(&damaged, &mut SalvageSink::new(ValueSink::default()), policy, &limits);
        let _ = decode_json(&text.as_bytes()[..at], &mut ValueSink::default(), policy, &limits);
    }
}

/// Reads one input with each sink, and finishes what comes out; the number of sinks that read it.
fn read(data: &[u8], policy: &Policy) -> usize {
    let (limits, options) = (Limits::default(), Options::default());
    let mut values = ValueSink::default();
    let decoded = decode(data, &mut values, policy, &limits, &options);
    let read = usize::from(decoded.is_ok());
    if let Ok(decoded) = decoded {
        assert_eq!(extent(data), Extent::End(decoded.size));
        let shown = written(&values, decoded.value, true).expect("a small input has a small JSON");
        if let Err(error) = serde_json::from_str::<serde_json::Value>(&shown) {
            assert!(error.to_string().contains("recursion limit"), "{error}");
        }
        if let Some(text) = written(&values, decoded.value, false) {
            read_json(&text, policy);
        }
        let _ = plain::to_value(&values, decoded.value, 10_000);
        if let Ok(pickle) = plain::sanitize(&values, decoded.value, 1 << 20) {
            assert!(decode(&pickle, &mut NullSink, &Policy::default(), &limits, &options).is_ok());
        }
    }
    let mut salvage = SalvageSink::new(ValueSink::default());
    let salvaged = decode(data, &mut salvage, policy, &limits, &options);
    assert!(salvaged.is_ok() || read == 0, "salvage reads less than loading");
    if let Ok(decoded) = salvaged {
        let pruned = salvage.prune(&decoded.value);
        let refused = salvage.into_errors().len();
        assert!(read == 0 || refused == 0, "salvage refuses more than loading");
        assert!(pruned.is_ok_and(|taken| refused > 0 || taken.is_none_or(|taken| taken.is_empty())));
    }
    let mut names = GlobalsSink::default();
    let inspected = decode(data, &mut names, policy, &limits, &options).is_ok();
    let clean = inspected && names.finish().first_refused().is_none();
    assert_eq!(clean, read == 1, "inspect and loading disagree");
    read + usize::from(decode(data, &mut NullSink, policy, &limits, &options).is_ok())
}

#[test]
fn damaged_sessions_end_in_a_value_or_an_error_on_a_small_stack() {
    let run = || {
        let samples = corpus();
        assert!(samples.len() > 50);
        let mut policies = [Policy::default(), Policy::default()];
        policies[1].stub();
        let (mut dice, mut readable) = (Dice(SEED), 0);
        for input in 0..INPUTS {
            let data = mutated(&samples, &mut dice);
            readable += read(&data, &policies[input % 2]);
        }
        readable
    };
    let readable = thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap().join();
    // Both ends are reached: some inputs are still pickles, most are not.
    let readable = readable.expect("an input panicked");
    assert!((INPUTS / 50..INPUTS * 2).contains(&readable), "{readable}");
}
