//! What all objects share: names, labels, times, durations, selectors.

use super::wire::{leaf, wire};
use compact_str::CompactString;
use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// Short strings are kept in place; names and label values rarely need the heap.
pub type Str = CompactString;

/// A map of strings to strings (labels, annotations, node selectors), sorted by key, without duplicates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels(Vec<(Str, Str)>);

impl Labels {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// All pairs, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Sets `key` to `value`, replacing what was there.
    pub fn insert(&mut self, key: impl Into<Str>, value: impl Into<Str>) {
        let (key, value) = (key.into(), value.into());
        match self.0.binary_search_by(|(name, _)| name.cmp(&key)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| name != key);
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<Str>, V: Into<Str>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut labels = Labels::default();
        for (key, value) in pairs {
            labels.insert(key, value);
        }
        labels
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;
        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = Labels;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of strings to strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels = Labels(Vec::with_capacity(map.size_hint().unwrap_or(0)));
                while let Some(key) = map.next_key::<Str>()? {
                    let value = map.next_value::<Option<Str>>()?.unwrap_or_default();
                    match labels.0.last() {
                        Some((last, _)) if *last >= key => labels.insert(key, value),
                        _ => labels.0.push((key, value)),
                    }
                }
                Ok(labels)
            }
        }
        deserializer.deserialize_map(LabelsVisitor)
    }
}

/// A moment, RFC 3339 in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Time(pub Timestamp);

impl Time {
    /// Reads `2026-01-15T10:00:00Z`, the form in which the API server writes times. `None`: another form, or no time.
    fn of_whole_seconds(text: &str) -> Option<Self> {
        let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
        let digits = |places: &[usize]| {
            places.iter().try_fold(0_i16, |number, &place| {
                let digit = bytes[place].wrapping_sub(b'0');
                (digit < 10).then(|| number * 10 + i16::from(digit))
            })
        };
        let small = |place: usize| digits(&[place, place + 1]).and_then(|number| i8::try_from(number).ok());
        if [bytes[4], bytes[7], bytes[10], bytes[13], bytes[16], bytes[19]] != *b"--T::Z" {
            return None;
        }
        let date = jiff::civil::Date::new(digits(&[0, 1, 2, 3])?, small(5)?, small(8)?).ok()?;
        let time = jiff::civil::Time::new(small(11)?, small(14)?, small(17)?, 0).ok()?;
        jiff::tz::Offset::UTC.to_timestamp(date.to_datetime(time)).ok().map(Time)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl Visitor<'_> for TimeVisitor {
            type Value = Time;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a time such as \"2026-01-15T10:00:00Z\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                if let Some(time) = Time::of_whole_seconds(text) {
                    return Ok(time);
                }
                text.parse::<Timestamp>()
                    .map(Time)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(TimeVisitor)
    }
}

/// A Go duration (`30s`, `1h30m`) in nanoseconds. Where Karpenter allows it, `Never` is `None` inside
/// [`NillableDuration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Duration {
    /// Nanoseconds.
    pub nanos: i64,
}

impl Duration {
    /// Whole seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        Duration { nanos: seconds.saturating_mul(1_000_000_000) }
    }

    /// Reads what Go's `time.ParseDuration` reads. `None` if it would refuse.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Some(Duration { nanos: 0 });
        }
        if rest.is_empty() {
            return None;
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (whole, after) = rest.split_at(digits);
            let (fraction, after) = match after.strip_prefix('.') {
                Some(tail) => {
                    let count = tail.bytes().take_while(u8::is_ascii_digit).count();
                    tail.split_at(count)
                }
                None => ("", after),
            };
            if whole.is_empty() && fraction.is_empty() {
                return None;
            }
            let (unit, length): (i128, usize) = if after.starts_with("ns") {
                (1, 2)
            } else if after.starts_with("us") {
                (1_000, 2)
            } else if after.starts_with("µs") || after.starts_with("μs") {
                (1_000, 3)
            } else if after.starts_with("ms") {
                (1_000_000, 2)
            } else if after.starts_with('s') {
                (1_000_000_000, 1)
            } else if after.starts_with('m') {
                (60_000_000_000, 1)
            } else if after.starts_with('h') {
                (3_600_000_000_000, 1)
            } else {
                return None;
            };
            let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
            total = total.checked_add(whole.checked_mul(unit)?)?;
            if !fraction.is_empty() {
                let shown = &fraction[..fraction.len().min(18)];
                let scale = 10i128.pow(shown.len() as u32);
                total = total.checked_add(shown.parse::<i128>().ok()? * unit / scale)?;
            }
            rest = &after[length..];
        }
        let total = if negative { -total } else { total };
        i64::try_from(total).ok().map(|nanos| Duration { nanos })
    }
}

