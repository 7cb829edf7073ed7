//! How many of something: of pods, of nodes.

use crate::error::Error;
use serde_json::Value;

/// The most of one thing. Kubernetes is made for 150,000 pods; more than this would sooner fill the memory than be meant.
pub(crate) const MOST: i64 = 2_000_000;

/// The number at `place`.
///
/// # Errors
///
/// If it is none, negative, or above [`MOST`].
pub(crate) fn number(place: &str, value: &Value) -> Result<i64, Error> {
    value.as_i64().filter(|number| (0..=MOST).contains(number)).ok_or_else(|| {
        Error::new(place, format!("found {value}, allowed is a whole number from 0 to {MOST}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_whole_and_no_more_than_memory_holds() {
        assert_eq!(number("replicas", &0.into()).ok(), Some(0));
        assert_eq!(number("replicas", &2_000_000.into()).ok(), Some(2_000_000));
        for wrong in
            [Value::from(-1), 2_000_001.into(), 1.5.into(), i64::MAX.into(), u64::MAX.into(), "3".into()]
        {
            let error = number("replicas", &wrong).expect_err("no number of pods");
            assert_eq!(error.message, format!("found {wrong}, allowed is a whole number from 0 to 2000000"));
        }
    }
}
