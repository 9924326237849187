//! Points in time: whole seconds in documents, nanoseconds from the host's clock.
//!
//! Date-times are read as RFC 3339 has them. A date-time without an offset is refused, because it names no moment.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// Reads an RFC 3339 date-time with an offset; `None` for any other text. A fraction of a second is cut off, so
    /// that an expiry never comes later than it was written.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(|at| Self(at.unix_timestamp()))
    }
}

/// A reading of the host's clock: nanoseconds since 1970-01-01T00:00:00Z. The clock may be put back or forth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// Returns the second that the moment lies in.
    pub fn unix(self) -> UnixTime {
        UnixTime(i64::try_from(self.0 / 1_000_000_000).unwrap_or(i64::MAX))
    }

    /// Returns the nanoseconds as the algorithm of rate limits counts them.
    pub(crate) fn nanoseconds(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// Returns the moment that is later by `duration`, or the latest one there is.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }

    /// Returns the pause, shortened by up to an eighth. The low bits of the clock differ between workers, which keeps
    /// them from retrying at the same time.
    pub(crate) fn jittered(self, pause: Duration) -> Duration {
        let share = u32::try_from(self.0 / 1000 % 1000).unwrap_or_default();
        pause.saturating_sub(pause / 8 * share / 1000)
    }

    /// Returns whether `from` is not in the future and lies less than `span` back.
    ///
    /// A value that was written before the clock was put back lies in the future, so it counts as old.
    pub fn is_within(self, span: Duration, from: Self) -> bool {
        self.0.checked_sub(from.0).is_some_and(|age| age < nanoseconds(span))
    }
}

impl From<UnixTime> for Moment {
    fn from(time: UnixTime) -> Self {
        Self(u64::try_from(time.0).unwrap_or_default().saturating_mul(1_000_000_000))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Display for UnixTime {
    /// Writes RFC 3339 in UTC; the bare seconds for a year that RFC 3339 does not have.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match OffsetDateTime::from_unix_timestamp(self.0) {
            Ok(at) => write!(
                f,
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                at.year(),
                u8::from(at.month()),
                at.day(),
                at.hour(),
                at.minute(),
                at.second()
            ),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offsets_and_refuses_what_has_none() {
        for (text, expect) in [
            ("2027-06-30T00:00:00Z", Some(1_814_313_600)),
            ("2027-06-30T02:00:00+02:00", Some(1_814_313_600)),
            ("2027-06-30T00:00:00.999Z", Some(1_814_313_600)),
            ("2027-06-30T00:00:00", None),
            ("2027-06-30", None),
            ("2027-02-30T00:00:00Z", None),
            ("1814313600", None),
            ("", None),
            (" 2027-06-30T00:00:00Z", None),
        ] {
            assert_eq!(UnixTime::from_rfc3339(text), expect.map(UnixTime), "{text}");
        }
    }

    #[test]
    fn prints_what_it_reads() {
        assert_eq!(UnixTime(1_814_313_600).to_string(), "2027-06-30T00:00:00Z");
        assert_eq!(UnixTime(i64::MAX).to_string(), i64::MAX.to_string());
    }
}
