//! The set-ups that are compared: each is a proxy in front of the same upstream, with the requests that it gets.
//!
//! A set-up says how to tell that it does what it is said to do; where it does not, nothing is measured. Another host than
//! Envoy is one more [`Host`], with a baseline of its own.

mod authorization;
mod component;
mod keyswap;
mod native;
mod parts;
mod proof;

use std::{net::SocketAddr, ops::Deref, rc::Rc, sync::Arc};

use anyhow::{Context as _, Result};

use super::{load::Requests, stage::Stage};
use crate::{Answer, Meter, Server};

pub use component::COMPONENT_SET_UPS;
pub(super) use keyswap::{keyswap, keyswap_with};

/// The name of the set-up that the others on Envoy are compared with.
pub const BARE: &str = "bare";

/// A set-up.
pub struct SetUp {
    /// Its name on the command line and in results.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// The set-up whose cost is not its own.
    pub baseline: &'static str,
    start: fn(&Stage, workers: u32) -> Result<Running>,
}

/// A set-up that runs.
pub struct Running {
    pub(super) host: Rc<dyn Host>,
    pub(super) requests: Arc<Requests>,
    proof: Proof,
}

/// Fails where a set-up does not do what it is said to do.
type Proof = Box<dyn Fn(&Stage) -> Result<()>>;

/// A proxy that can be measured.
pub(super) trait Host {
    /// Where it listens.
    fn address(&self) -> SocketAddr;
    /// What it has used.
    fn meter(&self) -> Meter;
    /// Sends what is given, and returns when the head of the answer is there.
    fn open(&self, request: &[u8]) -> Result<Answer>;
}

impl<T: Deref<Target = Server>> Host for T {
    fn address(&self) -> SocketAddr {
        Server::address(self)
    }

    fn meter(&self) -> Meter {
        Server::meter(self)
    }

    fn open(&self, request: &[u8]) -> Result<Answer> {
        self.open_raw(request)
    }
}

impl Running {
    /// A set-up on this host. What the proof holds ends with it.
    pub(super) fn new(
        host: Rc<dyn Host>,
        requests: Arc<Requests>,
        proof: impl Fn(&Stage) -> Result<()> + 'static,
    ) -> Self {
        Self { host, requests, proof: Box::new(proof) }
    }

    /// Fails where it does not do what it is said to do.
    pub fn prove(&self, stage: &Stage) -> Result<()> {
        (self.proof)(stage)
    }
}

impl SetUp {
    /// Starts it with so many workers, and makes sure that it does what it is said to do.
    pub fn start(&self, stage: &Stage, workers: u32) -> Result<Running> {
        let started = (self.start)(stage, workers).and_then(|running| {
            running.prove(stage)?;
            Ok(running)
        });
        started.with_context(|| format!("the set-up `{}` does not work", self.name))
    }
}

/// Those on Envoy, in the order in which they are shown. The first is the baseline.
pub const SET_UPS: [SetUp; 13] = [
    SetUp { name: BARE, title: "Envoy alone", baseline: BARE, start: native::bare },
    SetUp {
        name: "empty-filter",
        title: "an empty Wasm filter",
        baseline: BARE,
        start: native::empty_filter,
    },
    SetUp {
        name: "keyswap-token",
        title: "**Keyswap**, a proxy token",
        baseline: BARE,
        start: keyswap::token,
    },
    SetUp { name: "keyswap-jwt", title: "**Keyswap**, a JWT", baseline: BARE, start: keyswap::jwt },
    SetUp {
        name: "keyswap-jwt-cold",
        title: "**Keyswap**, a new JWT each time",
        baseline: BARE,
        start: keyswap::jwt_cold,
    },
    SetUp {
        name: "keyswap-refused-unknown",
        title: "**Keyswap**, refusing an unknown token",
        baseline: BARE,
        start: keyswap::refused_unknown,
    },
    SetUp {
        name: "keyswap-refused-malformed",
        title: "**Keyswap**, refusing what is no token",
        baseline: BARE,
        start: keyswap::refused_malformed,
    },
    SetUp {
        name: "jwt-authn",
        title: "`jwt_authn` with its cache, `local_ratelimit`, `header_mutation`",
        baseline: BARE,
        start: native::jwt_authn,
    },
    SetUp {
        name: "jwt-authn-cold",
        title: "the same without its cache, a new JWT each time",
        baseline: BARE,
        start: native::jwt_authn_cold,
    },
    SetUp {
        name: "api-key-auth",
        title: "`api_key_auth`, `local_ratelimit`, `header_mutation`",
        baseline: BARE,
        start: native::api_key_auth,
    },
    SetUp { name: "lua", title: "`lua`", baseline: BARE, start: native::lua },
    SetUp {
        name: "ext-authz-grpc",
        title: "`ext_authz`, a server by gRPC",
        baseline: BARE,
        start: authorization::grpc,
    },
    SetUp {
        name: "ext-authz-http",
        title: "`ext_authz`, a server by HTTP",
        baseline: BARE,
        start: authorization::http,
    },
];
