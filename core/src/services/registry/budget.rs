//! Budgets that the registry keeps: one call takes one request, so that a limit holds for all data planes together.
//!
//! No two requests share a call. A malformed answer neither admits nor refuses a request.

use serde_json::{Value, json};

use super::client::Registry;
use super::record::MAX_BYTES;
use crate::base::{Digest, Moment};
use crate::limit::{RateLimit, Taken};
use crate::policy::Protocol;
use crate::services::fetch::{Fetch, FetchAnswer, FetchOutcome, LimitCharge, Subject};
use crate::services::resolution::Resolution;
use crate::syntax::json;

impl Registry {
    /// Returns the call that takes one request from a budget; `None` where the registry keeps no budgets or cannot be
    /// asked now.
    pub(crate) fn take(&self, token: Digest, limit: RateLimit, now: Moment) -> Option<Fetch> {
        let mut state = self.state.try_borrow_mut().ok()?;
        if self.policy.protocol != Protocol::Keyswap || !state.breaker.is_ready(now) {
            return None;
        }
        state.counted = state.counted.wrapping_add(1);
        let body = json!({
            "sha256": token.to_hex(),
            "requests": limit.requests(),
            "per": format!("{}s", limit.seconds()),
        });
        let body = body.to_string().into_bytes();
        let request = self.call("/v1/limits", self.policy.timeout).post("application/json", body.into());
        let key = self.key(Subject::Limit(LimitCharge { token, limit, number: state.counted }));
        Some(Fetch::new(key, request, state.as_of(now)))
    }

    /// Takes in the outcome of that call.
    pub(super) fn accept_taken(
        &self,
        charge: &LimitCharge,
        answer: &FetchAnswer<'_>,
        now: Moment,
    ) -> (FetchOutcome, Resolution) {
        let taken = match answer {
            FetchAnswer::Response { status: 200, body } => {
                read(body, charge.limit).ok_or(FetchOutcome::Malformed)
            }
            FetchAnswer::Response { status: 401 | 403 | 429 | 500.., .. } => Err(FetchOutcome::Unavailable),
            FetchAnswer::Response { .. } => Err(FetchOutcome::Malformed),
            FetchAnswer::Failed => Err(FetchOutcome::Failed),
        };
        let outcome = taken.as_ref().err().copied().unwrap_or(FetchOutcome::Found);
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.breaker.record(!outcome.is_outage(), now);
        }
        (outcome, taken.map_or(Resolution::Unavailable, Resolution::Taken))
    }
}

fn read(body: &[u8], limit: RateLimit) -> Option<Taken> {
    if body.len() > MAX_BYTES {
        return None;
    }
    let answer = json::parse(body).ok()?;
    let number = |name: &str| u32::try_from(answer.get(name)?.as_u64()?).ok();
    Some(Taken {
        allowed: answer.get("allowed").and_then(Value::as_bool)?,
        limit: number("limit")?,
        remaining: number("remaining")?,
        retry_after: number("retry_after")?,
        reset: number("reset")?,
        // An older registry leaves the period out. The asked one is right unless the token's limit was changed just
        // now.
        window: number("window").unwrap_or(limit.seconds()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Option<Taken> {
        read(body.as_bytes(), RateLimit::new(9, 60).unwrap())
    }

    #[test]
    fn an_answer_says_what_was_taken_and_anything_else_is_none() {
        let taken = Taken { allowed: false, limit: 5, remaining: 0, retry_after: 12, reset: 60, window: 60 };
        let body = r#"{"allowed":false,"limit":5,"remaining":0,"retry_after":12,"reset":60,"new":[1]}"#;
        assert_eq!(of(body), Some(taken));
        assert_eq!(of(&body.replace(r#""new":[1]"#, r#""window":7"#)), Some(Taken { window: 7, ..taken }));
        for bad in [
            String::new(),
            "{}".to_owned(),
            "<html>".to_owned(),
            body.replace("false", "null"),
            body.replace("false", "\"false\""),
            body.replace(r#""limit":5"#, r#""limit":-5"#),
            body.replace(r#""limit":5"#, r#""limit":5,"limit":6"#),
            body.replace(r#""reset":60"#, r#""reset":4294967296"#),
            body.replace("remaining", "left"),
            format!("{body}{}", " ".repeat(MAX_BYTES)),
        ] {
            assert_eq!(of(&bad), None, "{bad:.100}");
        }
    }
}
