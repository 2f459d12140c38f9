//! When a schedule comes round next (04 §2.5, 07 §9.2): a pure function of schedule and clock.
//!
//! The wall time of a day is turned into an instant by two passes over the zone's offset, as the contract says:
//! the offset at the wall time read as UTC, then the offset at the instant that this gives; if they differ, the
//! second counts. So a wall time that the clocks skip moves by the length of the gap, and one that happens
//! twice happens once.

use crate::time::{Timestamp, iso, parse_iso};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};
use open_cowork_contracts::api::workflows::{Schedule, ScheduleKind, Trigger, TriggerKind};

/// Hour of a run when the schedule names none.
pub const DEFAULT_HOUR: u8 = 9;

/// The first time strictly after `after`; `None` when there is none, or the time zone is unknown.
pub fn next_run(schedule: &Schedule, after: Timestamp) -> Option<Timestamp> {
    let start = schedule.start_at.as_deref().and_then(parse_iso);
    if schedule.kind == ScheduleKind::OneTime {
        return start.filter(|start| *start > after);
    }
    let base = match start {
        // An occurrence exactly at the start counts.
        Some(start) if start > after => start.checked_sub(SignedDuration::from_millis(1)).ok()?,
        _ => after,
    };
    let zone = TimeZone::get(&schedule.timezone).ok()?;
    let today = zone.to_datetime(base).date();
    // Yesterday's wall time may still lie ahead where the clocks moved.
    let first = today.yesterday().unwrap_or(today);
    match schedule.kind {
        ScheduleKind::OneTime => None,
        ScheduleKind::Daily => earliest(
            schedule,
            &zone,
            base,
            (0..4).filter_map(|days| days_after(first, days)),
        ),
        ScheduleKind::Weekly => {
            let weekday = schedule.day_of_week.unwrap_or(1);
            let on_weekday = |date: &Date| date.weekday().to_sunday_zero_offset() == weekday as i8;
            let days = (0..16)
                .filter_map(|days| days_after(first, days))
                .filter(on_weekday);
            earliest(schedule, &zone, base, days)
        }
        ScheduleKind::Monthly => {
            let day = schedule.day_of_month.unwrap_or(1);
            let months = (0..4).filter_map(|months| {
                let month = first
                    .first_of_month()
                    .checked_add(i64::from(months).months())
                    .ok()?;
                let day = (day as i8).clamp(1, month.days_in_month());
                Date::new(month.year(), month.month(), day).ok()
            });
            earliest(schedule, &zone, base, months)
        }
    }
}

/// The minimum over the enabled schedule triggers (04 §2.5).
pub fn next_of(triggers: &[Trigger], after: Timestamp) -> Option<Timestamp> {
    let schedules = triggers.iter().filter_map(Trigger::active_schedule);
    schedules
        .filter_map(|schedule| next_run(schedule, after))
        .min()
}

/// The same as records have it.
pub fn next_of_iso(triggers: &[Trigger], after: Timestamp) -> Option<String> {
    next_of(triggers, after).map(iso)
}

/// True for the name of a time zone.
pub fn is_zone(name: &str) -> bool {
    name.len() <= 128 && TimeZone::get(name).is_ok()
}

/// True when a trigger of that kind is there and enabled.
pub fn has_enabled(triggers: &[Trigger], kind: TriggerKind) -> bool {
    triggers
        .iter()
        .any(|trigger| trigger.kind == kind && trigger.enabled)
}

fn days_after(first: Date, days: i32) -> Option<Date> {
    first.checked_add(i64::from(days).days()).ok()
}

fn earliest(
    schedule: &Schedule,
    zone: &TimeZone,
    base: Timestamp,
    dates: impl Iterator<Item = Date>,
) -> Option<Timestamp> {
    let hour = schedule.run_at_hour.unwrap_or(DEFAULT_HOUR).min(23) as i8;
    let minute = schedule.run_at_minute.unwrap_or(0).min(59) as i8;
    dates
        .filter_map(|date| instant(zone, date.at(hour, minute, 0, 0)))
        .find(|at| *at > base)
}

