//! Points in time, in whole seconds.
//!
//! Reads RFC 3339 date-times; one without an offset is refused, since nobody can say when it is.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// Reads an RFC 3339 date-time with an offset. A fraction of a second is cut off, so that an expiry never
    /// comes later than it was written. `None` if it is anything else.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(|at| Self(at.unix_timestamp()))
    }
}

impl fmt::Display for UnixTime {
    /// As RFC 3339 in UTC; as a bare number where that form has no year for it.
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
