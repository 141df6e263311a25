//! The core through its public names, without Python: each opcode, each sink, and what comes out.

use std::collections::BTreeMap;
use std::convert::Infallible;

use plainpickle::error::{Category, Cause, Failure};
use plainpickle::json::{self, Style};
use plainpickle::limits::Limits;
use plainpickle::opcode::OPCODES;
use plainpickle::policy::Policy;
use plainpickle::sink::value::{NodeId, ValueSink};
use plainpickle::sink::{globals::GlobalsSink, null::NullSink};
use plainpickle::{Options, Strings, decode, plain};

/// The JSON of a pickle, or the word for what is wrong with it.
fn shown(data: &[u8], policy: &Policy, options: &Options<'_>) -> Result<String, &'static str> {
    let mut values = ValueSink::default();
    match decode(data, &mut values, policy, &Limits::default(), options) {
        Ok(decoded) => written(&values, decoded.value),
        Err(failure) => Err(word(failure)),
    }
}

fn written(values: &ValueSink<'_>, root: NodeId) -> Result<String, &'static str> {
    let style = Style { indent: 0, show: true, max_bytes: 1 << 20, max_depth: u64::MAX };
    json::write(values, &root, style).map_err(|unwritten| word(unwritten.failure))
}

fn word(failure: Failure<Infallible>) -> &'static str {
    let Cause::Pickle(error) = failure.cause();
    error.kind().word()
}

fn loaded(data: &[u8]) -> Result<String, &'static str> {
    shown(data, &Policy::default(), &Options::default())
}

