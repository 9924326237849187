//! The rate limit in a policy, and those of its tokens.

use std::time::Duration;

use super::duration;
use super::reader::{Fields, Node};
use crate::limit::{CallerLimit, LimitStore, Rule, TokenLimit};

const EXPECTED: &str = "expected 1 to 1000000 requests in `1s` to `1d`, a whole number of seconds";
const TOKENS_EXPECTED: &str = "expected 1 to 1000000000 tokens";

/// Reads the policy's rule: 100 requests in a minute unless it says otherwise.
#[inline(never)]
pub(super) fn read_rule(node: &Node<'_>) -> Option<Rule> {
    let mut fields = node.fields()?;
    let requests = fields.optional("requests").map(|node| node.number());
    let tokens = read_tokens(&mut fields);
    let per = fields.optional("per").map_or(duration::parse("60s"), |node| duration::duration(&node));
    let failure_mode_allow = fields.optional("failure_mode_allow").map_or(Some(false), |node| node.flag());
    let store = fields.optional("store").map_or(Some(LimitStore::Memory), |node| {
        node.choice(&[("memory", LimitStore::Memory), ("registry", LimitStore::Registry)])
    });
    fields.finish();
    let requests = if requests.is_none() && tokens.is_none() { Some(Some(100)) } else { requests };
    let limit = limit_of(node, requests, tokens, per)?;
    Some(Rule { limit, failure_mode_allow: failure_mode_allow?, store: store? })
}

/// Reads the limit of a token or a person.
pub(super) fn read_limit(node: &Node<'_>) -> Option<CallerLimit> {
    let mut fields = node.fields()?;
    let tokens = read_tokens(&mut fields);
    let requests = match tokens {
        Some(_) => fields.optional("requests").map(|node| node.number()),
        None => Some(fields.required("requests").and_then(|node| node.number())),
    };
    let per = fields.required("per").and_then(|node| duration::duration(&node));
    fields.finish();
    limit_of(node, requests, tokens, per)
}

/// Reads the number of tokens. The outer `None` is a limit without it, the inner one an error that was noted.
#[allow(clippy::option_option, reason = "three states, as of every optional field")]
fn read_tokens(fields: &mut Fields<'_>) -> Option<Option<u64>> {
    fields.optional("tokens").map(|node| {
        let number = node.number()?;
        let fits = u32::try_from(number).is_ok_and(|number| TokenLimit::new(number, 1).is_some());
        node.check(fits.then_some(number), TOKENS_EXPECTED)
    })
}

#[allow(clippy::option_option, reason = "three states, as of every optional field")]
fn limit_of(
    node: &Node<'_>,
    requests: Option<Option<u64>>,
    tokens: Option<Option<u64>>,
    per: Option<Duration>,
) -> Option<CallerLimit> {
    let given = |number: Option<Option<u64>>| number.map_or(Some(None), |number| number.map(Some));
    node.check(CallerLimit::per(given(requests)?, given(tokens)?, per?), EXPECTED)
}
