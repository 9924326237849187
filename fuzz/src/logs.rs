//! Lines of an access log, replayed.

use std::rc::Rc;

use keyswap_core::base::UnixTime;
use keyswap_core::host::{Capabilities, Environment};
use keyswap_core::judge::{LoggedRequest, ReplayOutcome, ReplayPolicy};
use keyswap_core::policy::Policy;
use keyswap_core::services::Services;
use serde_json::json;

use super::driver::{Always, NOW, TOKEN, sha256};

struct Placeholders;

impl Environment for Placeholders {
    fn variable(&self, _: &str) -> Option<Vec<u8>> {
        Some(b"placeholder".to_vec())
    }
}

thread_local! {
    static POLICIES: [ReplayPolicy; 2] = [["openai", "gemini"], ["openai", "anthropic"]].map(policy);
}

fn policy(providers: [&str; 2]) -> ReplayPolicy {
    let document = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": sha256(TOKEN), "label": "l", "providers": providers, "models": ["gpt*", "claude*"]}],
        "credentials": {"openai": [{"env": "A"}], "gemini": [{"env": "B"}], "anthropic": [{"env": "C"}]},
    });
    let policy = Policy::from_json(document.to_string().as_bytes()).expect("this policy holds");
    let services = Services::new(Box::new(Always(false)), Capabilities::ENVOY);
    ReplayPolicy::new(policy, &Placeholders, &Rc::clone(&services)).expect("it compiles")
}

/// Replays a request whose members are the lines of the input. A policy decides like itself.
pub(super) fn log(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let principal = sha256(TOKEN);
    let logged = LoggedRequest {
        at: UnixTime(NOW.into()),
        method: next(),
        path: next(),
        provider: next(),
        reason: next(),
        model: next(),
        principal: if next() == "other" { "0000000000000000" } else { &principal[..16] },
        upgraded: next() == "upgraded",
        input: next().parse().ok(),
        output: next().parse().ok(),
        cost: None,
    };
    POLICIES.with(|[before, after]| {
        let _ = before.replay(&logged, after);
        if let ReplayOutcome::Judged { before, after, .. } = before.replay(&logged, before) {
            assert_eq!(before, after, "{logged:?}");
        }
    });
}
