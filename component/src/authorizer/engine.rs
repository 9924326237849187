//! The engine as the interface shows it.

#![allow(unreachable_pub, reason = "the exports are generated")]

use std::rc::Rc;

use keyswap_core::base::Moment;
use keyswap_core::host::{Capabilities, Environment};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::worker::{Entry, Worker};

use super::bindings::exports::keyswap::auth::authorizer as wit;
use super::convert;
use super::judging::{Call, Exchange, judge};
use super::shared::Shared;

struct Authorizer;

super::bindings::export_authorizer!(Authorizer with_types_in super::bindings);

impl wit::Guest for Authorizer {
    type Engine = Engine;
    type Exchange = Exchange;
    type Call = Call;
}

struct Engine(Rc<Shared>);

/// The values of the variables that a policy may name, also one that is fetched later.
struct Variables(Vec<(String, String)>);

impl Environment for Variables {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone().into_bytes())
    }
}

impl wit::GuestEngine for Engine {
    fn create(
        policy: String,
        variables: Vec<(String, String)>,
        abilities: wit::Abilities,
        node: String,
    ) -> Result<wit::Engine, Vec<wit::PolicyError>> {
        Self::create_reading(
            policy,
            variables,
            abilities,
            wit::Bodies { requests: false, answers: false },
            node,
        )
    }

    fn create_reading(
        policy: String,
        variables: Vec<(String, String)>,
        abilities: wit::Abilities,
        bodies: wit::Bodies,
        node: String,
    ) -> Result<wit::Engine, Vec<wit::PolicyError>> {
        let host = Capabilities {
            shared_memory: abilities.counts,
            injects_credentials: abilities.injects_credentials,
            upgrades: abilities.upgrades,
            passes: abilities.passes,
            reads_files: false,
            replaces_answers: false,
            reads_requests: bodies.requests,
            edits_answers: bodies.answers,
            ticks: false,
            ends_exchanges: false,
            shows_certificates: false,
        };
        let variables = Box::new(Variables(variables));
        let worker = Worker::start(policy.as_bytes(), variables, Box::new(PureRust), host, &node);
        Ok(wit::Engine::new(Self(Rc::new(Shared::new(worker.map_err(convert::errors)?)))))
    }

    fn judge(&self, head: wit::RequestHead, now: u64) -> wit::Step {
        judge(&self.0, convert::head(head), Entry::New, Moment(now))
    }

    fn due(&self, now: u64) -> Vec<wit::Call> {
        let now = Moment(now);
        self.0.due(now).into_iter().map(|due| Call::due(&self.0, due, now)).collect()
    }

    fn is_protected(&self, name: String) -> bool {
        self.0.worker.in_force(&self.0.store).is_slot(name.as_bytes())
    }

    fn log(&self) -> Vec<String> {
        self.0.take_log()
    }
}
