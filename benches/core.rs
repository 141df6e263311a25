//! Times the core without an interpreter, each part of it on the samples in data/.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use plainpickle::extent::{Extent, extent};
use plainpickle::json::{self, Style};
use plainpickle::limits::Limits;
use plainpickle::policy::Policy;
use plainpickle::sink::{globals::GlobalsSink, null::NullSink, value::ValueSink};
use plainpickle::{Options, decode, decode_json};

/// Name, the pickle by three protocols, and the same as tagged JSON.
type Sample = (&'static str, [(&'static str, &'static [u8]); 3], &'static [u8]);

macro_rules! samples {
    ($($name:literal)*) => {
        &[$((
            $name,
            [
                ("0", include_bytes!(concat!("data/", $name, ".0.pickle"))),
                ("2", include_bytes!(concat!("data/", $name, ".2.pickle"))),
                ("4", include_bytes!(concat!("data/", $name, ".4.pickle"))),
            ],
            include_bytes!(concat!("data/", $name, ".json")),
        )),*]
    };
}

const SAMPLES: &[Sample] = samples!["small_session" "shop_session" "products" "strings" "ints" "values"];

/// Times one call for each sample and protocol that it can read.
fn pickles(criterion: &mut Criterion, group: &str, call: fn(&'static [u8]) -> bool) {
    let mut group = criterion.benchmark_group(group);
    for (name, protocols, _) in SAMPLES {
        for (protocol, data) in protocols.iter().filter(|(_, data)| call(data)) {
            group.throughput(Throughput::Bytes(data.len() as u64));
            group.bench_function(BenchmarkId::new(*name, protocol), |bencher| bencher.iter(|| call(black_box(data))));
        }
    }
}

fn read(criterion: &mut Criterion) {
    pickles(criterion, "extent", |data| extent(data) == Extent::End(data.len()));
    // It keeps no names, so that it can't read those of protocol 4.
    pickles(criterion, "machine, null sink", |data| {
        decode(data, &mut NullSink, &Policy::default(), &Limits::default(), &Options::default()).is_ok()
    });
    pickles(criterion, "machine, globals sink", |data| {
        let mut sink = GlobalsSink::default();
        let read = decode(data, &mut sink, &Policy::default(), &Limits::default(), &Options::default()).is_ok();
        black_box(sink.finish());
        read
    });
    pickles(criterion, "machine, value sink", |data| {
        let mut sink = ValueSink::default();
        let read = decode(data, &mut sink, &Policy::default(), &Limits::default(), &Options::default()).is_ok();
        black_box(sink);
        read
    });
}

fn json(criterion: &mut Criterion) {
    let mut reading = criterion.benchmark_group("JSON reader, value sink");
    for (name, _, text) in SAMPLES {
        reading.throughput(Throughput::Bytes(text.len() as u64));
        reading.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let mut sink = ValueSink::default();
                decode_json(black_box(text), &mut sink, &Policy::default(), &Limits::default()).unwrap();
                black_box(sink);
            });
        });
    }
    drop(reading);
    let mut writing = criterion.benchmark_group("JSON writer");
    for (name, _, text) in SAMPLES {
        let mut sink = ValueSink::default();
        let root = decode_json(text, &mut sink, &Policy::default(), &Limits::default()).unwrap();
        writing.throughput(Throughput::Bytes(text.len() as u64));
        writing.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let style = Style { indent: 0, show: false, max_bytes: u64::MAX, max_depth: u64::MAX };
                black_box(json::write(&sink, black_box(&root), style).ok());
            });
        });
    }
}

criterion_group! {
    name = core;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots();
    targets = read, json
}
criterion_main!(core);
