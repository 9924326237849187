//! A difference between an outcome and the expected one.

use std::fmt;

use serde::Serialize;

/// Something that is not as the case expects.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The thing that differs.
    pub what: String,
    /// Its expected value; `None` where there must be none.
    pub expected: Option<String>,
    /// The value that was found.
    pub found: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show =
            |value: &Option<String>| value.as_ref().map_or("none".to_owned(), |text| format!("`{text}`"));
        write!(f, "{}: expected {}, found {}", self.what, show(&self.expected), show(&self.found))
    }
}
