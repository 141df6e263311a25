//! What is written without being read back can be read back: the writer's certainty is the machine's.

use std::path::Path;
use std::{fs, iter};

use plainpickle::json::{self, Style, Written};
use plainpickle::limits::Limits;
use plainpickle::machine::surely_read;
use plainpickle::policy::Policy;
use plainpickle::sink::value::{NodeId, ValueSink};
use plainpickle::{Options, decode, decode_json};

fn style(max_depth: u64) -> Style {
    Style { indent: 0, show: false, max_bytes: u64::MAX, max_depth }
}

fn written(values: &ValueSink<'_>, root: &NodeId, depth: u64) -> Option<Written> {
    json::encode(values, root, style(depth)).ok()
}

fn is_read(text: &[u8], limits: &Limits) -> bool {
    decode_json(text, &mut ValueSink::checking(), &Policy::default(), limits).is_ok()
}

/// Reads a text under the tightest limits that it is sure of. False if the writer is not sure of it.
fn assert_sure_is_read(values: &ValueSink<'_>, root: &NodeId) -> bool {
    let Some(depth) = (1..64).find(|depth| written(values, root, *depth).is_some()) else {
        return false;
    };
    let Some(written) = written(values, root, depth).filter(|written| written.sure) else {
        return false;
    };
    let text = written.text();
    let limits = |memory| Limits {
        bytes: text.len() as u64,
        memory,
        work: 0,
        depth,
        key_depth: 0,
        probes: 0,
        int_bits: 0,
        int_digits: json::SURE_DIGITS as u64,
        decimal_digits: json::SURE_DIGITS as u64,
        decimal_exponent: 0,
        name_bytes: 0,
        output_bytes: 0,
    };
    let sure = |memory| surely_read::<ValueSink<'_>>(text.len(), &limits(memory));
    let (mut below, mut memory) = (0, 1 << 40);
    while below < memory {
        let middle = (below + memory) / 2;
        if sure(middle) { memory = middle } else { below = middle + 1 }
    }
    assert!(sure(memory));
    assert!(is_read(text, &limits(memory)), "{:.200}", String::from_utf8_lossy(text));
    let less = Limits { bytes: text.len() as u64 - 1, ..limits(memory) };
    assert!(!surely_read::<ValueSink<'_>>(text.len(), &less));
    true
}

#[test]
fn the_densest_texts_are_read_under_the_tightest_limits_that_they_are_sure_of() {
    let repeated = |part: &str, count: usize| iter::repeat_n(part, count).collect::<Vec<_>>().join(",");
    let mut texts: Vec<String> = Vec::new();
    for part in [
        "0",
        "1.5",
        "null",
        "\"\"",
        "[]",
        "{}",
        r#"{"":0}"#,
        r#"{"a":{"b":{}}}"#,
        r#"{" t":[]}"#,
        r#"{" t":[0]}"#,
        r#"{" set":[]}"#,
        r#"{" set":[0]}"#,
        r#"{" frozenset":[]}"#,
        r#"{" dict":[0,0]}"#,
        r#"{" b":""}"#,
        r#"{" bytearray":""}"#,
        r#"{" decimal":"0"}"#,
        r#"{" decimal":"-.5"}"#,
        r#"{" date":"2024-02-29"}"#,
        r#"{" time":"08:30:00"}"#,
        r#"{" datetime":"2024-02-29T08:30:00+00:00"}"#,
        r#"{" timedelta":[0,0,0]}"#,
        r#"{" timezone":"+00:00"}"#,
        r#"{" u":"00000000000000000000000000000005"}"#,
        r#"{" f":"nan"}"#,
        "123456789012345678901234567890",
    ] {
        for count in [0, 1, 2, 3, 50, 1000] {
            texts.push(format!("[{}]", repeated(part, count)));
            texts.push(format!(r#"{{" t":[{}]}}"#, repeated(part, count)));
            let entries: Vec<_> = (0..count).map(|key| format!("\"{key}\":{part}")).collect();
            texts.push(format!("{{{}}}", entries.join(",")));
        }
        texts.push(part.to_owned());
    }
    for count in [0, 1, 2, 64] {
        let members: Vec<_> = (0..count).map(|member| member.to_string()).collect();
        texts.push(format!(r#"{{" set":[{}]}}"#, members.join(",")));
        texts.push(format!(r#"{{" frozenset":[{}]}}"#, members.join(",")));
        let entries: Vec<_> = (0..count).map(|key| format!("{key},0")).collect();
        texts.push(format!(r#"{{" dict":[{}]}}"#, entries.join(",")));
    }
    for digits in [19, 100, json::SURE_DIGITS] {
        texts.push("9".repeat(digits));
        texts.push(format!(r#"{{" decimal":"{}"}}"#, "9".repeat(digits)));
    }
    for text in &texts {
        let mut values: ValueSink<'_> = ValueSink::default();
        let root = decode_json(text.as_bytes(), &mut values, &Policy::default(), &Limits::NONE).ok().unwrap();
        assert!(assert_sure_is_read(&values, &root), "{text:.100}");
    }
}

#[test]
fn values_of_other_kinds_are_never_sure() {
    let nested = format!("{}{}", r#"{" set":[{" frozenset":["#, "]}]}");
    let many: Vec<_> = (0..65).map(|member| member.to_string()).collect();
    let set = format!(r#"{{" set":[{}]}}"#, many.join(","));
    let digits = "9".repeat(json::SURE_DIGITS + 1);
    let decimal = format!(r#"{{" decimal":"{digits}"}}"#);
    for text in [
        r#"{" deque":[null]}"#,
        r#"{" defaultdict":["list"]}"#,
        r#"{" fraction":[1,2]}"#,
        r#"{" range":[0,1,2]}"#,
        r#"{" zone":"Europe/Paris"}"#,
        r#"{" time":["08:30:00",1,null]}"#,
        r#"{" timezone":["+01:00","CET"]}"#,
        r#"{" decimal":"1E+5"}"#,
        r#"{" decimal":"NaN"}"#,
        r#"{" di":{" t__":1}}"#,
        r#"{" set":[{" t":[1]}]}"#,
        r#"{" ip":["IPv4Address","10.0.0.1"]}"#,
        r#"{" namespace":["a",1]}"#,
        r#""\ud800""#,
        &nested,
        &set,
        &digits,
        &decimal,
    ] {
        let mut values: ValueSink<'_> = ValueSink::default();
        let root = decode_json(text.as_bytes(), &mut values, &Policy::default(), &Limits::NONE).ok().unwrap();
        assert!(!written(&values, &root, 100).unwrap().sure, "{text:.100}");
    }
}

#[test]
fn what_the_corpus_holds_is_read_under_the_tightest_limits_that_it_is_sure_of() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut sure = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let data = fs::read(file).unwrap();
        let mut values: ValueSink<'_> = ValueSink::default();
        let Ok(decoded) = decode(&data, &mut values, &Policy::default(), &Limits::NONE, &Options::default()) else {
            continue;
        };
        sure += usize::from(assert_sure_is_read(&values, &decoded.value));
    }
    assert!(sure > 50, "{sure}");
}
