//! The services that a worker asks, and their caches: token registries, the keys of issuers, agents, files, sources of
//! policies.
//!
//! A cache belongs to the service and not to a policy. Policies that ask the same service in the same way share it, so
//! a new policy begins with the caches of the one before. A service that no policy asks any more is forgotten.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use super::agent::{Agent, Purpose};
use super::bundle::Bundles;
use super::credential_file::CredentialFile;
use super::fetch::{AsOf, Fetch, FetchAnswer, FetchKey, ServiceId};
use super::keyring::{KeyRing, KeySet};
use super::registry::Registry;
use super::resolution::Accepted;
use crate::base::Moment;
use crate::host::{Capabilities, Environment, Store};
use crate::identity::jwt::{Issuer, SignatureVerifier};
use crate::policy::{BundleSource, HttpSource, PolicyError, RegistryPolicy};

/// The services of one worker, whose environment and host stay the same.
pub struct Services {
    verifier: Box<dyn SignatureVerifier>,
    host: Capabilities,
    /// The name of this data plane in reports.
    plane: String,
    asked: RefCell<Directory>,
}

#[derive(Default)]
struct Directory {
    last: u32,
    registries: Vec<Weak<Registry>>,
    key_rings: Vec<Weak<KeyRing>>,
    agents: Vec<Weak<Agent>>,
    files: Vec<Weak<CredentialFile>>,
    bundles: Vec<Weak<Bundles>>,
}

enum Service {
    Registry(Rc<Registry>),
    KeyRing(Rc<KeyRing>),
    Agent(Rc<Agent>),
    /// The server of policy bundles. The worker carries out what comes of a fetch from it.
    Bundles,
}

impl Services {
    /// Returns a directory without services. The verifier computes the signatures of identity JWTs; the engine judges
    /// all else about them.
    pub fn new(verifier: Box<dyn SignatureVerifier>, host: Capabilities) -> Rc<Self> {
        Self::named(verifier, host, "")
    }

    /// Returns a directory without services, for a data plane that reports under a name.
    pub(crate) fn named(verifier: Box<dyn SignatureVerifier>, host: Capabilities, plane: &str) -> Rc<Self> {
        Rc::new(Self { verifier, host, plane: plane.to_owned(), asked: RefCell::default() })
    }

    pub(crate) fn verifier(&self) -> &dyn SignatureVerifier {
        &*self.verifier
    }

    pub(crate) fn host(&self) -> Capabilities {
        self.host
    }

    /// Returns the registry that `policy` describes.
    pub(crate) fn registry(
        &self,
        policy: &RegistryPolicy,
        environment: &dyn Environment,
    ) -> Result<Rc<Registry>, PolicyError> {
        let mut asked = self.asked.borrow_mut();
        if let Some(registry) = living(&asked.registries).find(|registry| registry.is_of(policy)) {
            return Ok(registry);
        }
        let credential = policy.credential.require("registry.credential", environment)?;
        let origin = (self.plane.as_str(), environment.instance());
        let registry = Rc::new(Registry::new(asked.next(), policy.clone(), &credential, self.host, origin));
        asked.registries.push(Rc::downgrade(&registry));
        Ok(registry)
    }

    /// Returns the keys of an issuer.
    pub(crate) fn key_ring(&self, issuer: &Issuer) -> Rc<KeyRing> {
        let mut asked = self.asked.borrow_mut();
        if let Some(ring) = living(&asked.key_rings).find(|ring| ring.is_of(issuer)) {
            return ring;
        }
        let ring = Rc::new(KeyRing::new(asked.next(), issuer));
        asked.key_rings.push(Rc::downgrade(&ring));
        ring
    }

    /// Returns the agent of a source, whose call has the values of the agents `before` in it; `path` is the source's place in
    /// the policy.
    pub(crate) fn agent(
        &self,
        (source, purpose): (&HttpSource, Purpose),
        before: Vec<Rc<Agent>>,
        path: &str,
        environment: &dyn Environment,
    ) -> Result<Rc<Agent>, PolicyError> {
        let mut asked = self.asked.borrow_mut();
        if let Some(agent) = living(&asked.agents).find(|agent| agent.is_of(source, purpose, &before)) {
            return Ok(agent);
        }
        let agent = Rc::new(Agent::new(asked.next(), (source, purpose), before, path, environment)?);
        asked.agents.push(Rc::downgrade(&agent));
        Ok(agent)
    }

    /// Returns the credential in a file; `place` is the source's place in the policy.
    pub(crate) fn file(
        &self,
        path: &str,
        place: &str,
        environment: &dyn Environment,
    ) -> Result<Rc<CredentialFile>, PolicyError> {
        let mut asked = self.asked.borrow_mut();
        let known = living(&asked.files).find(|file| file.is_at(path));
        let file = known.unwrap_or_else(|| {
            let file = Rc::new(CredentialFile::new(path, place));
            asked.files.push(Rc::downgrade(&file));
            file
        });
        file.open(environment)?;
        Ok(file)
    }

