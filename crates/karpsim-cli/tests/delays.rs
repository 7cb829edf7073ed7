//! Delays that vary: given as ranges, drawn with a seed, the same on every run.

mod program;

use program::{Folder, command, karpsim};
use serde_json::{Value, json};

const RESNET: &str = "traces/resnet-gpu.json";
const VARIES: [&str; 6] = ["replay", RESNET, "-o", "json", "--delays", "nodeCreated=20s..60s"];

fn text(arguments: &[&str]) -> String {
    let run = karpsim(&[&VARIES[..], arguments].concat(), b"");
    assert_eq!(run.code, 0, "{}", run.err);
    run.out
}

/// From launched to registered, in seconds, of the nodes that Karpenter made.
fn created_after(text: &str) -> Vec<f64> {
    let result: Value = serde_json::from_str(text).unwrap();
    let nodes = result["nodes"].as_array().unwrap().iter().filter(|node| !node["nodePool"].is_null());
    nodes
        .map(|node| {
            let seconds = node["registered"].as_f64().unwrap() - node["launched"].as_f64().unwrap();
            (seconds * 1e6).round() / 1e6
        })
        .collect()
}

#[test]
fn every_node_draws_its_own_delay() {
    // SplitMix64 of seed and FNV-1a of step and node, in a program of its own, gave these.
    let drawn = [41.433_608, 23.770_581, 52.356_842, 25.750_957, 47.260_005, 30.351_154];
    let seeded = text(&["--seed", "3"]);
    assert_eq!(created_after(&seeded), drawn);
    let result: Value = serde_json::from_str(&seeded).unwrap();
    assert_eq!(result["delays"]["nodeCreated"], json!({"min": 20.0, "max": 60.0}));
    assert_eq!((&result["delays"]["nodeReady"], &result["seed"]), (&json!(12.0), &json!(3)));

    assert_ne!(created_after(&text(&["--seed", "4"])), drawn);
    assert_eq!(text(&[]), text(&["--seed", "0"]), "0 is the default");
    let table = karpsim(&["replay", RESNET, "--delays", "podStart=1..2", "--seed", "9"], b"");
    let head = table.out.lines().next().unwrap();
    assert!(head.ends_with("pods bound by Karpenter, random delays with seed 9"), "{head}");
}

#[test]
fn a_seed_gives_the_same_bytes() {
    let seeded = [&VARIES[..], &["--seed", "3"]].concat();
    let first = karpsim(&seeded, b"").out;
    assert_eq!(karpsim(&seeded, b"").out, first);
    let alone = command(&seeded).env("RAYON_NUM_THREADS", "1").output().unwrap();
    assert_eq!(String::from_utf8(alone.stdout).unwrap(), first);
    // Where nothing varies a seed changes nothing, and is not spoken of.
    let fixed = ["replay", RESNET, "-o", "json"];
    let run = karpsim(&[&fixed[..], &["--seed", "3"]].concat(), b"");
    assert_eq!(run.out, karpsim(&fixed, b"").out);
    assert!(!run.out.contains("seed"), "{}", run.out);
}

#[test]
fn a_trace_says_the_same_as_flags() {
    let folder = Folder::new("delays");
    let overlay = |delays: &str, seed: &str| {
        folder.file(
            "overlay.yaml",
            format!(
                "apiVersion: karpsim.dev/v1alpha1\nkind: Trace\noptions: {{delays: {{nodeCreated: {delays}}}, seed: {seed}}}\n"
            ),
        )
    };
    let file = overlay("{min: 20, max: PT1M}", "3");
    let run = karpsim(&["replay", RESNET, "-o", "json", "--overlay", &file], b"");
    assert_eq!(run.out, text(&["--seed", "3"]), "{}", run.err);
    // Flags go before the trace's.
    let run = karpsim(&[&VARIES[..], &["--seed", "4", "--overlay", &file]].concat(), b"");
    assert_eq!(run.out, text(&["--seed", "4"]), "{}", run.err);

    let hint = "hint: write a range as {\"min\": 20, \"max\": 60}";
    let number =
        "expected seconds (0 or more, at most nine decimals), or an ISO 8601 duration such as `\"PT12.5S\"`";
    for (delays, seed, sentence) in [
        (
            "20s..60s",
            "3",
            format!("`options.delays.nodeCreated`: invalid value `\"20s..60s\"`: {number}\n  {hint}"),
        ),
        (
            "{min: 60, max: 20}",
            "3",
            "`options.delays.nodeCreated.max`: invalid value 20 s: expected at least `min`, 60 s".to_owned(),
        ),
        ("{min: 60}", "3", "`options.delays.nodeCreated`: missing field `max`".to_owned()),
        (
            "{min: 60, mx: 70}",
            "3",
            "`options.delays.nodeCreated.mx`: unknown field\n  hint: known fields: `min`, `max`".to_owned(),
        ),
        (
            "1",
            "-1",
            "`options.seed`: invalid value `-1`: expected a whole number from 0 to 18446744073709551615"
                .to_owned(),
        ),
    ] {
        let file = overlay(delays, seed);
        let run = karpsim(&["replay", RESNET, "--overlay", &file], b"");
        assert_eq!((run.code, run.err), (2, format!("error: {file}: {sentence}\n")), "{delays}");
    }
    let run = karpsim(&["replay", RESNET, "--delays", "nodeCreated=60s..20s"], b"");
    assert_eq!(
        (run.code, run.err.as_str()),
        (
            2,
            "error: --delays nodeCreated: invalid value `60s..20s`: the range ends before it starts\n  hint: did you \
             mean `20s..60s`?\n"
        )
    );
    let run = karpsim(&["replay", RESNET, "--delays", "nodeCreated=20..x"], b"");
    assert_eq!(run.code, 2);
    assert!(
        run.err.starts_with("error: --delays nodeCreated: invalid value `x`: expected a duration"),
        "{}",
        run.err
    );
}
