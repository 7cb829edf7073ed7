//! A cluster forgets what is gone: forty thousand pods that come and go, each with a name and a hash of its own, leave no more
//! behind than the last of them.

use karpsim::cluster::{Change, Cluster};
use karpsim::model::core::Pod;
use karpsim_benches::{clusters, files};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

static HELD: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// Every call goes on to the system's allocator with the arguments that came in and gives back what it gave, so the
// contract of `GlobalAlloc` is kept because the system's allocator keeps it; the counter touches no memory but its own.
#[expect(unsafe_code, reason = "an allocator that counts cannot be had otherwise; it only hands on")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `pointer` came from `System` with this layout, by `alloc` here.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Pods in all; what they leave behind would show far sooner.
const PODS: usize = 40_000;
/// Pods that are there at once.
const AT_ONCE: usize = 50;
/// What a cluster of 20 nodes may hold at most, wherever in its history: twice what it interns before it is compiled anew.
const BYTES_MAX: usize = 48 << 20;

fn pod(number: usize) -> Arc<Pod> {
    let text = format!(
        r#"{{"metadata": {{"namespace": "default", "name": "web-{number}", "uid": "{number}",
            "labels": {{"app": "web", "pod-template-hash": "{number}"}}}},
          "spec": {{"containers": [{{"name": "c", "resources": {{"requests": {{"cpu": "100m"}}}}}}],
            "topologySpreadConstraints": [{{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
              "whenUnsatisfiable": "ScheduleAnyway", "matchLabelKeys": ["pod-template-hash"],
              "labelSelector": {{"matchLabels": {{"app": "web"}}}}}}]}},
          "status": {{"phase": "Pending",
            "conditions": [{{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}}]}}}}"#
    );
    Arc::new(serde_json::from_str(&text).expect("a pod"))
}

#[test]
fn what_is_gone_leaves_no_trace_that_grows() {
    let scenario = files::scenario(&clusters::half_empty(20, 7));
    let before = HELD.load(Ordering::Relaxed);
    let mut cluster = Cluster::new(&scenario);
    let mut most = 0;
    for number in 0..PODS {
        cluster.change(Change::Pod(pod(number)));
        if let Some(old) = number.checked_sub(AT_ONCE) {
            cluster.change(Change::PodGone(format!("default/web-{old}").into()));
        }
        if number % 500 == 0 {
            assert!(cluster.provision().pod_errors.is_empty());
            most = most.max(HELD.load(Ordering::Relaxed) - before);
        }
    }
    assert!(most < BYTES_MAX, "{most} bytes were held for {AT_ONCE} pods on 20 nodes");
}
