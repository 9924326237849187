//! The form fields of a rate limit.

use maud::{Markup, html};

use crate::registry::RateLimit;

/// The names of the fields.
pub(super) const NAMES: [&str; 3] = ["rate_requests", "rate_tokens", "rate_per"];

/// Returns the values of the fields for a limit.
pub(super) fn texts(limit: Option<RateLimit>) -> [String; 3] {
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let texts = limit
        .map(|limit| [number(limit.requests()), number(limit.tokens()), format!("{}s", limit.seconds())]);
    texts.unwrap_or_default()
}

/// Returns the fields, filled with the present values.
pub(super) fn inputs([requests, tokens, per]: [&str; 3]) -> Markup {
    html! {
        label { "Requests" span .hint { "maximum; empty: the policy's limit" }
            input name="rate_requests" inputmode="numeric" autocomplete="off" value=(requests); }
        label { "Tokens" span .hint { "maximum of input and output; empty: the policy's limit" }
            input name="rate_tokens" inputmode="numeric" autocomplete="off" value=(tokens); }
        label { "Period" span .hint { "such as 60s, 10m, 1h" }
            input name="rate_per" autocomplete="off" value=(per); }
    }
}
