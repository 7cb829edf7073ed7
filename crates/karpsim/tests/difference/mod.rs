//! Where two decisions differ.

use serde_json::Value;
use std::collections::BTreeSet;

/// The place where two values differ first. Fields named in `passed` are not looked at; of `podErrors` the names are, for
/// the words are for reading.
pub(crate) fn difference(path: &str, ours: &Value, recorded: &Value, passed: &[&str]) -> Option<String> {
    match (ours, recorded) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().filter(|key| !passed.contains(&key.as_str())).find_map(|key| {
                match (a.get(key), b.get(key)) {
                    (Some(x), Some(y)) if key == "podErrors" => {
                        let names = |errors: &Value| -> Vec<String> {
                            errors.as_object().into_iter().flat_map(|errors| errors.keys().cloned()).collect()
                        };
                        let (ours, recorded) = (names(x), names(y));
                        (ours != recorded)
                            .then(|| format!("{path}.podErrors: {ours:?} instead of {recorded:?}"))
                    }
                    (Some(x), Some(y)) => difference(&format!("{path}.{key}"), x, y, passed),
                    (x, y) => Some(format!("{path}.{key}: {x:?} instead of {y:?}")),
                }
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(index, (x, y))| difference(&format!("{path}[{index}]"), x, y, passed)),
        (Value::Number(a), Value::Number(b)) => {
            (a.as_f64() != b.as_f64()).then(|| format!("{path}: {a} instead of {b}"))
        }
        _ => (ours != recorded).then(|| format!("{path}: {ours} instead of {recorded}")),
    }
}