/// As Go prints it: `10m0s`, `1h0m0s`, `1.5s`, `0s`.
impl std::fmt::Display for Duration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, nanos) = (if self.nanos < 0 { "-" } else { "" }, self.nanos.unsigned_abs());
        let with_fraction = |unit: u64| {
            let (whole, rest) = (nanos / unit, nanos % unit);
            let digits = unit.ilog10() as usize;
            let fraction = format!("{rest:0digits$}");
            let fraction = fraction.trim_end_matches('0');
            if rest == 0 { whole.to_string() } else { format!("{whole}.{fraction}") }
        };
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{sign}{nanos}ns"),
            1_000..1_000_000 => write!(f, "{sign}{}µs", with_fraction(1_000)),
            1_000_000..1_000_000_000 => write!(f, "{sign}{}ms", with_fraction(1_000_000)),
            _ => {
                let (minutes, nanos) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
                let fraction = format!("{:09}", nanos % 1_000_000_000);
                let fraction = fraction.trim_end_matches('0');
                let point = if fraction.is_empty() { "" } else { "." };
                let seconds = format!("{}{point}{fraction}s", nanos / 1_000_000_000);
                match (minutes / 60, minutes % 60) {
                    (0, 0) => write!(f, "{sign}{seconds}"),
                    (0, minutes) => write!(f, "{sign}{minutes}m{seconds}"),
                    (hours, minutes) => write!(f, "{sign}{hours}h{minutes}m{seconds}"),
                }
            }
        }
    }
}
impl serde::Serialize for Duration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DurationVisitor;
        impl Visitor<'_> for DurationVisitor {
            type Value = Duration;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration such as \"30s\", \"1h30m\" or \"720h\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
                Duration::parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(DurationVisitor)
    }
}

/// A duration that can be `Never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NillableDuration(pub Option<Duration>);

impl<'de> Deserialize<'de> for NillableDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NillableVisitor;
        impl Visitor<'_> for NillableVisitor {
            type Value = NillableDuration;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration such as \"30s\" or \"720h\", or \"Never\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<NillableDuration, E> {
                if text == "Never" {
                    return Ok(NillableDuration(None));
                }
                match Duration::parse(text) {
                    Some(duration) => Ok(NillableDuration(Some(duration))),
                    None => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_str(NillableVisitor)
    }
}

/// A number or a percentage, as `maxUnavailable` takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum IntOrString {
    /// A number.
    Int(i64),
    /// Text, such as `50%`.
    Text(Str),
}

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntOrStringVisitor;
        impl Visitor<'_> for IntOrStringVisitor {
            type Value = IntOrString;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number or a percentage such as \"50%\"")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<IntOrString, E> {
                Ok(IntOrString::Int(value))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<IntOrString, E> {
                i64::try_from(value).map(IntOrString::Int).map_err(E::custom)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<IntOrString, E> {
                Ok(IntOrString::Text(text.into()))
            }
        }
        deserializer.deserialize_any(IntOrStringVisitor)
    }
}

/// Declares an enum of words, as Kubernetes writes them.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $( $(#[$variant_meta])* $variant, )* }

        impl $name {
            /// The words, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct WordVisitor;
                impl serde::de::Visitor<'_> for WordVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(f, "one of {}", $name::WORDS.join(", "))
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        match text {
                            $($word => Ok($name::$variant),)*
                            _ => Err(E::unknown_variant(text, $name::WORDS)),
                        }
                    }
                }
                deserializer.deserialize_str(WordVisitor)
            }
        }

        $crate::model::wire::leaf!($name => &$crate::model::schema::words($name::WORDS));
    };
}
pub(crate) use words;

