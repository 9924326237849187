//! All services of a file of cases. They are told apart by the target of the request alone, so that one server can be all
//! of them.

use keyswap_core::base::Moment;

use super::answer::ServiceAnswer;
use super::registry::Registry;
use crate::format::{Served, Suite};

/// The services of a file of cases. Each value counts limits of its own.
pub struct Services {
    fetched: Vec<(String, ServiceAnswer)>,
    registry: Registry,
}

impl Services {
    /// Returns the services of a file, at which no budget was spent yet.
    pub fn of(suite: &Suite) -> Self {
        let answer = |it: &Served| {
            let answer = ServiceAnswer { status: it.status.unwrap_or(200), body: it.body.clone() };
            (it.target.clone(), answer)
        };
        let fetched = suite.fetched.iter().flatten().map(answer).collect();
        Self { fetched, registry: Registry::of(&suite.registry) }
    }

    /// Returns the answer to a request at this time; `None` where the file does not say.
    pub fn answer(&self, target: &str, body: &[u8], now: Moment) -> Option<ServiceAnswer> {
        self.fetched(target).or_else(|| self.registry(target, body, now))
    }

    /// Returns the answer that `fetched` has for a target.
    pub(crate) fn fetched(&self, target: &str) -> Option<ServiceAnswer> {
        self.fetched.iter().find(|(of, _)| of == target).map(|(_, answer)| answer.clone())
    }

    /// Returns the registry's answer; `None` where the target is none of the registry's.
    pub(crate) fn registry(&self, target: &str, body: &[u8], now: Moment) -> Option<ServiceAnswer> {
        self.registry.answer(target, body, now)
    }
}
