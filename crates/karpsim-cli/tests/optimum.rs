//! `karpsim optimum` as its users meet it.

mod program;

use program::{Run, command, karpsim};
use serde_json::Value;

fn optimum(arguments: &[&str]) -> Run {
    let all: Vec<&str> = std::iter::once("optimum").chain(arguments.iter().copied()).collect();
    karpsim(&all, b"")
}

fn json(run: &Run) -> Value {
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.out);
    serde_json::from_str(&run.out).unwrap()
}

#[test]
fn two_pods_of_one_gpu_each_get_two_small_nodes() {
    let run = optimum(&["scenarios/two-gpus.yaml"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines[0], "two-gpus: two g5.2xlarge instead of one g5.12xlarge");
    // 5.672 and 2 × 1.212 dollars an hour are what AWS lists.
    assert!(run.out.contains("Saves $3.2480 per hour (57.3 %) compared with Karpenter; proven optimal"));
    assert!(lines.iter().any(|line| line.contains("g5.2xlarge") && line.contains("$1.2120")), "{}", run.out);
}

#[test]
fn three_pods_of_one_gpu_each_get_three_small_spot_nodes() {
    let result = json(&optimum(&["scenarios/three-gpus.yaml", "-o", "json"]));
    assert_eq!(result["difference"], "three g4dn.xlarge instead of one g4dn.12xlarge");
    assert_eq!(result["status"], "optimal");
    assert_eq!(result["relaxations"], serde_json::json!([]));
    let claims = result["decision"]["newNodeClaims"].as_array().unwrap();
    assert_eq!(claims.len(), 3);
    for claim in claims {
        assert_eq!(claim["launch"]["instanceType"], "g4dn.xlarge");
        assert_eq!(claim["launch"]["capacityType"], "spot");
    }
    let cost = |side: &str| result[side]["costUsdPerHour"].as_f64().unwrap();
    assert!(cost("optimum") < 0.55 * cost("karpenter"), "about half: {result}");
    assert_eq!(result["boundUsdPerHour"], result["optimum"]["costUsdPerHour"]);
}

#[test]
fn a_running_cluster_is_rearranged() {
    let scenario = ["conformance/disruption.jsonl.zst", "--scenario", "multi-delete/000", "-o", "json"];
    let free = json(&optimum(&scenario));
    let limited = json(&optimum(&[&scenario[..], &["--removed-nodes", "1"]].concat()));
    let still = json(&optimum(&[&scenario[..], &["--evictions", "0", "--removed-nodes", "0"]].concat()));
    let cost = |result: &Value| result["optimum"]["costUsdPerHour"].as_f64().unwrap();
    let removed = |result: &Value| result["rearrangement"]["removedNodes"].as_array().unwrap().len();
    assert!(cost(&free) <= cost(&limited) && cost(&limited) <= cost(&still), "{free} {limited} {still}");
    assert!(removed(&limited) <= 1);
    assert_eq!(removed(&still), 0);
    assert_eq!(still["rearrangement"]["evictedPods"], serde_json::json!([]));
    assert_eq!(cost(&still), still["rearrangement"]["costNowUsdPerHour"].as_f64().unwrap());
}

#[test]
fn bad_arguments_are_said() {
    for (arguments, sentence) in [
        (["--gap", "x"], "expected a percentage from 0 to 100, such as 1 or 0.5"),
        (["--gap", "200"], "expected a percentage from 0 to 100, such as 1 or 0.5"),
        (["--time-limit", "soon"], "expected a duration such as 90s, 1m30s, 720h, 2d, PT30S or 60 (seconds)"),
        (["--evictions", "few"], "invalid digit found in string"),
        (["--scenario", "tw-gpus"], "did you mean `two-gpus`?"),
    ] {
        let run = optimum(&[&["scenarios/two-gpus.yaml"], &arguments[..]].concat());
        assert_eq!(run.code, 2, "{arguments:?}");
        assert!(run.err.contains(sentence), "{}", run.err);
        assert_eq!(run.out, "");
    }
}

#[test]
fn a_time_limit_is_a_duration() {
    for limit in ["60s", "60", "1m", "PT60S"] {
        let run = optimum(&["scenarios/two-gpus.yaml", "--time-limit", limit, "-o", "json"]);
        assert_eq!(json(&run)["status"], "optimal", "{limit}");
    }
}

#[test]
fn help_shows_examples() {
    let run = optimum(&["--help"]);
    assert_eq!(run.code, 0);
    assert!(run.out.contains("\n  karpsim optimum scenario.json\n"), "{}", run.out);
}

/// The first Ctrl-C ends the search: the best answer so far is shown.
#[test]
#[cfg(target_os = "linux")]
fn an_interrupt_prints_the_best_so_far() {
    let mut child = command(&["optimum", "bench/diverse-500.json.zst", "--time-limit", "0", "-o", "json"])
        .arg("--root")
        .arg("conformance")
        .spawn()
        .unwrap();
    let id = child.id();
    // Once the program listens for the signal, it is sent.
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 2 != 0)
    };
    while !caught() {
        assert_eq!(child.try_wait().unwrap(), None, "it ends before it listens");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::process::Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(result["optimum"]["costUsdPerHour"].as_f64().unwrap() > 0.0);
    assert_eq!(result["optimum"]["podsNotPlaced"], 0);
}
