//! The span of days that a page with usage shows.

use keyswap_core::base::UnixTime;
use maud::{Markup, html};
use serde::Deserialize;

use crate::registry::{Day, UsageQuery, now};

/// The spans that a page offers, in days.
const SPANS: [i64; 3] = [7, 30, 90];

/// The query parameters of a page with usage.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Span {
    days: Option<i64>,
}

impl Span {
    fn days(self) -> i64 {
        self.days.filter(|days| SPANS.contains(days)).unwrap_or(30)
    }

    /// Returns the question about the days of the span, today included.
    pub(super) fn query(self) -> UsageQuery {
        let today = Day::of(now()).0;
        let midnight = |day: i64| UnixTime(day.saturating_mul(86_400));
        UsageQuery::between(midnight(today - self.days() + 1), midnight(today + 1))
    }

    /// Returns the links to the other spans.
    pub(super) fn links(self, address: &str) -> Markup {
        html! {
            nav .spans aria-label="Span" {
                @for days in SPANS {
                    a href={ (address) "?days=" (days) } aria-current=[(days == self.days()).then_some("true")] {
                        (days) " days"
                    }
                }
            }
        }
    }
}