    /// Reads every file again. Returns notes for the log.
    pub(crate) fn read_files(&self, environment: &dyn Environment, now: Moment) -> Vec<String> {
        let Ok(asked) = self.asked.try_borrow() else { return Vec::new() };
        living(&asked.files).flat_map(|file| file.look(environment, now)).collect()
    }

    /// Returns the source that a policy is fetched from.
    pub(crate) fn bundles(
        &self,
        source: BundleSource,
        plane: &str,
        environment: &dyn Environment,
    ) -> Result<Rc<Bundles>, PolicyError> {
        let mut asked = self.asked.borrow_mut();
        let bundles = Rc::new(Bundles::new(asked.next(), source, plane, environment)?);
        asked.bundles.push(Rc::downgrade(&bundles));
        Ok(bundles)
    }

    /// Returns whether the call for a fetch may be made. The host asks once, when it is about to make the call.
    ///
    /// A fetch that may not be made has failed without having been tried: its resolution is
    /// `Resolution::Unavailable`.
    pub fn may_call(&self, key: &FetchKey, now: Moment) -> bool {
        match self.find(key.service) {
            Some(Service::Registry(registry)) => registry.may_call(&key.subject, now),
            Some(Service::KeyRing(_) | Service::Agent(_) | Service::Bundles) => true,
            None => false,
        }
    }

    /// Notes that a fetch that no request waits for was not made after all.
    pub fn abandon(&self, key: &FetchKey, now: Moment) {
        match self.find(key.service) {
            Some(Service::Registry(registry)) => registry.abandon(&key.subject, now),
            Some(Service::Agent(agent)) => agent.abandon(&key.subject, now),
            Some(Service::KeyRing(_) | Service::Bundles) | None => {}
        }
    }

    /// Takes the answer to a fetch.
    pub fn accept(
        &self,
        key: &FetchKey,
        as_of: AsOf,
        answer: &FetchAnswer<'_>,
        now: Moment,
        store: &dyn Store,
    ) -> Accepted {
        match self.find(key.service) {
            Some(Service::Registry(registry)) => {
                registry.accept(&key.subject, as_of, answer, self.verifier(), now, store)
            }
            Some(Service::KeyRing(ring)) => ring.accept(&key.subject, answer, now),
            Some(Service::Agent(agent)) => agent.accept(&key.subject, as_of, answer, now),
            Some(Service::Bundles) | None => Accepted::failed(),
        }
    }

    /// Returns the state of the key set that a fetch was for; `None` for other fetches.
    pub(crate) fn key_set(&self, key: &FetchKey) -> Option<KeySet> {
        match self.find(key.service)? {
            Service::KeyRing(ring) => Some(ring.key_set()),
            Service::Registry(_) | Service::Agent(_) | Service::Bundles => None,
        }
    }

    /// Returns the fetches that are due and that no request waits for.
    pub(crate) fn due(&self, now: Moment, store: &dyn Store) -> Vec<Fetch> {
        let Ok(mut asked) = self.asked.try_borrow_mut() else { return Vec::new() };
        asked.forget();
        let registries = living(&asked.registries).flat_map(|registry| registry.due(now, store));
        registries.chain(living(&asked.agents).filter_map(|agent| agent.due(now))).collect()
    }

    /// Tells whether every registry has confirmed all that requests took and made.
    pub(crate) fn are_told(&self, store: &dyn Store) -> bool {
        self.asked.try_borrow().map_or(true, |asked| living(&asked.registries).all(|it| it.is_told(store)))
    }

    fn find(&self, id: ServiceId) -> Option<Service> {
        let asked = self.asked.try_borrow().ok()?;
        let registry = living(&asked.registries).find(|it| it.id() == id).map(Service::Registry);
        let ring = || living(&asked.key_rings).find(|it| it.id() == id).map(Service::KeyRing);
        let agent = || living(&asked.agents).find(|it| it.id() == id).map(Service::Agent);
        let bundles = || living(&asked.bundles).find(|it| it.id() == id).map(|_| Service::Bundles);
        registry.or_else(ring).or_else(agent).or_else(bundles)
    }
}

impl Directory {
    fn next(&mut self) -> ServiceId {
        self.last = self.last.wrapping_add(1);
        ServiceId(self.last)
    }

    fn forget(&mut self) {
        self.registries.retain(|service| service.strong_count() > 0);
        self.key_rings.retain(|service| service.strong_count() > 0);
        self.agents.retain(|service| service.strong_count() > 0);
        self.files.retain(|service| service.strong_count() > 0);
        self.bundles.retain(|service| service.strong_count() > 0);
    }
}

fn living<S>(services: &[Weak<S>]) -> impl Iterator<Item = Rc<S>> {
    services.iter().filter_map(Weak::upgrade)
}
