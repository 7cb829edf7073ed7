//! Reading traces: both layouts, and what is said about wrong ones.

use karpsim_sim::delays::Step;
use karpsim_sim::trace::{EventKind, merge_events};
use karpsim_sim::{Delay, Error, Trace, TraceReader};

const HEADER: &str = r#"{"apiVersion": "karpsim.dev/v1alpha1", "kind": "Trace", "name": "t", "end": 100"#;

fn read(text: &str) -> Result<Trace, Error> {
    Trace::read(text.as_bytes())
}

#[test]
fn document_and_stream_are_the_same() {
    let events = [
        r#"{"at": 0.000000001, "mark": "one"}"#,
        r#"{"at": "PT1M", "scale": {"kind": "Deployment", "name": "web", "replicas": 3}}"#,
        r#"{"at": 60, "pods": {"template": "a", "duration": [1, null]}}"#,
    ];
    let document = read(&format!("{HEADER},\n \"events\": [{}]}}", events.join(","))).unwrap();
    let compact = read(&format!("{HEADER}, \"events\": [{}]}}\n", events.join(","))).unwrap();
    let stream = read(&format!("{HEADER}}}\n\n{}\n", events.join("\n"))).unwrap();
    let plain = |trace: &Trace| -> Vec<(i64, EventKind)> {
        trace.events.iter().map(|event| (event.at, event.kind.clone())).collect()
    };
    assert_eq!(plain(&document), plain(&stream));
    assert_eq!(plain(&document), plain(&compact));
    assert_eq!(document.events[0].at, 1, "a nanosecond");
    assert_eq!(stream.events[0].line, 3, "blank lines count");
    let EventKind::Pods(batch) = &document.events[2].kind else { panic!("a batch") };
    assert_eq!((batch.count, batch.duration.as_ref().unwrap().of(1)), (2, None));
}

