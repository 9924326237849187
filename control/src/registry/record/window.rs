//! Calendar windows: the hour, day, week or month in which a budget counts, in a time zone.
//!
//! The windows of a zone follow each other without a gap and do not overlap. A day begins at its first moment, also where
//! the clock skips midnight or shows midnight twice. Weeks begin on Monday. The time zone database is part of the program,
//! so that all replicas agree.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use keyswap_core::base::UnixTime;
use serde::{Deserialize, Serialize};

use super::error::RegistryError;

/// The length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// From minute 0 to minute 0.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first of a month to the first of the next.
    Month,
}

impl Per {
    /// All lengths, from the shortest.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// Returns `hour`, `day`, `week` or `month`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Returns the length with this name, `None` for other texts.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|per| per.name() == name)
    }
}

/// A time zone of the IANA database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Parses the name of a zone, such as `Europe/Berlin`, ignoring case.
    pub fn parse(name: &str) -> Result<Self, RegistryError> {
        TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some()).map(Self).ok_or_else(|| {
            RegistryError::Invalid {
                field: "timezone",
                expected: "expected a name of the IANA database, such as `Europe/Berlin` or `UTC`".to_owned(),
            }
        })
    }

    /// Returns the name of the zone.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A span of time: from `starts_at`, and before `ends_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first second.
    pub starts_at: UnixTime,
    /// The first second after the window.
    pub ends_at: UnixTime,
}

impl Window {
    /// Returns the window that a moment lies in.
    pub fn of(at: UnixTime, per: Per, zone: &Zone) -> Self {
        // The calendar ends in the year 9999.
        let at = Timestamp::from_second(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
        match per {
            Per::Hour => hour(at, &zone.0),
            Per::Day | Per::Week | Per::Month => days(at, per, &zone.0),
        }
    }

    /// Returns true if the moment lies in the window.
    pub fn contains(self, at: UnixTime) -> bool {
        self.starts_at <= at && at < self.ends_at
    }
}

/// Returns the hour. Where the clock is set by a part of an hour, the hour ends there, and a new one begins.
fn hour(at: Timestamp, zone: &TimeZone) -> Window {
    let offset = i64::from(zone.to_offset(at).seconds());
    let second = at.as_second();
    let start = second - (second + offset).rem_euclid(3600);
    let end = start + 3600;
    let next = zone.following(at).next().map_or(end, |next| next.timestamp().as_second());
    // Transitions before the next second, so that a transition at this moment counts.
    let after = at.checked_add(1.second()).unwrap_or(at);
    let last = zone.preceding(after).next().map_or(start, |last| last.timestamp().as_second());
    Window { starts_at: UnixTime(start.max(last)), ends_at: UnixTime(end.min(next)) }
}

fn days(at: Timestamp, per: Per, zone: &TimeZone) -> Window {
    let mut first = first_day(zone.to_datetime(at).date(), per);
    let mut next = next_first_day(first, per);
    // Where midnight comes twice, the clock shows the old day again after the new one has begun.
    if begin(next, zone) <= at {
        (first, next) = (next, next_first_day(next, per));
    }
    let second = |day| UnixTime(begin(day, zone).as_second());
    Window { starts_at: second(first), ends_at: second(next) }
}

fn first_day(day: Date, per: Per) -> Date {
    match per {
        Per::Week => {
            let since_monday = i64::from(day.weekday().to_monday_zero_offset());
            day.checked_sub(since_monday.days()).unwrap_or(day)
        }
        Per::Month => day.first_of_month(),
        Per::Hour | Per::Day => day,
    }
}

fn next_first_day(first: Date, per: Per) -> Date {
    let length = match per {
        Per::Week => 1.week(),
        Per::Month => 1.month(),
        Per::Hour | Per::Day => 1.day(),
    };
    first.checked_add(length).unwrap_or(Date::MAX)
}

/// Returns the first moment of a day: midnight, the earlier one of two, or the end of the gap that has midnight in it.
fn begin(day: Date, zone: &TimeZone) -> Timestamp {
    zone.to_zoned_datetime(day.at(0, 0, 0, 0))
        .and_then(|midnight| midnight.start_of_day())
        .map_or(Timestamp::MAX, |start| start.timestamp())
}
