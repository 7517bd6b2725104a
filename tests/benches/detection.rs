//! Compares the detection of a ref in a fresh instance with parsing the body.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark cannot continue without its setup"
)]

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use stoker::metrics::Metrics;
use stoker::payload::Document;
use stoker::plugin::{Origin, Plugin};
use stoker_tests::bench::calls::{chain, question};
use stoker_tests::bench::release;

const PLAIN_STD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/plain-std.wasm"));

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn detection(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let body = release("v2.0.0");
    let question = question(&body, Some("release")).unwrap();
    let metrics = Metrics::new();
    let chain = chain(&runtime, &metrics).unwrap();
    let sandbox = Arc::clone(chain.sandbox());
    let plugins = chain.plugins();
    let named = |name: &str| {
        plugins
            .iter()
            .find(|plugin| plugin.descriptor().name == name)
            .unwrap()
    };
    let file = Origin::File("plain-std.wasm".to_owned());
    let plain = runtime
        .block_on(Plugin::load(
            &sandbox,
            &metrics.plugin,
            file,
            PLAIN_STD.to_vec(),
            Arc::default(),
        ))
        .unwrap();

    let mut group = criterion.benchmark_group("detection");
    group.bench_function("value", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&body)).unwrap());
    });
    let bytes = Bytes::from(body.clone());
    group.bench_function("document", |bencher| {
        bencher.iter(|| Document::parse(black_box(&bytes)).unwrap());
    });
    for (label, plugin) in [
        ("github", &**named("github")),
        ("generic-declines", named("generic")),
        ("plain-std", &plain),
    ] {
        let ask = || async { plugin.ask(&sandbox, black_box(&question)).await.0 };
        group.bench_function(label, |bencher| bencher.to_async(&runtime).iter(ask));
    }
    // Ten plugins that decline: their pre-filters need other headers or values.
    let others: Vec<_> = plugins
        .iter()
        .filter(|plugin| plugin.descriptor().name != "github")
        .cycle()
        .take(10)
        .collect();
    let filter = || {
        others
            .iter()
            .filter(|plugin| plugin.wants(black_box(&question)))
            .count()
    };
    assert_eq!(filter(), 0);
    group.bench_function("ten-pre-filters", |bencher| bencher.iter(filter));
    group.finish();
}

criterion_group!(benches, detection);
criterion_main!(benches);
