//! The agents of a policy's credentials, each with those whose values stand in its call.

use std::rc::Rc;

use crate::host::Environment;
use crate::policy::{CredentialPolicy, HttpSource, PolicyError};
use crate::services::Services;
use crate::services::agent::{Agent, Purpose};

/// The parts that agents are made of.
pub(super) struct Agents<'a> {
    pub(super) policy: &'a CredentialPolicy,
    pub(super) environment: &'a dyn Environment,
    pub(super) services: &'a Services,
}

impl Agents<'_> {
    /// Returns the agent of a source of the credential `name`; `path` is the source's place in the policy. A checked policy
    /// has no circles.
    pub(super) fn of(&self, name: &str, source: &HttpSource, path: &str) -> Result<Rc<Agent>, PolicyError> {
        let before = source.credentials_in_call().filter_map(|name| {
            let source = self.policy.in_call(name)?;
            Some(self.of(name, source, &format!("credentials.{name}[0]")))
        });
        let before = before.collect::<Result<_, _>>()?;
        let purpose = if self.policy.is_in_calls(name) { Purpose::Calls } else { Purpose::Upstream };
        self.services.agent((source, purpose), before, path, self.environment)
    }
}