#[test]
fn wrong_traces_are_refused_with_their_place() {
    let doc = |events: &str| format!("{HEADER}, \"events\": [{events}]}}");
    let gigabyte = "[".repeat(1 << 16);
    for (text, place, message, hint) in [
        (String::new(), "", "the file is empty", ""),
        (gigabyte, "line 1", "expected a trace (a JSON object), found `[`", ""),
        ("\u{1}\u{2}".to_owned(), "line 1", "found binary data", ""),
        (HEADER.to_owned(), "", "unexpected end of input", ""),
        (r#"{"apiVersion": "v1", "kind": "Pod"}"#.to_owned(), "`apiVersion`", "invalid value `v1`", ""),
        (format!("{HEADER}, \"option\": {{}}}}"), "`option`", "unknown field", "did you mean `options`?"),
        (
            format!("{HEADER}, \"options\": {{\"delays\": {{\"lunch\": 1}}}}}}"),
            "`options.delays.lunch`",
            "unknown delay",
            "did you mean `launch`?",
        ),
        (
            format!("{HEADER}, \"options\": {{\"prefrencePolicy\": \"Ignore\"}}}}"),
            "`options.prefrencePolicy`",
            "unknown field",
            "did you mean `preferencePolicy`?",
        ),
        (
            format!("{HEADER}, \"catalogue\": {{\"name\": \"aws/us-west-2\", \"includ\": []}}}}"),
            "`catalogue.includ`",
            "unknown field",
            "did you mean `include`?",
        ),
        (doc(r#"{"mark": "x"}"#), "`events[0]`", "missing field `at`", ""),
        (doc(r#"{"at": 1}"#), "`events[0]`", "missing event", ""),
        (
            doc(r#"{"at": 1, "mark": "x", "pods": {"template": "a"}}"#),
            "`events[0]`",
            "mutually exclusive",
            "",
        ),
        (doc(r#"{"at": 1, "scal": {}}"#), "`events[0].scal`", "unknown field", "did you mean `scale`?"),
        (doc(r#"{"at": -1, "mark": "x"}"#), "`events[0].at`", "invalid value `-1`", ""),
        (doc(r#"{"at": 2, "mark": "x"}, {"at": 1, "mark": "y"}"#), "`events[1].at`", "out of order", ""),
        (doc(r#"{"at": 101, "mark": "x"}"#), "`events[0].at`", "after `end`", ""),
        (
            doc(r#"{"at": 1, "nodes": {"instanceType": "m5.large", "count": -1}}"#),
            "`events[0].nodes.count`",
            "invalid value -1: expected a whole number from 0 to 2000000",
            "",
        ),
        (
            doc(r#"{"at": 1, "pods": {"template": "a", "cuont": 3}}"#),
            "`events[0].pods.cuont`",
            "unknown field",
            "did you mean `count`?",
        ),
        (
            doc(r#"{"at": 1, "pods": {"template": "a", "count": 3, "duration": [1]}}"#),
            "`events[0].pods.duration`",
            "not as long",
            "",
        ),
        (
            doc(r#"{"at": 1, "pods": {"template": "a", "requests": {"cpu": "-1"}}}"#),
            "`events[0].pods.requests.cpu`",
            "must not be negative",
            "",
        ),
        (
            doc(r#"{"at": 1, "pods": {"template": "a", "requests": {"cpu": "1 core"}}}"#),
            "`events[0].pods.requests`",
            "1 core",
            "",
        ),
        (
            doc(r#"{"at": 1, "interrupt": {"reason": "spto"}}"#),
            "`events[0].interrupt.reason`",
            "invalid value `spto`",
            "did you mean `spot`?",
        ),
        (doc(r#"{"at": 1, "price": {"price": 1, "factor": 2}}"#), "`events[0].price`", "exactly one", ""),
        (
            doc(r#"{"at": 1, "apply": {"kind": "Pod"}}"#),
            "`events[0].apply[0].apiVersion`",
            "missing: expected a Kubernetes object",
            "",
        ),
        (
            format!("{HEADER}}}\n{{\"at\": 1, \"mark\": \"x\"}}\n{{\"at\": 0, \"mark\": \"y\"}}\n"),
            "line 3: `at`",
            "out of order",
            "",
        ),
        (format!("{HEADER}}}\n{{\"at\": 1, \"mark\": \n"), "line 2", "EOF", ""),
        (
            format!("{HEADER}, \"events\": []}}\n{{\"at\": 1, \"mark\": \"x\"}}\n"),
            "line 1: `events`",
            "mutually exclusive",
            "",
        ),
    ] {
        let error = read(&text).expect_err(&text);
        let shown = error.to_string();
        assert!(shown.starts_with(place) && shown.contains(message), "{text}\nsaid: {shown}");
        assert_eq!(
            error.hint.as_deref().filter(|it| it.starts_with("did")).unwrap_or_default(),
            hint,
            "{shown}"
        );
    }
}

#[test]
fn an_overlay_replaces_fields_and_joins_events() {
    let base = format!(
        "{HEADER}, \"options\": {{\"delays\": {{\"launch\": 1, \"podStart\": 2}}}}, \"objects\": [{{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {{\"name\": \"a\"}}}}]}}\n{{\"at\": 1, \"mark\": \"base\"}}\n{{\"at\": 5, \"mark\": \"last\"}}\n"
    );
    let overlay = r#"{"apiVersion": "karpsim.dev/v1alpha1", "kind": "Trace", "name": "spot", "options": {"delays": {"launch": 9}},
        "events": [{"at": 0, "mark": "first"}, {"at": 1, "mark": "overlay"}, {"at": 7, "mark": "after"}]}"#;
    let (base, overlay) =
        (TraceReader::new(base.as_bytes()).unwrap(), TraceReader::new(overlay.as_bytes()).unwrap());
    let header = base.header.under(&overlay.header).unwrap();
    let delays = header.options.delays.resolve(0);
    assert_eq!(
        (delays.of(Step::Launch), delays.of(Step::PodStart)),
        (Delay::fixed(9_000_000_000), Delay::fixed(2_000_000_000)),
        "key by key"
    );
    assert_eq!(
        (header.name.as_str(), header.end, header.objects.len()),
        ("t + spot", Some(100_000_000_000), 1)
    );
    let marks: Vec<String> = merge_events(base, overlay, true)
        .map(|event| match event.unwrap().kind {
            EventKind::Mark(text) => text,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(marks, ["first", "base", "overlay", "last", "after"]);
}
