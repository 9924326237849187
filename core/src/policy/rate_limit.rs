//! The rate limit in a policy, and those of its tokens.

use super::duration;
use super::reader::Node;
use crate::limit::{LimitStore, RateLimit, Rule};

const EXPECTED: &str = "expected 1 to 1000000 requests in `1s` to `1d`, a whole number of seconds";

/// Reads the policy's rule: 100 requests in a minute unless it says otherwise.
#[inline(never)]
pub(super) fn read_rule(node: &Node<'_>) -> Option<Rule> {
    let mut fields = node.fields()?;
    let requests = fields.optional("requests").map_or(Some(100), |node| node.number());
    let per = fields.optional("per").map_or(duration::parse("60s"), |node| duration::duration(&node));
    let failure_mode_allow = fields.optional("failure_mode_allow").map_or(Some(false), |node| node.flag());
    let store = fields.optional("store").map_or(Some(LimitStore::Memory), |node| {
        node.choice(&[("memory", LimitStore::Memory), ("registry", LimitStore::Registry)])
    });
    fields.finish();
    let limit = node.check(RateLimit::per(requests?, per?), EXPECTED)?;
    Some(Rule { limit, failure_mode_allow: failure_mode_allow?, store: store? })
}

/// Reads the limit of a token or a person.
pub(super) fn read_limit(node: &Node<'_>) -> Option<RateLimit> {
    let mut fields = node.fields()?;
    let requests = fields.required("requests").and_then(|node| node.number());
    let per = fields.required("per").and_then(|node| duration::duration(&node));
    fields.finish();
    node.check(RateLimit::per(requests?, per?), EXPECTED)
}
