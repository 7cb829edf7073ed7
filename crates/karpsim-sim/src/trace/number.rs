//! How many of something: of pods, of nodes.

use crate::error::Error;
use serde_json::Value;

/// The most pods of one workload or batch: more than ten times what Kubernetes is made for (150,000), some 6 GB.
const MOST: i64 = 2_000_000;
/// The most nodes of a static NodePool: ten times what Kubernetes is made for (5,000).
const MOST_NODES: i64 = 50_000;

/// The number at `place`.
///
/// # Errors
///
/// If it is none, negative, or above 2,000,000.
pub(crate) fn number(place: &str, value: &Value) -> Result<i64, Error> {
    up_to(MOST, place, value)
}

/// The number of nodes at `place`.
///
/// # Errors
///
/// If it is none, negative, or above 50,000.
pub(crate) fn nodes(place: &str, value: &Value) -> Result<i64, Error> {
    up_to(MOST_NODES, place, value)
}

fn up_to(most: i64, place: &str, value: &Value) -> Result<i64, Error> {
    let number = value.as_i64().filter(|number| (0..=most).contains(number));
    number.ok_or_else(|| {
        Error::new(place, format!("invalid value {value}: expected a whole number from 0 to {most}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_whole_and_no_more_than_memory_holds() {
        assert_eq!(number("replicas", &0.into()).ok(), Some(0));
        assert_eq!(number("replicas", &2_000_000.into()).ok(), Some(2_000_000));
        assert!(nodes("replicas", &50_000.into()).is_ok() && nodes("replicas", &50_001.into()).is_err());
        for wrong in
            [Value::from(-1), 2_000_001.into(), 1.5.into(), i64::MAX.into(), u64::MAX.into(), "3".into()]
        {
            let error = number("replicas", &wrong).expect_err("no number of pods");
            assert_eq!(
                error.message,
                format!("invalid value {wrong}: expected a whole number from 0 to 2000000")
            );
        }
    }
}
