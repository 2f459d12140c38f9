//! Times as people read them, in the zone of the options.

use jiff::{Timestamp, tz::TimeZone};

/// Now and where.
#[derive(Clone)]
pub(crate) struct Clock {
    pub(crate) now: Timestamp,
    pub(crate) zone: TimeZone,
}

impl Clock {
    /// `14:02` today, `Mon 14:02` within a week, else `12 Nov`; empty for anything that is no time.
    pub(crate) fn short(&self, iso: &str) -> String {
        let Ok(at) = iso.parse::<Timestamp>() else {
            return String::new();
        };
        let then = at.to_zoned(self.zone.clone());
        let today = self.now.to_zoned(self.zone.clone());
        let age = self.now.as_second().saturating_sub(at.as_second());
        if then.date() == today.date() {
            then.strftime("%H:%M").to_string()
        } else if (0..6 * 86_400).contains(&age) {
            then.strftime("%a %H:%M").to_string()
        } else if then.year() == today.year() {
            then.strftime("%-d %b").to_string()
        } else {
            then.strftime("%-d %b %Y").to_string()
        }
    }
}

/// `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`; `None` below a tenth of a second, and when a time is missing or runs
/// backwards.
pub(crate) fn duration(from: Option<&str>, to: Option<&str>) -> Option<String> {
    let from: Timestamp = from?.parse().ok()?;
    let to: Timestamp = to?.parse().ok()?;
    let ms = to
        .as_millisecond()
        .checked_sub(from.as_millisecond())
        .filter(|ms| *ms >= 100)?;
    let seconds = ms / 1000;
    Some(match seconds {
        0..10 => format!("{}.{} s", seconds, (ms % 1000) / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_and_durations_readable() {
        let clock = Clock {
            now: "2026-03-04T15:00:00Z".parse().unwrap(),
            zone: TimeZone::UTC,
        };
        assert_eq!(clock.short("2026-03-04T09:05:00.000Z"), "09:05");
        assert_eq!(clock.short("2026-03-02T09:05:00Z"), "Mon 09:05");
        assert_eq!(clock.short("2026-01-02T09:05:00Z"), "2 Jan");
        assert_eq!(clock.short("2025-01-02T09:05:00Z"), "2 Jan 2025");
        assert_eq!(clock.short("<b>"), "");
        let span = |a, b| duration(Some(a), Some(b));
        assert_eq!(
            span("2026-03-04T09:00:00Z", "2026-03-04T09:00:00.450Z").as_deref(),
            Some("0.4 s")
        );
        assert_eq!(
            span("2026-03-04T09:00:00Z", "2026-03-04T09:03:20Z").as_deref(),
            Some("3 min 20 s")
        );
        assert_eq!(span("2026-03-04T09:00:01Z", "2026-03-04T09:00:00Z"), None);
    }
}
