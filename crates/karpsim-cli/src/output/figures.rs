//! Figures as people read them: times, money, sizes, and lists of names.

/// Seconds as a clock shows them: `0:10:01`, `2d 03:00:00`, with tenths if there are any.
pub(crate) fn clock(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round().max(0.0) as u64;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    let mut text = if days > 0 {
        format!("{days}d {hours:02}:{minutes:02}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    };
    if tenth > 0 {
        text.extend([".", &tenth.to_string()]);
    }
    text
}

/// A length of time as Kubernetes shows an age: the two largest units.
pub(crate) fn age(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let units = [(whole / 86_400, "d"), (whole / 3600 % 24, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")];
    let Some(first) = units.iter().position(|(count, _)| *count > 0) else {
        return if seconds > 0.0 { format!("{seconds:.1}s") } else { "0s".to_owned() };
    };
    let mut text = String::new();
    for (count, unit) in units.iter().skip(first).take(2).filter(|(count, _)| *count > 0) {
        text.extend([&count.to_string(), *unit]);
    }
    text
}

/// A wait in seconds, short.
pub(crate) fn wait(seconds: f64) -> String {
    if seconds < 100.0 { format!("{}s", (seconds * 10.0).round() / 10.0) } else { age(seconds) }
}

/// Dollars: to the cent if they are many, else to a hundredth of one.
pub(crate) fn dollars(amount: f64) -> String {
    let digits = if amount.abs() >= 100.0 { 2 } else { 4 };
    let text = format!("{:.digits$}", amount.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let sign = if amount < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { "-" } else { "" };
    format!("{sign}${}.{fraction}", grouped(whole))
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A list as Karpenter shortens it: `a, b and 3 other(s)`.
pub(crate) fn shortened<'a>(names: impl IntoIterator<Item = &'a str>, shown: usize) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let text = names.iter().take(shown).copied().collect::<Vec<_>>().join(", ");
    if names.len() > shown { format!("{text} and {} other(s)", names.len() - shown) } else { text }
}

/// Two to four decimals (five below a cent).
pub(crate) fn price(value: f64) -> String {
    let text = if value != 0.0 && value < 0.01 { format!("{value:.5}") } else { format!("{value:.4}") };
    let trimmed = text.trim_end_matches('0');
    let decimals = trimmed.rsplit('.').next().map_or(0, str::len);
    let mut text = trimmed.to_owned();
    for _ in decimals..2 {
        text.push('0');
    }
    text
}

/// A price with the mark of an estimate, filled up with spaces so that decimal points stand below each other.
pub(crate) fn marked(value: Option<f64>, mark: &str) -> String {
    const DECIMALS: usize = 4;
    value.map_or_else(
        || "-".to_owned(),
        |value| {
            let text = format!("{}{mark}", price(value));
            let behind = text.split_once('.').map_or(0, |(_, behind)| behind.chars().count());
            format!("{text}{}", " ".repeat((DECIMALS + 1).saturating_sub(behind)))
        },
    )
}

/// What a month of it costs.
pub(crate) fn month(value: f64, mark: &str) -> String {
    format!("{:.2}{}", value * HOURS_PER_MONTH, if mark.is_empty() { " " } else { mark })
}

/// Hours that a month has in prices.
pub(crate) const HOURS_PER_MONTH: f64 = 730.0;

/// MiB as GiB.
pub(crate) fn gib(mib: i64) -> String {
    let gib = mib as f64 / 1024.0;
    let text = format!("{gib:.2}");
    format!("{} GiB", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Mbit/s as Gbit/s.
pub(crate) fn gbps(mbps: i64) -> String {
    let text = format!("{:.3}", mbps as f64 / 1000.0);
    format!("{} Gbit/s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A number without needless decimals.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Dollars an hour, as exact as catalogues are.
pub(crate) fn dollars_per_hour(dollars: f64) -> String {
    format!("${}/h", number(dollars))
}

#[cfg(test)]
mod tests {
    use super::{age, clock, dollars, gbps, gib, price, shortened, wait};

    #[test]
    fn figures_are_short_and_exact() {
        for (value, shown) in [
            (0.526, "0.526"),
            (55.04, "55.04"),
            (0.0042, "0.0042"),
            (1.0, "1.00"),
            (0.00123, "0.00123"),
            (0.37853, "0.3785"),
        ] {
            assert_eq!(price(value), shown);
        }
        assert_eq!(
            (gib(16384), gib(3840), gib(22888)),
            ("16 GiB".into(), "3.75 GiB".into(), "22.35 GiB".into())
        );
        assert_eq!(
            (gbps(5000), gbps(750), gbps(3_200_000)),
            ("5 Gbit/s".into(), "0.75 Gbit/s".into(), "3200 Gbit/s".into())
        );
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!(
            [0.0, 601.0, 90.34, 183_605.0].map(clock),
            ["0:00:00", "0:10:01", "0:01:30.3", "2d 03:00:05"]
        );
        assert_eq!(
            [0.0, 0.25, 59.0, 1830.0, 3600.0, 90_061.0].map(age),
            ["0s", "0.2s", "59s", "30m30s", "1h", "1d1h"]
        );
        assert_eq!([0.0, 1.04, 41.26, 125.0].map(wait), ["0s", "1s", "41.3s", "2m5s"]);
        assert_eq!(
            [1.16597, 0.0, -0.00001, -12.5, 1_234_567.891].map(dollars),
            ["$1.1660", "$0.0000", "$0.0000", "-$12.5000", "$1,234,567.89"]
        );
        assert_eq!(shortened(["a", "b", "c", "d"], 2), "a, b and 2 other(s)");
        assert_eq!(shortened(["a", "b"], 2), "a, b");
    }
}
