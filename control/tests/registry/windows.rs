//! Calendar windows: daylight saving, leap days, ends of months, and a naive reference that walks through time.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use keyswap::registry::{Per, Window, Zone};
use keyswap_core::base::UnixTime;
use proptest::prelude::*;

/// Zones with half hours, with quarters of an hour, with days that have no midnight, two midnights or do not exist.
const ZONES: [&str; 16] = [
    "UTC",
    "Europe/Berlin",
    "Europe/Lisbon",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "America/Asuncion",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Beirut",
    "Asia/Tehran",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
];

fn time(text: &str) -> UnixTime {
    UnixTime::from_rfc3339(text).unwrap()
}

fn window(at: i64, per: Per, zone: &str) -> (i64, i64) {
    let window = Window::of(UnixTime(at), per, &Zone::parse(zone).unwrap());
    assert!(window.contains(UnixTime(at)), "{at} {per:?} {zone}: {window:?}");
    (window.starts_at.0, window.ends_at.0)
}

#[test]
fn windows_follow_the_calendar_of_their_zone() {
    for (at, per, zone, starts, ends) in [
        ("2026-11-29T10:15:00Z", Per::Hour, "UTC", "2026-11-29T10:00:00Z", "2026-11-29T11:00:00Z"),
        ("2026-11-29T10:15:00Z", Per::Hour, "Asia/Kolkata", "2026-11-29T09:30:00Z", "2026-11-29T10:30:00Z"),
        ("2026-11-29T10:15:00Z", Per::Day, "UTC", "2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"),
        ("2026-11-29T10:15:00Z", Per::Week, "UTC", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
        ("2026-11-29T10:15:00Z", Per::Month, "UTC", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("2026-03-29T12:00:00Z", Per::Day, "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("2026-10-25T12:00:00Z", Per::Day, "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("2026-03-31T21:59:59Z", Per::Month, "Europe/Berlin", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"),
        ("2026-03-31T22:00:00Z", Per::Month, "europe/berlin", "2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z"),
        (
            "2028-02-29T12:00:00Z",
            Per::Month,
            "America/New_York",
            "2028-02-01T05:00:00Z",
            "2028-03-01T05:00:00Z",
        ),
        ("2027-02-28T23:00:00Z", Per::Month, "Asia/Kolkata", "2027-02-28T18:30:00Z", "2027-03-31T18:30:00Z"),
        (
            "2026-01-01T03:00:00Z",
            Per::Week,
            "America/Los_Angeles",
            "2025-12-29T08:00:00Z",
            "2026-01-05T08:00:00Z",
        ),
        ("2011-12-30T09:59:59Z", Per::Day, "Pacific/Apia", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
        ("2011-12-30T10:00:00Z", Per::Day, "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
        (
            "2018-11-04T12:00:00Z",
            Per::Day,
            "America/Sao_Paulo",
            "2018-11-04T03:00:00Z",
            "2018-11-05T02:00:00Z",
        ),
        ("2024-11-03T05:30:00Z", Per::Day, "America/Havana", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"),
        // The clock went from 00:01 back to 23:01. The new day had begun.
        (
            "2010-11-07T02:45:00Z",
            Per::Day,
            "America/St_Johns",
            "2010-11-07T02:30:00Z",
            "2010-11-08T03:30:00Z",
        ),
        (
            "2026-12-31T18:30:00Z",
            Per::Month,
            "Asia/Kathmandu",
            "2026-12-31T18:15:00Z",
            "2027-01-31T18:15:00Z",
        ),
    ] {
        let expect = (time(starts).0, time(ends).0);
        assert_eq!(window(time(at).0, per, zone), expect, "{at} {per:?} {zone}");
    }
}

#[test]
fn only_names_of_the_database_are_zones() {
    for name in
        ["", "Berlin", "Europe/Berlin ", "+01:00", "EST5EDT,M3.2.0,M11.1.0", "../../etc/passwd", "local"]
    {
        assert!(Zone::parse(name).is_err(), "{name}");
    }
    assert_eq!(Zone::parse("EUROPE/BERLIN").unwrap().name(), "Europe/Berlin");
    assert_eq!(Zone::default().name(), "UTC");
}

/// Returns the day in the zone that a window of this length has begun with: a number that grows with time, but for a clock
/// that is set back.
fn period(at: i64, per: Per, zone: &TimeZone) -> i64 {
    let date = zone.to_datetime(Timestamp::from_second(at).unwrap()).date();
    let days = i64::from(date.year()) * 400 + i64::from(date.day_of_year());
    match per {
        Per::Month => i64::from(date.year()) * 12 + i64::from(date.month()),
        // A Monday is the first day with its number.
        Per::Week => {
            let since_monday = i32::from(date.weekday().to_monday_zero_offset());
            let monday = date.checked_sub(jiff::Span::new().days(since_monday)).unwrap();
            i64::from(monday.year()) * 400 + i64::from(monday.day_of_year())
        }
        Per::Hour | Per::Day => days,
    }
}

/// Walks through time in steps of a quarter of an hour: a window begins when the calendar shows a greater period than ever.
fn by_walking(at: i64, per: Per, zone: &TimeZone) -> (i64, i64) {
    let step = 900;
    let reach = match per {
        Per::Month => 33,
        Per::Week => 9,
        Per::Hour | Per::Day => 3,
    } * 86_400;
    let mut now = (at - reach).div_euclid(step) * step;
    let (mut greatest, mut begun) = (period(now, per, zone), now);
    loop {
        now += step;
        if period(now, per, zone) > greatest {
            if now > at {
                return (begun, now);
            }
            (greatest, begun) = (period(now, per, zone), now);
        }
    }
}

/// Walks minute by minute: an hour begins with its minute 0, or where the clock is set.
fn hour_by_walking(at: i64, zone: &TimeZone) -> (i64, i64) {
    let offset = |at: i64| zone.to_offset(Timestamp::from_second(at).unwrap()).seconds();
    let is_begin = |at: i64| {
        let local = at + i64::from(offset(at));
        local.rem_euclid(3600) == 0 || offset(at) != offset(at - 1)
    };
    let minute = at.div_euclid(60) * 60;
    let begin = (0..=120).map(|back| minute - back * 60).find(|at| is_begin(*at)).unwrap();
    let end = (1..=120).map(|more| minute + more * 60).find(|at| is_begin(*at)).unwrap();
    (begin, end)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// From 1990 to 2060.
    #[test]
    fn windows_tile_time_and_are_those_of_a_naive_walk(
        at in 631_152_000_i64..2_840_140_800,
        zone in proptest::sample::select(&ZONES),
        per in proptest::sample::select(&Per::ALL),
    ) {
        let (begin, end) = window(at, per, zone);
        prop_assert_eq!(window(begin, per, zone), (begin, end));
        prop_assert_eq!(window(end - 1, per, zone), (begin, end));
        prop_assert_eq!(window(end, per, zone).0, end);
        let tz = TimeZone::get(zone).unwrap();
        let naive = if per == Per::Hour { hour_by_walking(at, &tz) } else { by_walking(at, per, &tz) };
        prop_assert_eq!((begin, end), naive, "{} {:?} {}", at, per, zone);
    }

    /// Around the changes of the clock, where errors would be.
    #[test]
    fn windows_hold_around_changes_of_the_clock(
        from in 631_152_000_i64..2_000_000_000,
        beside in -90_000_i64..90_000,
        zone in proptest::sample::select(&ZONES[1..]),
        per in proptest::sample::select(&Per::ALL),
    ) {
        let tz = TimeZone::get(zone).unwrap();
        let Some(next) = tz.following(Timestamp::from_second(from).unwrap()).next() else { return Ok(()) };
        let at = next.timestamp().as_second() + beside;
        let (begin, end) = window(at, per, zone);
        prop_assert_eq!(window(begin, per, zone), (begin, end));
        prop_assert_eq!(window(end, per, zone).0, end);
        let naive = if per == Per::Hour { hour_by_walking(at, &tz) } else { by_walking(at, per, &tz) };
        prop_assert_eq!((begin, end), naive, "{} {:?} {}", at, per, zone);
    }
}
