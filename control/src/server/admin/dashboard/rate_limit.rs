//! The form fields of a rate limit.

use maud::{Markup, html};

use crate::registry::RateLimit;

/// Returns the values of the two fields for a limit.
pub(super) fn texts(limit: Option<RateLimit>) -> (String, String) {
    let texts = limit.map(|limit| (limit.requests().to_string(), format!("{}s", limit.seconds())));
    texts.unwrap_or_default()
}

/// Returns the two fields, filled with the present values.
pub(super) fn inputs((requests, per): (&str, &str)) -> Markup {
    html! {
        label { "Requests" span .hint { "maximum; empty: the policy's limit" }
            input name="rate_requests" inputmode="numeric" autocomplete="off" value=(requests); }
        label { "Period" span .hint { "such as 60s, 10m, 1h" }
            input name="rate_per" autocomplete="off" value=(per); }
    }
}
