//! Cron schedules of budgets, in UTC, as Karpenter's parser (robfig/cron, `ParseStandard`) reads them: five fields or
//! `@hourly`, `@daily` and their like, or `@every 1h30m`. Where day of month and day of week are both restricted, one of
//! them is enough.

use crate::model::meta::Duration;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// At certain minutes.
    Cron(Cron),
    /// Again and again after so many seconds.
    Every {
        /// Seconds, at least 1.
        seconds: i64,
    },
}

/// Minutes at which a schedule hits: one bit a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// A schedule that does not hit within so many years never does.
const YEARS: i16 = 5;

impl Schedule {
    /// Reads a schedule; `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(every) = text.strip_prefix("@every ") {
            let duration = Duration::parse(every)?;
            return Some(Schedule::Every { seconds: (duration.nanos / 1_000_000_000).max(1) });
        }
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            text => text,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else { return None };
        let (days, any_day) = field(days, 1, 31, &[])?;
        let (weekdays, any_weekday) = field(weekdays, 0, 6, &WEEKDAYS)?;
        Some(Schedule::Cron(Cron {
            minutes: field(minutes, 0, 59, &[])?.0,
            hours: field(hours, 0, 23, &[])?.0,
            days,
            months: field(months, 1, 12, &MONTHS)?.0,
            weekdays,
            any_day,
            any_weekday,
        }))
    }

    /// The first hit after `time`; `None`: not within years.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        match self {
            Schedule::Every { seconds } => {
                let whole = Timestamp::from_second(time.as_second()).ok()?;
                whole.checked_add(seconds.seconds()).ok()
            }
            Schedule::Cron(cron) => cron.next_after(time),
        }
    }
}

impl Cron {
    fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let after = time.to_zoned(TimeZone::UTC).datetime();
        let mut day = after.date();
        let last_year = day.year() + YEARS;
        // The first minute in question on the first day.
        let mut from = i32::from(after.hour()) * 60 + i32::from(after.minute()) + 1;
        while day.year() <= last_year {
            if self.hits_day(day)
                && let Some(minute) = (from..24 * 60).find(|minute| self.hits_minute(*minute))
            {
                let hit: DateTime = day.at((minute / 60) as i8, (minute % 60) as i8, 0, 0);
                return TimeZone::UTC.to_timestamp(hit).ok();
            }
            day = day.tomorrow().ok()?;
            from = 0;
        }
        None
    }

    fn hits_day(&self, day: jiff::civil::Date) -> bool {
        let month = self.months >> day.month() & 1 == 1;
        let of_month = self.days >> day.day() & 1 == 1;
        let of_week = self.weekdays >> day.weekday().to_sunday_zero_offset() & 1 == 1;
        month && if self.any_day || self.any_weekday { of_month && of_week } else { of_month || of_week }
    }

    fn hits_minute(&self, minute: i32) -> bool {
        self.hours >> (minute / 60) & 1 == 1 && self.minutes >> (minute % 60) & 1 == 1
    }
}

/// The values of a field, and whether it is a bare star.
fn field(text: &str, least: u32, greatest: u32, names: &[&str]) -> Option<(u64, bool)> {
    let mut values = 0;
    let mut star = false;
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let number = |text: &str| -> Option<u32> {
            let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
            named.map(|index| index as u32 + least).or_else(|| text.parse().ok())
        };
        let (from, to) = match range.split_once('-') {
            // What follows a star and a hyphen is not looked at.
            _ if matches!(range.split('-').next(), Some("*" | "?")) => {
                star |= step.is_none_or(|step| step == 1);
                (least, greatest)
            }
            Some((from, to)) => (number(from)?, number(to)?),
            // `N/step` means from N on.
            None => {
                let from = number(range)?;
                (from, if step.is_some() { greatest } else { from })
            }
        };
        if from < least || to > greatest || from > to {
            return None;
        }
        for value in (from..=to).step_by(step.unwrap_or(1) as usize) {
            values |= 1 << value;
        }
    }
    Some((values, star))
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn next_hits() {
        for (schedule, after, hit) in [
            ("@daily", "2026-01-15T10:00:00Z", "2026-01-16T00:00:00Z"),
            ("*/15 * * * *", "2026-01-15T10:00:00Z", "2026-01-15T10:15:00Z"),
            ("0 9 * * 1-5", "2026-01-16T09:00:00Z", "2026-01-19T09:00:00Z"),
            ("30 2 * * SUN", "2026-01-15T10:00:00Z", "2026-01-18T02:30:00Z"),
            ("0 0 13 * 5", "2026-02-01T00:00:00Z", "2026-02-06T00:00:00Z"),
            ("0 0 */2 * 5", "2026-02-01T00:00:00Z", "2026-02-03T00:00:00Z"),
            ("5/20 4 * * *", "2026-01-15T04:06:00Z", "2026-01-15T04:25:00Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("@every 1h30m", "2026-01-15T10:00:00.5Z", "2026-01-15T11:30:00Z"),
            ("15 10 * * *-", "2026-01-15T10:00:00Z", "2026-01-15T10:15:00Z"),
            ("15 10 *-x *-1-2 ?-", "2026-01-15T10:00:00Z", "2026-01-15T10:15:00Z"),
            (",15, 10,,11 * * *", "2026-01-15T10:20:00Z", "2026-01-15T11:15:00Z"),
        ] {
            let next = Schedule::parse(schedule).unwrap().next_after(after.parse().unwrap());
            assert_eq!(next, Some(hit.parse().unwrap()), "{schedule} after {after}");
        }
    }

    #[test]
    fn malformed_schedules() {
        for schedule in
            ["", "* * * *", "60 * * * *", "* 5-3 * * *", "*/0 * * * *", "* * 0 * *", "@often", "a b c d e"]
        {
            assert_eq!(Schedule::parse(schedule), None, "{schedule}");
        }
    }
}