/// Each opcode: a pickle in which it does its work, and the JSON or the error that comes of it.
const CASES: &[(&str, &[u8], Result<&str, &str>)] = &[
    ("MARK", b"(l.", Ok("[]")),
    ("STOP", b"N.N", Ok("null")),
    ("POP", b"K\x01K\x020.", Ok("1")),
    ("POP_MARK", b"K\x01(K\x02K\x031.", Ok("1")),
    ("DUP", b"]2\x86.", Ok(r#"{" t":[[],[]]}"#)),
    ("FLOAT", b"F-1.5\n.", Ok("-1.5")),
    ("INT", b"(I5\nI01\nI00\nl.", Ok("[5,true,false]")),
    ("BININT", b"J\xfe\xff\xff\xff.", Ok("-2")),
    ("BININT1", b"K\xff.", Ok("255")),
    ("LONG", b"L-18446744073709551616L\n.", Ok("-18446744073709551616")),
    ("BININT2", b"M\x01\x02.", Ok("513")),
    ("NONE", b"N.", Ok("null")),
    ("PERSID", b"Pid\n.", Err("persistent_id")),
    ("BINPERSID", b"K\x01Q.", Err("persistent_id")),
    ("REDUCE", b"cdecimal\nDecimal\n(S'1.50'\ntR.", Ok(r#"{" decimal":"1.50"}"#)),
    ("STRING", b"S'a\\x41\\n'\n.", Ok(r#""aA\n""#)),
    ("BINSTRING", b"T\x02\0\0\0\xc3\xa9.", Ok("\"\u{e9}\"")),
    ("SHORT_BINSTRING", b"U\x01\xff.", Ok(r#"{" b":"/w=="}"#)),
    ("UNICODE", b"V\\u00e9\xe9\n.", Ok("\"\u{e9}\u{e9}\"")),
    ("BINUNICODE", b"X\x02\0\0\0\xc3\xa9.", Ok("\"\u{e9}\"")),
    ("APPEND", b"]K\x01a.", Ok("[1]")),
    ("BUILD", b"ctypes\nSimpleNamespace\n)R}X\x01\0\0\0aK\x01sb.", Ok(r#"{" namespace":["a",1]}"#)),
    ("GLOBAL", b"cos\nsystem\n.", Err("forbidden_global")),
    ("DICT", b"(S'a'\nK\x01d.", Ok(r#"{"a":1}"#)),
    ("EMPTY_DICT", b"}.", Ok("{}")),
    ("APPENDS", b"](K\x01K\x02e.", Ok("[1,2]")),
    ("GET", b"]p7\ng7\n\x86.", Ok(r#"{" t":[[],[]]}"#)),
    ("BINGET", b"K\x05q\x010h\x01.", Ok("5")),
    ("INST", b"(ishop\nCart\n.", Err("forbidden_global")),
    ("LONG_BINGET", b"K\x05q\x010j\x01\0\0\0.", Ok("5")),
    ("LIST", b"(K\x01l.", Ok("[1]")),
    ("EMPTY_LIST", b"].", Ok("[]")),
    ("OBJ", b"(cdecimal\nDecimal\no.", Err("forbidden_use")),
    ("PUT", b"K\x05p1\n0g1\n.", Ok("5")),
    ("BINPUT", b"K\x05q\x04.", Ok("5")),
    ("LONG_BINPUT", b"K\x05r\x04\0\0\0.", Ok("5")),
    ("SETITEM", b"}K\x01K\x02s.", Ok(r#"{" dict":[1,2]}"#)),
    ("TUPLE", b"(K\x01t.", Ok(r#"{" t":[1]}"#)),
    ("EMPTY_TUPLE", b").", Ok(r#"{" t":[]}"#)),
    ("SETITEMS", b"}(X\x01\0\0\0aNu.", Ok(r#"{"a":null}"#)),
    ("BINFLOAT", b"G\x3f\xf8\0\0\0\0\0\0.", Ok("1.5")),
    ("PROTO", b"\x80\x06N.", Err("unsupported_protocol")),
    ("NEWOBJ", b"cuuid\nUUID\n)\x81}X\x03\0\0\0intK\x05sb.", Ok(r#"{" u":"00000000000000000000000000000005"}"#)),
    ("EXT1", b"\x82\x01.", Err("extension_code")),
    ("EXT2", b"\x83\x01\x01.", Err("extension_code")),
    ("EXT4", b"\x84\x01\0\0\0.", Err("extension_code")),
    ("TUPLE1", b"N\x85.", Ok(r#"{" t":[null]}"#)),
    ("TUPLE2", b"NN\x86.", Ok(r#"{" t":[null,null]}"#)),
    ("TUPLE3", b"NNN\x87.", Ok(r#"{" t":[null,null,null]}"#)),
    ("NEWTRUE", b"\x88.", Ok("true")),
    ("NEWFALSE", b"\x89.", Ok("false")),
    ("LONG1", b"\x8a\x09\0\0\0\0\0\0\0\0\x01.", Ok("18446744073709551616")),
    ("LONG4", b"\x8b\x01\0\0\0\xff.", Ok("-1")),
    ("BINBYTES", b"B\x01\0\0\0\xff.", Ok(r#"{" b":"/w=="}"#)),
    ("SHORT_BINBYTES", b"C\x01\xff.", Ok(r#"{" b":"/w=="}"#)),
    ("SHORT_BINUNICODE", b"\x8c\x01a.", Ok(r#""a""#)),
    ("BINUNICODE8", b"\x8d\x01\0\0\0\0\0\0\0a.", Ok(r#""a""#)),
    ("BINBYTES8", b"\x8e\x01\0\0\0\0\0\0\0\xff.", Ok(r#"{" b":"/w=="}"#)),
    ("EMPTY_SET", b"\x8f.", Ok(r#"{" set":[]}"#)),
    ("ADDITEMS", b"\x8f(K\x01K\x01\x90.", Ok(r#"{" set":[1]}"#)),
    ("FROZENSET", b"(K\x01\x91.", Ok(r#"{" frozenset":[1]}"#)),
    ("NEWOBJ_EX", b"cdecimal\nDecimal\n)}\x92.", Err("forbidden_use")),
    ("STACK_GLOBAL", b"\x8c\x07decimal\x8c\x07Decimal\x93\x8c\x011\x85R.", Ok(r#"{" decimal":"1"}"#)),
    ("MEMOIZE", b"]\x94h\0\x86.", Ok(r#"{" t":[[],[]]}"#)),
    ("FRAME", b"\x95\x02\0\0\0\0\0\0\0N.", Ok("null")),
    ("BYTEARRAY8", b"\x96\x01\0\0\0\0\0\0\0\xff.", Ok(r#"{" bytearray":"/w=="}"#)),
    ("NEXT_BUFFER", b"\x97.", Err("no_buffer")),
    ("READONLY_BUFFER", b"C\x01a\x98.", Ok(r#"{" b":"YQ=="}"#)),
];

#[test]
fn each_opcode_does_what_the_table_says() {
    for &(name, data, expected) in CASES {
        assert_eq!(loaded(data).as_deref(), expected.as_ref().copied(), "{name}");
    }
}

#[test]
fn no_opcode_is_left_out() {
    let named: Vec<_> = CASES.iter().map(|case| case.0).collect();
    assert_eq!(named, OPCODES.iter().map(|row| row.name).collect::<Vec<_>>());
    for &(name, data, _) in CASES {
        let mut sink = GlobalsSink::default();
        // Some of them end in an error: the opcode was counted before.
        let _ = decode(data, &mut sink, &Policy::default(), &Limits::default(), &Options::default());
        assert!(sink.finish().opcodes().any(|(counted, count)| counted == name && count > 0), "{name}");
    }
}

#[test]
fn the_null_sink_reads_what_the_value_sink_reads() {
    for &(name, data, expected) in CASES {
        let decoded = decode(data, &mut NullSink, &Policy::default(), &Limits::default(), &Options::default());
        // It keeps no text, and so no name from the stack.
        if expected.is_ok() && name != "STACK_GLOBAL" {
            assert!(decoded.is_ok(), "{name}");
        }
    }
}

#[test]
fn an_error_has_a_category_an_offset_and_an_opcode() {
    let cases: [(&[u8], Category, usize, Option<&str>); 6] = [
        (b"N", Category::Truncated, 1, None),
        (b"N0X\xff\0\0\0a", Category::Malformed, 2, Some("BINUNICODE")),
        (b"]cos\nsystem\n", Category::Forbidden, 1, Some("GLOBAL")),
        (b"N\x82\x01.", Category::Unsupported, 1, Some("EXT1")),
        (b"Nr\xff\xff\xff\xff.", Category::Limit, 1, Some("LONG_BINPUT")),
        (b"]\xff", Category::Malformed, 1, None),
    ];
    for (data, category, offset, opcode) in cases {
        let failed = decode(data, &mut NullSink, &Policy::default(), &Limits::default(), &Options::default());
        let Some(Cause::Pickle(error)) = failed.err().map(Failure::cause) else {
            panic!("{data:?} was read");
        };
        assert_eq!((error.kind().category(), error.offset(), error.opcode()), (category, offset, opcode));
        assert!(error.to_string().contains(&format!("at byte {offset}")));
    }
}

#[test]
fn what_follows_stop_is_left_alone_and_the_size_is_what_was_read() {
    let data = b"\x80\x02]q\0.\xff\xff";
    let decoded = decode(data, &mut NullSink, &Policy::default(), &Limits::default(), &Options::default());
    let decoded = decoded.map_err(|_| "refused").unwrap();
    assert_eq!((decoded.size, decoded.protocol), (6, 2));
}

#[test]
fn python_2_strings_follow_the_options() {
    let data = b"(U\x02\xc3\xa9U\x01\xffl.";
    let read = |strings| shown(data, &Policy::default(), &Options { strings, ..Options::default() });
    assert_eq!(read(Strings::Context).unwrap(), "[\"\u{e9}\",{\" b\":\"/w==\"}]");
    assert_eq!(read(Strings::Bytes).unwrap(), "[{\" b\":\"w6k=\"},{\" b\":\"/w==\"}]");
    assert_eq!(read(Strings::Coded("latin1", "strict")).unwrap(), "[\"\u{c3}\u{a9}\",\"\u{ff}\"]");
    assert_eq!(read(Strings::Coded("ascii", "strict")), Err("invalid_value"));
}

#[test]
fn python_2_names_are_known_up_to_protocol_2_and_if_asked_for() {
    let body = b"c__builtin__\nxrange\nK\0K\x03K\x01\x87R.";
    let with = |protocol: u8| [&[0x80, protocol], &body[..]].concat();
    assert!(loaded(&with(2)).is_ok());
    assert_eq!(loaded(&with(3)), Err("forbidden_global"));
    let options = Options { fix_imports: false, ..Options::default() };
    assert_eq!(shown(&with(2), &Policy::default(), &options), Err("forbidden_global"));
}

#[test]
fn a_policy_says_what_a_name_becomes() {
    let data = b"\x80\x02cshop\nCart\n)\x81}X\x01\0\0\0nK\x05sb.";
    let mut plain = Policy::default();
    plain.as_plain("shop.Cart");
    let mut stub = Policy::default();
    stub.stub();
    assert_eq!(loaded(data), Err("forbidden_global"));
    assert_eq!(shown(data, &plain, &Options::default()).unwrap(), r#"{"n":5}"#);
    assert_eq!(
        shown(data, &stub, &Options::default()).unwrap(),
        r#"{" stub":"shop.Cart","args":{" t":[]},"state":{"n":5}}"#
    );
}

#[test]
fn the_globals_sink_lists_all_names_and_goes_on_behind_refused_ones() {
    let data = b"(cos\nsystem\n)Rcdecimal\nDecimal\n(S'1'\ntRcos\nsystem\n)Rl.";
    let mut sink = GlobalsSink::default();
    assert!(decode(data, &mut sink, &Policy::default(), &Limits::default(), &Options::default()).is_ok());
    let report = sink.finish();
    let found: Vec<(String, String, usize, bool)> =
        report.globals().map(|found| (found.module.into(), found.name.into(), found.count, found.allowed)).collect();
    let system = ("os".into(), "system".into(), 2, false);
    assert_eq!(found, [system, ("decimal".into(), "Decimal".into(), 1, true)]);
    assert_eq!(report.first_refused().map(|(_, offset)| offset), Some(1));
    let written = serde_json::to_value(&report).unwrap();
    assert_eq!(written["opcodes"]["GLOBAL"], 3);
    assert_eq!(written["globals"][0]["offsets"], serde_json::json!([1, 39]));
}

/// A session as an application would declare it.
#[derive(Debug, PartialEq, serde::Deserialize)]
struct Session {
    user: u32,
    lang: Option<String>,
    cart: Vec<(String, u8)>,
    rates: BTreeMap<String, f64>,
}

const SESSION: &[u8] = b"\x80\x02}(X\x04\0\0\0userM\x39\x05X\x04\0\0\0langX\x02\0\0\0huX\x04\0\0\0cart](X\x02\0\0\0A1K\x02\x86X\x02\0\0\0B2K\x01\x86eX\x05\0\0\0rates}X\x03\0\0\0EURG\x3f\xf8\0\0\0\0\0\0su.";

fn session() -> Session {
    Session {
        user: 1337,
        lang: Some("hu".into()),
        cart: vec![("A1".into(), 2), ("B2".into(), 1)],
        rates: BTreeMap::from([("EUR".into(), 1.5)]),
    }
}

#[test]
fn a_value_becomes_a_struct_of_the_callers() {
    let mut values = ValueSink::default();
    let decoded = decode(SESSION, &mut values, &Policy::default(), &Limits::default(), &Options::default());
    let decoded = decoded.map_err(|_| "refused").unwrap();
    let value = plain::to_value(&values, decoded.value, 1_000).unwrap();
    assert_eq!(serde_pickle::from_value::<Session>(value).unwrap(), session());
    assert_eq!(plain::to_value(&values, decoded.value, 5).unwrap_err().kind().word(), "limit");
}

#[test]
fn a_sanitized_pickle_names_nothing_and_is_read_by_serde_pickle() {
    let mut values = ValueSink::default();
    let decoded = decode(SESSION, &mut values, &Policy::default(), &Limits::default(), &Options::default());
    let decoded = decoded.map_err(|_| "refused").unwrap();
    let written = plain::sanitize(&values, decoded.value, 1 << 20).unwrap();
    let mut sink = GlobalsSink::default();
    assert!(decode(&written, &mut sink, &Policy::default(), &Limits::default(), &Options::default()).is_ok());
    assert!(sink.finish().globals().len() == 0);
    assert_eq!(serde_pickle::from_slice::<Session>(&written, serde_pickle::DeOptions::new()).unwrap(), session());
    assert_eq!(plain::sanitize(&values, decoded.value, 10).unwrap_err().kind().word(), "limit");
}

#[test]
fn a_cycle_is_marked_in_json_and_refused_elsewhere() {
    let mut values = ValueSink::default();
    let decoded = decode(b"]q\0h\0a.", &mut values, &Policy::default(), &Limits::default(), &Options::default());
    let root = decoded.map_err(|_| "refused").unwrap().value;
    assert_eq!(written(&values, root).unwrap(), r#"[{" cycle":1}]"#);
    assert_eq!(plain::sanitize(&values, root, 1_000).unwrap_err().kind().word(), "cycle");
    assert_eq!(plain::to_value(&values, root, 1_000).unwrap_err().kind().word(), "cycle");
}

#[test]
fn a_limit_that_is_off_lets_through_what_its_default_stops() {
    let deep: Vec<u8> = [&b"]".repeat(5_000)[..], &b"a".repeat(4_999), b"."].concat();
    assert_eq!(loaded(&deep), Err("limit"));
    let mut values = ValueSink::default();
    let limits = Limits { depth: u64::MAX, ..Limits::default() };
    let decoded = decode(&deep, &mut values, &Policy::default(), &limits, &Options::default());
    let root = decoded.map_err(|_| "refused").unwrap().value;
    assert_eq!(written(&values, root).unwrap().len(), 10_000);
    assert_eq!(plain::to_value(&values, root, u64::MAX).unwrap_err().kind().word(), "limit");
}
