//! One worker of a data plane: the policies it runs, and the services that it asks.
//!
//! A policy replaces another between two requests, whole or not at all. The new policy begins with the caches of the
//! services that both ask. A request that waits is judged by the new one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::in_force::InForce;
use super::rollout::Rollout;
use crate::base::Moment;
use crate::host::{Capabilities, Environment, Store};
use crate::identity::jwt::SignatureVerifier;
use crate::judge::Observation;
use crate::policy::{Configuration, PolicyErrors, RolloutPolicy};
use crate::services::bundle::{BundleError, Bundles, Offer, SignedBundle};
use crate::services::{
    Accepted, AsOf, Fetch, FetchAnswer, FetchKey, FetchOutcome, KeySet, Resolution, Services, Subject,
};

/// A worker.
pub struct Worker {
    environment: Box<dyn Environment>,
    services: Rc<Services>,
    bundles: Option<Rc<Bundles>>,
    running: RefCell<Option<Rc<Rollout>>>,
    /// Notes for operators that were not handed out yet.
    notes: RefCell<Vec<String>>,
    /// Set while the counters of the policies in force have not begun.
    begins: Cell<bool>,
}

/// The calls that are due, and notes for operators.
#[derive(Default)]
pub struct Due {
    /// The calls that are due and that no request waits for.
    pub fetches: Vec<Fetch>,
    /// Lines for the log.
    pub notes: Vec<String>,
    /// Counters that begin, each with a count of 0: to Prometheus it is no growth when a counter that was not there is one.
    pub counters: Vec<Observation>,
}

impl Worker {
    /// Reads a configuration and compiles the policy in it, if there is one. `plane` is the name of this data plane in
    /// reports.
    ///
    /// # Errors
    /// Every error of the document, every ability that the host lacks, and every secret that is missing or cannot stand
    /// in a header.
    pub fn start(
        configuration: &[u8],
        environment: Box<dyn Environment>,
        verifier: Box<dyn SignatureVerifier>,
        host: Capabilities,
        plane: &str,
    ) -> Result<Self, PolicyErrors> {
        Self::with(Configuration::from_json(configuration)?, environment, verifier, host, plane)
    }

    /// Compiles the policy of a configuration that was read already.
    ///
    /// # Errors
    /// Every ability that the host lacks, and every secret that is missing or cannot stand in a header.
    pub fn with(
        configuration: Configuration,
        environment: Box<dyn Environment>,
        verifier: Box<dyn SignatureVerifier>,
        host: Capabilities,
        plane: &str,
    ) -> Result<Self, PolicyErrors> {
        let services = Services::named(verifier, host, plane);
        let (bundles, initial) = match configuration {
            Configuration::Policy(policy) => (None, Some(policy)),
            Configuration::Bundle(mut source) => {
                let initial = source.initial.take();
                let bundles = services.bundles(source, plane, &*environment);
                (Some(bundles.map_err(|error| PolicyErrors(vec![error]))?), initial)
            }
        };
        Self::new(initial, bundles, environment, services)
    }

    /// Compiles a policy that was read already.
    ///
    /// # Errors
    /// Every ability that the host lacks, and every secret that is missing or cannot stand in a header.
    pub fn of(
        policy: RolloutPolicy,
        environment: Box<dyn Environment>,
        verifier: Box<dyn SignatureVerifier>,
        host: Capabilities,
    ) -> Result<Self, PolicyErrors> {
        Self::new(Some(policy), None, environment, Services::new(verifier, host))
    }

    fn new(
        policy: Option<RolloutPolicy>,
        bundles: Option<Rc<Bundles>>,
        environment: Box<dyn Environment>,
        services: Rc<Services>,
    ) -> Result<Self, PolicyErrors> {
        let rollout =
            policy.map(|policy| Rollout::new(policy, None, &*environment, &services)).transpose()?;
        let running = RefCell::new(rollout.map(Rc::new));
        Ok(Self {
            environment,
            services,
            bundles,
            running,
            notes: RefCell::default(),
            begins: Cell::new(true),
        })
    }

