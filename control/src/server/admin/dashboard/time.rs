//! Times as people read and type them: in UTC, and to the minute.

use keyswap_core::base::UnixTime;
use maud::{Markup, html};

/// Shows a time as `2026-11-22 20:30`, with the exact time for programs.
pub(super) fn shown(at: UnixTime) -> Markup {
    let exact = at.to_string();
    let text = exact.get(..16).unwrap_or(&exact).replace('T', " ");
    html! { time datetime=(exact) title=(exact) { (text) } }
}

/// Returns the value of an input for a date and a time.
pub(super) fn input(at: UnixTime) -> String {
    at.to_string().chars().take(16).collect()
}

/// Returns the time that such an input sends, which has no offset and is in UTC; any other text stays as it is.
pub(super) fn typed(text: &str) -> String {
    let text = text.trim();
    match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}
