//! The check of the objects that the head of a request names.

use super::admit::Scoped;
use super::engine::Engine;
use super::progress::{Context, Exit};
use crate::answer::CheckError;
use crate::base::{Digest, Moment};
use crate::services::registry::Owned;
use crate::services::{MAX_RETRIES, Resolution};

impl Engine {
    /// Returns whether the policy has a registry that keeps objects.
    pub(super) fn keeps_objects(&self) -> bool {
        self.authenticator.registry().is_some_and(|registry| registry.keeps_objects())
    }

    /// Checks that every object that the head names is the caller's.
    pub(super) fn check_objects<'a>(
        &self,
        scoped: &Scoped<'a>,
        context: &Context<'a, '_>,
    ) -> Result<(), Exit<'a>> {
        let rule = scoped.body().and_then(|body| body.objects.as_ref());
        let Some((rule, registry)) = rule.zip(self.authenticator.registry()) else { return Ok(()) };
        let mut lookups = context.results.of_objects();
        let asked = match lookups.next() {
            None => None,
            // What it told may have been forgotten while the request waited for something else.
            Some((call, Resolution::Refreshed))
                if registry.is_outdated(call) && lookups.count() < MAX_RETRIES =>
            {
                None
            }
            Some((_, Resolution::Refreshed)) => Some(Moment::default()),
            Some(_) => return Err(CheckError::ObjectsUnavailable.into()),
        };
        let mut unasked: Vec<Digest> = Vec::new();
        for digest in &rule.named {
            match registry.owns(&rule.caller, digest, asked, context.now, context.store) {
                Owned::Own => {}
                Owned::Foreign => return Err(CheckError::ObjectNotFound.into()),
                Owned::Unasked => unasked.push(*digest),
            }
        }
        if unasked.is_empty() {
            return Ok(());
        }
        if asked.is_some() {
            return Err(CheckError::ObjectsUnavailable.into());
        }
        let call = registry.objects_call(&rule.caller, &unasked, context.now);
        let (call, _) = call.map_err(CheckError::from)?;
        Err(Exit::Fetch(Box::new(call)))
    }
}
