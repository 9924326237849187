//! Numbers of releases.

use std::fmt;
use std::str::FromStr;

/// A release: major, minor and patch version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release(pub(super) u32, pub(super) u32, pub(super) u32);

impl FromStr for Release {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a release such as `{}`", env!("CARGO_PKG_VERSION"));
        let mut numbers = text.strip_prefix('v').unwrap_or(text).splitn(3, '.').map(|part| {
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| part.parse().ok()).flatten()
        });
        let mut next = || numbers.next().flatten().ok_or_else(expected);
        Ok(Self(next()?, next()?, next()?))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        write!(formatter, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_in_order() {
        let read = |text: &str| text.parse::<Release>();
        assert_eq!(read("0.2.0"), Ok(Release(0, 2, 0)));
        assert_eq!(read("v1.10.3"), Ok(Release(1, 10, 3)));
        assert!(read("0.10.0") > read("0.9.9"));
        for text in ["", "1", "1.2", "1.2.3.4", "1.2.x", "1.-2.3", "1.2.+3", "99999999999.0.0"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
