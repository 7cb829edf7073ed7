//! What comes before a decision and after it, and all of it together.

use crate::slow_group;
use criterion::{Criterion, Throughput};
use karpsim::Decision;
use karpsim::compile::compile;
use karpsim_benches::{SEED, clusters, files};
use std::hint::black_box;

pub(crate) fn rows(criterion: &mut Criterion) {
    steps(criterion);
    reading(criterion);
    corpus(criterion);
}

fn rendered(decision: &Decision) -> Vec<u8> {
    let mut text = Vec::new();
    decision.write_json(&mut text).expect("a decision is JSON");
    text
}

/// Text in, text out.
fn whole(text: &str) -> Vec<u8> {
    rendered(&karpsim::decide(&files::scenario(text)))
}

fn steps(criterion: &mut Criterion) {
    let mut group = slow_group(criterion, "diverse-5000");
    let text = files::text("bench/diverse-5000.json");
    let scenario = files::scenario(&text);
    group.bench_function("compile", |bencher| {
        bencher.iter_with_large_drop(|| compile(&scenario));
    });
    group.bench_function("render", |bencher| {
        let decision = karpsim::decide(&scenario);
        bencher.iter(|| rendered(&decision));
    });
    group.bench_function("read, compile, decide, render", |bencher| bencher.iter(|| whole(&text)));
    group.finish();
}

/// Bytes of JSON a second, through the door.
fn reading(criterion: &mut Criterion) {
    let mut group = slow_group(criterion, "read");
    for (name, text) in [
        ("diverse-5000", files::text("bench/diverse-5000.json")),
        ("consolidate-500", files::text("bench/consolidate-500.json")),
        ("generated-full-1000", clusters::full(1_000, SEED)),
    ] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| bencher.iter_with_large_drop(|| files::scenario(&text)));
    }
    group.finish();
}

/// Every recording, read, compiled, decided and rendered.
fn corpus(criterion: &mut Criterion) {
    let mut group = slow_group(criterion, "corpus");
    for (name, file) in [("2,392 of provisioning", "provisioning"), ("921 of disruption", "disruption")] {
        let mut prepared = None;
        group.bench_function(name, |bencher| {
            let text = prepared.get_or_insert_with(|| files::text(&format!("conformance/{file}.jsonl")));
            bencher.iter(|| text.lines().for_each(|line| drop(black_box(whole(line)))));
        });
    }
    group.finish();
}