leaf!(Labels => r#"{"type": "object", "additionalProperties": {"type": ["string", "null"]}}"#);
leaf!(Time => r#"{"type": "string", "format": "date-time"}"#);
leaf!(Duration => r#"{"type": "string", "description": "a duration such as 30s, 1h30m or 720h"}"#);
leaf!(NillableDuration => r#"{"type": "string", "description": "a duration such as 30s or 720h, or Never"}"#);
leaf!(IntOrString => r#"{"type": ["integer", "string"], "description": "a number or a percentage such as 50%"}"#);

words! {
    /// Operator of a node selector requirement. `Gte` and `Lte` are Karpenter's.
    pub enum Operator {
        /// One of the values.
        In = "In",
        /// None of the values; the label may be absent.
        NotIn = "NotIn",
        /// Any value.
        Exists = "Exists",
        /// No such label.
        DoesNotExist = "DoesNotExist",
        /// An integer above the value.
        Gt = "Gt",
        /// An integer below the value.
        Lt = "Lt",
        /// An integer not below the value.
        Gte = "Gte",
        /// An integer not above the value.
        Lte = "Lte",
    }
}

words! {
    /// Operator of a label selector.
    pub enum SelectorOperator {
        /// One of the values.
        In = "In",
        /// None of the values, or no such label.
        NotIn = "NotIn",
        /// Any value.
        Exists = "Exists",
        /// No such label.
        DoesNotExist = "DoesNotExist",
    }
}

wire! {
    /// Who made an object.
    pub struct OwnerReference {
        /// Group and version.
        api_version: Str = "apiVersion",
        /// Kind.
        kind: Str = "kind",
        /// Name.
        name: Str = "name",
        /// UID.
        uid: Str = "uid",
        /// The one owner that manages the object.
        controller: bool = "controller",
    }
    passed { "blockOwnerDeletion" }
    unmodelled { }
}

wire! {
    /// `metadata`.
    pub struct ObjectMeta {
        /// Name, unique in the namespace.
        name: Str = "name",
        /// Namespace; empty for cluster-wide kinds.
        namespace: Str = "namespace",
        /// UID.
        uid: Str = "uid",
        /// When it was created, in whole seconds.
        creation_timestamp: Option<Time> = "creationTimestamp",
        /// When it was, or will be, deleted.
        deletion_timestamp: Option<Time> = "deletionTimestamp",
        /// Labels.
        labels: Labels = "labels",
        /// Annotations.
        annotations: Labels = "annotations",
        /// Owners.
        owner_references: Vec<OwnerReference> = "ownerReferences",
    }
    passed {
        "generateName", "generation", "resourceVersion", "selfLink", "finalizers", "managedFields",
        "deletionGracePeriodSeconds",
    }
    unmodelled { }
}

wire! {
    /// One expression of a [`LabelSelector`].
    pub struct LabelSelectorRequirement {
        /// Label.
        key: Str = "key",
        /// Operator; absent text is refused by the API server, and selects nothing here.
        operator: Option<SelectorOperator> = "operator",
        /// Values.
        values: Vec<Str> = "values",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Selects objects by their labels. All parts must hold; an empty selector selects everything.
    pub struct LabelSelector {
        /// Labels that must be equal.
        match_labels: Labels = "matchLabels",
        /// Expressions that must hold.
        match_expressions: Vec<LabelSelectorRequirement> = "matchExpressions",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A condition in a status.
    pub struct Condition {
        /// Type.
        kind: Str = "type",
        /// `True`, `False`, `Unknown`.
        status: Str = "status",
        /// Reason, one word.
        reason: Str = "reason",
        /// When `status` last changed.
        last_transition_time: Option<Time> = "lastTransitionTime",
    }
    passed {
        "message", "observedGeneration", "lastProbeTime", "lastHeartbeatTime", "lastUpdateTime",
    }
    unmodelled { }
}

/// The condition of type `kind`, if there is one.
pub fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// Whether the condition of type `kind` is `True`.
pub fn condition_is_true(conditions: &[Condition], kind: &str) -> bool {
    condition(conditions, kind).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (250_000_000, "250ms"),
            (1_500_000_000, "1.5s"),
            (600_000_000_000, "10m0s"),
            (60_250_000_000, "1m0.25s"),
            (-5_400_000_000_000, "-1h30m0s"),
        ] {
            assert_eq!(super::Duration { nanos }.to_string(), text);
        }
    }

    #[test]
    fn times_of_the_common_form_are_what_the_library_reads() {
        let texts = [
            "1970-01-01T00:00:00Z",
            "2024-02-29T23:59:59Z",
            "2026-11-26T16:45:34Z",
            "2023-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T23:59:60Z",
            "2026-01-01 10:00:00Z",
            "2026-01-01T10:00:0 Z",
            "+026-01-01T10:00:00Z",
        ];
        for text in texts {
            let read: Option<Time> = serde_json::from_value(text.into()).ok();
            assert_eq!(read, text.parse().ok().map(Time), "{text}");
        }
        assert_eq!(Time::of_whole_seconds("2001-09-09T01:46:40Z").unwrap().0.as_second(), 1_000_000_000);
        assert_eq!(Time::of_whole_seconds("2023-02-29T00:00:00Z"), None);
    }
}
