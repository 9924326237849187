//! One request from the caller's budget, taken once nothing else is left to wait for.
//!
//! Where the registry keeps budgets the request waits for its answer, and is judged again from its head then. What was
//! taken is known by that time, so it is taken once, whatever else must be asked for in between.

use super::trail::{Inputs, Stop};
use super::{Engine, Role};
use crate::grant::Unlocked;
use crate::limit::{self, Counted, Keeper};
use crate::token::TokenDigest;

impl Engine {
    pub(super) fn count<'a>(
        &'a self,
        unlocked: &Unlocked<'a>,
        inputs: &Inputs<'a, '_>,
    ) -> Result<Counted, Stop<'a>> {
        let Some(limit) = unlocked.limit(self.policy.rate_limit) else { return Ok(Counted::Unlimited) };
        let token = &unlocked.record().digest;
        if (inputs.role)(token) == Role::Shadows {
            // As if it were counted: in a budget beside the real one, that nobody lives on.
            let beside = TokenDigest::of(&[b"shadow\0", &token.bytes()[..]].concat());
            return Ok(limit::take(inputs.store, &beside, limit, inputs.now));
        }
        match (self.keeper, inputs.known.counted(), &self.registry) {
            (Keeper::Memory, ..) => Ok(limit::take(inputs.store, token, limit, inputs.now)),
            (Keeper::Registry, Some(counted), _) => Ok(counted),
            (Keeper::Registry, None, None) => Ok(Counted::Unknown),
            (Keeper::Registry, None, Some(registry)) => match registry.take(*token, limit, inputs.now) {
                Some(fetch) => Err(Stop::Fetch(Box::new(fetch))),
                None => Ok(Counted::Unknown),
            },
        }
    }
}