/// The instant of a wall time, by two passes.
fn instant(zone: &TimeZone, wall: DateTime) -> Option<Timestamp> {
    let guess = TimeZone::UTC.to_timestamp(wall).ok()?;
    let minus = |at: Timestamp| {
        let offset = SignedDuration::from_secs(zone.to_offset(at).seconds().into());
        guess.checked_sub(offset).ok()
    };
    // When both offsets are equal the second pass gives the same instant again.
    minus(minus(guess)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        parse_iso(text).unwrap()
    }

    fn schedule(kind: ScheduleKind, timezone: &str) -> Schedule {
        Schedule {
            kind,
            timezone: timezone.to_owned(),
            run_at_hour: None,
            run_at_minute: None,
            day_of_week: None,
            day_of_month: None,
            start_at: None,
        }
    }

    fn next(schedule: &Schedule, after: &str) -> String {
        next_run(schedule, at(after)).map_or("never".to_owned(), iso)
    }

    #[test]
    fn daily_is_nine_by_default_and_strictly_later() {
        let daily = schedule(ScheduleKind::Daily, "Europe/Berlin");
        assert_eq!(
            next(&daily, "2026-01-10T07:59:59.999Z"),
            "2026-01-10T08:00:00.000Z"
        );
        assert_eq!(
            next(&daily, "2026-01-10T08:00:00.000Z"),
            "2026-01-11T08:00:00.000Z"
        );
    }

    #[test]
    fn a_weekday_counts_from_sunday() {
        let mut weekly = schedule(ScheduleKind::Weekly, "UTC");
        weekly.day_of_week = Some(0);
        // 2026-01-11 is a Sunday.
        assert_eq!(
            next(&weekly, "2026-01-10T12:00:00Z"),
            "2026-01-11T09:00:00.000Z"
        );
        assert_eq!(
            next(&weekly, "2026-01-11T09:00:00Z"),
            "2026-01-18T09:00:00.000Z"
        );
        weekly.day_of_week = None;
        assert_eq!(
            next(&weekly, "2026-01-10T12:00:00Z"),
            "2026-01-12T09:00:00.000Z"
        );
    }

    #[test]
    fn a_month_is_clamped_to_its_last_day_each_time() {
        let mut monthly = schedule(ScheduleKind::Monthly, "UTC");
        monthly.day_of_month = Some(31);
        assert_eq!(
            next(&monthly, "2028-01-31T09:00:00Z"),
            "2028-02-29T09:00:00.000Z"
        );
        assert_eq!(
            next(&monthly, "2028-02-29T09:00:00Z"),
            "2028-03-31T09:00:00.000Z"
        );
        assert_eq!(
            next(&monthly, "2028-03-31T09:00:00Z"),
            "2028-04-30T09:00:00.000Z"
        );
    }

    #[test]
    fn one_time_only_comes_in_the_future() {
        let mut once = schedule(ScheduleKind::OneTime, "UTC");
        once.start_at = Some("2026-05-01T10:00:00.000Z".to_owned());
        assert_eq!(
            next(&once, "2026-05-01T09:59:59Z"),
            "2026-05-01T10:00:00.000Z"
        );
        assert_eq!(next(&once, "2026-05-01T10:00:00Z"), "never");
    }

    #[test]
    fn an_occurrence_exactly_at_the_start_counts() {
        let mut daily = schedule(ScheduleKind::Daily, "UTC");
        daily.start_at = Some("2026-05-03T09:00:00.000Z".to_owned());
        assert_eq!(
            next(&daily, "2026-05-01T00:00:00Z"),
            "2026-05-03T09:00:00.000Z"
        );
        daily.start_at = Some("2026-05-03T09:00:00.001Z".to_owned());
        assert_eq!(
            next(&daily, "2026-05-01T00:00:00Z"),
            "2026-05-04T09:00:00.000Z"
        );
    }

    #[test]
    fn a_wall_time_in_a_gap_moves_by_the_gap() {
        let mut daily = schedule(ScheduleKind::Daily, "Europe/Berlin");
        (daily.run_at_hour, daily.run_at_minute) = (Some(2), Some(30));
        // 02:30 doesn't exist on 2026-03-29.
        assert_eq!(
            next(&daily, "2026-03-28T12:00:00Z"),
            "2026-03-29T01:30:00.000Z"
        );
        assert_eq!(
            next(&daily, "2026-03-29T01:30:00Z"),
            "2026-03-30T00:30:00.000Z"
        );
    }

    #[test]
    fn a_wall_time_that_happens_twice_is_one_run() {
        let mut daily = schedule(ScheduleKind::Daily, "Europe/Berlin");
        (daily.run_at_hour, daily.run_at_minute) = (Some(2), Some(30));
        assert_eq!(
            next(&daily, "2026-10-24T12:00:00Z"),
            "2026-10-25T01:30:00.000Z"
        );
        assert_eq!(
            next(&daily, "2026-10-25T01:30:00Z"),
            "2026-10-26T01:30:00.000Z"
        );
    }

    #[test]
    fn an_unknown_zone_never_comes() {
        let daily = schedule(ScheduleKind::Daily, "Mars/Olympus");
        assert_eq!(next_run(&daily, at("2026-01-01T00:00:00Z")), None);
    }

    #[test]
    fn the_earliest_enabled_trigger_wins() {
        let trigger = |hour: u8, enabled: bool| {
            let mut daily = schedule(ScheduleKind::Daily, "UTC");
            daily.run_at_hour = Some(hour);
            Trigger {
                id: hour.to_string(),
                kind: TriggerKind::Schedule,
                enabled,
                schedule: Some(Some(daily)),
            }
        };
        let triggers = [trigger(7, true), trigger(5, true), trigger(3, false)];
        let next = next_of_iso(&triggers, at("2026-01-01T00:00:00Z"));
        assert_eq!(next.as_deref(), Some("2026-01-01T05:00:00.000Z"));
        assert_eq!(next_of(&[], at("2026-01-01T00:00:00Z")), None);
    }

    /// Every day of fifty, by the two passes written out: the first instant after the base.
    fn brute_force(schedule: &Schedule, base: Timestamp) -> Option<Timestamp> {
        let zone = TimeZone::get(&schedule.timezone).unwrap();
        let start = zone.to_datetime(base).date().checked_sub(3.days()).unwrap();
        (0..80)
            .map(|days| start.checked_add(i64::from(days).days()).unwrap())
            .filter(|date| match schedule.kind {
                ScheduleKind::Weekly => {
                    date.weekday().to_sunday_zero_offset() == schedule.day_of_week.unwrap() as i8
                }
                ScheduleKind::Monthly => {
                    let wanted = schedule.day_of_month.unwrap() as i8;
                    date.day() == wanted.min(date.days_in_month())
                }
                _ => true,
            })
            .filter_map(|date| {
                let wall = date.at(
                    schedule.run_at_hour.unwrap() as i8,
                    schedule.run_at_minute.unwrap() as i8,
                    0,
                    0,
                );
                let guess = TimeZone::UTC.to_timestamp(wall).unwrap();
                let seconds = |at| i64::from(zone.to_offset(at).seconds());
                let first = seconds(guess);
                let candidate = guess.as_second() - first;
                let second = seconds(Timestamp::from_second(candidate).unwrap());
                let chosen = if first == second { first } else { second };
                Timestamp::from_second(guess.as_second() - chosen).ok()
            })
            .filter(|found| *found > base)
            .min()
    }

    proptest! {
        #[test]
        fn it_is_what_trying_every_day_finds(
            kind in prop::sample::select(vec![ScheduleKind::Daily, ScheduleKind::Weekly, ScheduleKind::Monthly]),
            zone in prop::sample::select(vec![
                "UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kathmandu",
                "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca",
            ]),
            (hour, minute) in (0u8..24, 0u8..60),
            (weekday, day) in (0u8..7, 1u8..32),
            second in 1_600_000_000i64..1_900_000_000,
        ) {
            let schedule = Schedule {
                kind,
                timezone: zone.to_owned(),
                run_at_hour: Some(hour),
                run_at_minute: Some(minute),
                day_of_week: Some(weekday),
                day_of_month: Some(day),
                start_at: None,
            };
            let base = Timestamp::from_second(second).unwrap();
            prop_assert_eq!(next_run(&schedule, base), brute_force(&schedule, base));
        }
    }
}
