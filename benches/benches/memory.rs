//! Memory: bytes held, for each pod or node, when a scenario is read, when it is compiled, and at most until it is decided.
//!
//! Allocations are counted, not sampled, so the figures are the same every time. Reallocating counts as the difference of
//! sizes. Catalogues are read beforehand: they are shared by all scenarios.

use karpsim::compile::compile;
use karpsim::decision::Method;
use karpsim::disruption::disrupt_compiled;
use karpsim::provisioning::Round;
use karpsim::scenario::ScenarioKind;
use karpsim_benches::{clusters, files, pods};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn more(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(held, Ordering::Relaxed);
}

fn less(bytes: usize) {
    HELD.fetch_sub(bytes, Ordering::Relaxed);
}

// Every call goes on to the system's allocator with the arguments that came in and gives back what it gave, so the
// contract of `GlobalAlloc` is kept because the system's allocator keeps it; the counters touch no memory but their own.
#[expect(unsafe_code, reason = "an allocator that counts cannot be had otherwise; it only hands on")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        less(layout.size());
        // SAFETY: `pointer` came from `System` with this layout, by `alloc` or `realloc` here.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        less(layout.size());
        more(new_size);
        // SAFETY: `pointer` came from `System` with this layout, and the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Prints one row: bytes beside the text itself, divided by `count`.
fn row(name: &str, unit: &str, count: usize, text: &str) {
    // Whatever is made once a process is made here.
    drop(files::scenario(text));
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let scenario = files::scenario(text);
    let read = HELD.load(Ordering::Relaxed) - before;
    let (problem, algebra) = compile(&scenario);
    let compiled = HELD.load(Ordering::Relaxed) - before;
    match scenario.kind {
        ScenarioKind::Provisioning => drop(Round::schedule(&problem, algebra).decision()),
        ScenarioKind::Disruption => drop(disrupt_compiled(&problem, algebra, &Method::ALL)),
    }
    let peak = PEAK.load(Ordering::Relaxed) - before;
    let each = |bytes: usize| bytes / count;
    println!(
        "| {name} | {count} {unit} | {} | {} | {} | {} |",
        text.len() / count,
        each(read),
        each(compiled),
        each(peak)
    );
}

fn main() {
    // `cargo test --benches` only wants to see it run.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let sizes = |sizes: &'static [usize]| if measures { sizes } else { &[10] };
    println!(
        "| bytes for each pod or node | | text | read | and compiled | peak |\n|---|--:|--:|--:|--:|--:|"
    );
    for &count in sizes(&[500, 5_000, 50_000]) {
        row(&format!("generated-diverse-{count}"), "pods", count, &pods::diverse(count, 42));
    }
    for &count in sizes(&[4_000]) {
        row(&format!("generated-preference-{count}"), "pods", count, &pods::preference(count, 42));
    }
    for &nodes in sizes(&[100, 1_000, 5_000]) {
        row(&format!("generated-full-{nodes}"), "nodes", nodes, &clusters::full(nodes, 42));
    }
    if measures {
        row("consolidate-500", "nodes", 500, &files::text("bench/consolidate-500.json"));
    }
}
