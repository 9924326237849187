//! The last check before the rewrite: one request is taken from the caller's budget.
//!
//! A budget at the registry makes the request wait for an answer, after which it is judged again from its head. The
//! outcome is among its fetch results by that time, so a request is counted once, whatever else it must fetch.

use super::grant::Unlocked;
use crate::base::Digest;
use crate::judge::progress::{Context, Exit};
use crate::limit::{self, Counted, LimitStore, Rule};
use crate::services::registry::Registry;

/// Counts a request within its limit. `store` says where budgets are kept; `registry` is asked where they are at the
/// registry.
pub(crate) fn count<'a>(
    unlocked: &Unlocked<'a, '_>,
    rule: Option<Rule>,
    store: LimitStore,
    registry: Option<&Registry>,
    context: &Context<'a, '_>,
) -> Result<Counted, Exit<'a>> {
    let Some(limit) = unlocked.limit(rule) else { return Ok(Counted::Unlimited) };
    let token = &unlocked.record().digest;
    if !context.decides(token) {
        // Count against a separate budget, so that comparison does not consume the real one.
        let separate = Digest::of(&[b"shadow\0", &token.bytes()[..]].concat());
        return Ok(limit::take(context.store, &separate, limit, context.now));
    }
    match (store, context.results.counted(), registry) {
        (LimitStore::Memory, ..) => Ok(limit::take(context.store, token, limit, context.now)),
        (LimitStore::Registry, Some(counted), _) => Ok(counted),
        (LimitStore::Registry, None, None) => Ok(Counted::Unknown),
        (LimitStore::Registry, None, Some(registry)) => match registry.take(*token, limit, context.now) {
            Some(fetch) => Err(Exit::Fetch(Box::new(fetch))),
            None => Ok(Counted::Unknown),
        },
    }
}
