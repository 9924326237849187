//! Times in pages and forms: in UTC, with a precision of one minute.

use keyswap_core::base::UnixTime;
use maud::{Markup, html};

/// Returns a time as `2026-11-22 20:30`, with the exact time in `datetime`.
pub(super) fn shown(at: UnixTime) -> Markup {
    let exact = at.to_string();
    let text = exact.get(..16).unwrap_or(&exact).replace('T', " ");
    html! { time datetime=(exact) title=(exact) { (text) } }
}

/// Returns a time as the value of a `datetime-local` input.
pub(super) fn input(at: UnixTime) -> String {
    at.to_string().chars().take(16).collect()
}

/// Adds the offset `Z` to the value of a `datetime-local` input. Any other text is returned unchanged.
pub(super) fn typed(text: &str) -> String {
    let text = text.trim();
    match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}