    /// Returns the policies in force. While there are none, another worker of the process is looked to for them.
    pub fn in_force(&self, store: &dyn Store) -> InForce<'_> {
        let rollout = self.rollout().or_else(|| {
            self.adopt_shared(store);
            self.rollout()
        });
        InForce::new(rollout, self.bundles.as_deref())
    }

    /// Tells whether a policy is in force.
    pub fn has_policy(&self) -> bool {
        self.rollout().is_some()
    }

    /// Returns the call for the first policy; `None` where the policy is not fetched, or in the pause after a call.
    pub fn first_policy(&self, now: Moment) -> Option<Fetch> {
        self.bundles.as_ref()?.first(now)
    }

    /// Returns what is due. A host asks about once a second. The lessons of other workers are taken over by the way.
    pub fn due(&self, now: Moment, store: &dyn Store) -> Due {
        self.adopt_shared(store);
        if self.bundles.as_ref().is_some_and(|bundles| bundles.expires(now)) {
            self.note("the policy in force has expired, and stays until the next one".to_owned());
        }
        self.services.read_files(&*self.environment, now).into_iter().for_each(|note| self.note(note));
        let mut due = Due { notes: self.notes.take(), ..Due::default() };
        due.fetches.extend(self.bundles.as_ref().and_then(|bundles| bundles.due(now, store)));
        if let Some(rollout) = self.rollout() {
            due.fetches.extend(rollout.due(now, store));
            if self.begins.replace(false) {
                due.counters = rollout.rejectable();
            }
        }
        due
    }

    /// Tells whether the registry has confirmed all that requests took and made. A host that replaces a worker goes on
    /// asking it for [what is due](Self::due) until then: the rest would be lost.
    pub fn has_told_all(&self, store: &dyn Store) -> bool {
        self.services.are_told(store)
    }

    /// Tells whether the call for a fetch may be made: see [`Services::may_call`].
    pub fn may_call(&self, key: &FetchKey, now: Moment) -> bool {
        self.services.may_call(key, now)
    }

    /// Notes that a call that is due was not made after all: see [`Services::abandon`].
    pub fn abandon(&self, key: &FetchKey, now: Moment) {
        self.services.abandon(key, now);
    }

    /// Takes the answer to a fetch, and puts a policy in force where the answer is a newer one.
    pub fn accept(
        &self,
        key: &FetchKey,
        as_of: AsOf,
        answer: &FetchAnswer<'_>,
        now: Moment,
        store: &dyn Store,
    ) -> Accepted {
        let (Subject::Bundle, Some(bundles)) = (&key.subject, &self.bundles) else {
            return self.services.accept(key, as_of, answer, now, store);
        };
        let (mut outcome, offer) = bundles.accept(answer, now, self.services.verifier());
        if let Some(offer) = offer
            && !self.take(bundles, offer, store)
        {
            outcome = FetchOutcome::Malformed;
        }
        let resolution = if self.has_policy() { Resolution::Refreshed } else { Resolution::Unavailable };
        Accepted { outcome, resolution, notes: self.notes.take() }
    }

    /// Returns the state of the key set that a fetch was for; `None` for other fetches.
    pub fn key_set(&self, key: &FetchKey) -> Option<KeySet> {
        self.services.key_set(key)
    }

    fn rollout(&self) -> Option<Rc<Rollout>> {
        self.running.try_borrow().ok()?.clone()
    }

    /// Takes the policy that another worker of the process has taken, if it is newer.
    fn adopt_shared(&self, store: &dyn Store) {
        if let Some(bundles) = &self.bundles
            && let Some(offer) = bundles.shared(self.services.verifier(), store)
        {
            self.take(bundles, offer, store);
        }
    }

    /// Puts a policy in force, if it compiles; tells whether it did.
    fn take(&self, bundles: &Bundles, offer: Result<Offer, BundleError>, store: &dyn Store) -> bool {
        let kept = if self.has_policy() { "the one in force stays" } else { "none is in force" };
        let Offer { bundle, text } = match offer {
            Ok(offer) => offer,
            Err(error) => {
                self.note(format!("a policy was refused, and {kept}: {error}"));
                return false;
            }
        };
        let SignedBundle { revision, expires_at, policy, .. } = bundle;
        match Rollout::new(policy, Some(revision), &*self.environment, &self.services) {
            Ok(rollout) => {
                if let Ok(mut running) = self.running.try_borrow_mut() {
                    *running = Some(Rc::new(rollout));
                }
                self.begins.set(true);
                bundles.taken(revision, expires_at, &text, store);
                self.note(format!("revision {revision} of the policy is in force"));
                true
            }
            Err(errors) => {
                self.note(format!("revision {revision} of the policy was refused, and {kept}: {errors}"));
                bundles.refused(&text, errors);
                false
            }
        }
    }

    fn note(&self, note: String) {
        if let Ok(mut notes) = self.notes.try_borrow_mut() {
            notes.push(note);
        }
    }
}
