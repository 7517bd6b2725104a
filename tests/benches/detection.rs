//! One delivery inside: what a fresh instance costs against what merely parsing the body would.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up has nothing to measure"
)]

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::HeaderMap;
use stoker::auth::{AuthConfig, Authenticator};
use stoker::delivery::Delivery;
use stoker::metrics::Metrics;
use stoker::payload::Document;
use stoker::plugin::{
    Capacity, Catalog, Detector, Origin, Plugin, Question, Sandbox, SettingsSource,
};
use stoker_tests::bench::release;

const PLAIN_STD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/plain-std.wasm"));

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn question(body: &[u8]) -> Arc<Question> {
    let mut headers = HeaderMap::new();
    headers.insert("x-github-event", http::HeaderValue::from_static("release"));
    let delivery = Delivery {
        headers,
        body: Bytes::copy_from_slice(body),
    };
    let verified = Authenticator::new(AuthConfig::default())
        .verify(delivery)
        .unwrap();
    Arc::new(Question::new(verified).unwrap())
}

fn detection(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let body = release("v2.0.0");
    let question = question(&body);
    let metrics = Metrics::new();
    let detector = Arc::new(Detector::new(Arc::new(
        Sandbox::new(Capacity::default()).unwrap(),
    )));
    runtime
        .block_on(Catalog::open(
            Arc::clone(&detector),
            metrics.plugin.clone(),
            Vec::new(),
            SettingsSource::default(),
        ))
        .unwrap();
    let sandbox = Arc::clone(detector.sandbox());
    let plugins = detector.plugins();
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
    let filter = || {
        plugins
            .iter()
            .filter(|plugin| plugin.wants(black_box(&question)))
            .count()
    };
    group.bench_function("four-pre-filters", |bencher| bencher.iter(filter));
    group.finish();
}

criterion_group!(benches, detection);
criterion_main!(benches);
