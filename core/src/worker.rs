//! One worker of a data plane: which policy it runs, and the services that it asks.
//!
//! A policy that takes the place of another does so between two requests, whole or not at all. It begins with what is known
//! of the services that both ask; whoever waits is judged by the new one.

use std::cell::RefCell;
use std::rc::Rc;

use crate::bundle::{BundleFault, Bundles, Offer};
use crate::fetch::{Asked, Fetch, FetchAnswer, FetchKey, FetchOutcome, Resolution, Subject};
use crate::host::Capabilities;
use crate::jwt::SignatureVerifier;
use crate::policy::{Configuration, PolicyErrors};
use crate::rollout::Rollout;
use crate::secret::Environment;
use crate::services::{Accepted, Services};
use crate::store::Store;
use crate::time::Moment;

/// A worker.
pub struct Worker {
    environment: Box<dyn Environment>,
    services: Rc<Services>,
    bundles: Option<Rc<Bundles>>,
    running: RefCell<Option<Rc<Rollout>>>,
}

/// What is due, and what operators should know: for the log.
#[derive(Default)]
pub struct Due {
    /// The calls that are due and that no request waits for.
    pub fetches: Vec<Fetch>,
    /// Lines for the log.
    pub notes: Vec<String>,
}

impl Worker {
    /// Reads a configuration and compiles the policy in it, if there is one. `plane` is what this data plane is called in
    /// reports.
    ///
    /// # Errors
    /// Every error of the document, and all secrets that are missing or cannot stand in a header.
    pub fn start(
        configuration: &[u8],
        environment: Box<dyn Environment>,
        verifier: Box<dyn SignatureVerifier>,
        host: Capabilities,
        plane: &str,
    ) -> Result<Self, PolicyErrors> {
        let services = Services::new(verifier, host);
        let (bundles, initial) = match Configuration::from_json(configuration)? {
            Configuration::Policy(policy) => (None, Some(policy)),
            Configuration::Bundle(source) => {
                let initial = source.initial.clone();
                let bundles = services.bundles(source, plane, &*environment);
                (Some(bundles.map_err(|error| PolicyErrors(vec![error]))?), initial)
            }
        };
        let running = initial.map(|policy| Rollout::new(policy, None, &*environment, &services));
        let running = RefCell::new(running.transpose()?.map(Rc::new));
        Ok(Self { environment, services, bundles, running })
    }

    /// What is in force; `None` before the first policy came.
    pub fn rollout(&self) -> Option<Rc<Rollout>> {
        self.running.try_borrow().ok()?.clone()
    }

    /// The call that requests wait for while there is no policy; `None` where it was made just now and came to nothing.
    pub fn first_policy(&self, now: Moment) -> Option<Fetch> {
        self.bundles.as_ref()?.first(now)
    }

    /// Takes the policy that another worker of the process has taken, if it is newer; what the log should tell of that. A host
    /// asks before it has a request wait for the first policy.
    pub fn listen(&self, store: &dyn Store) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(bundles) = &self.bundles
            && let Some(offer) = bundles.shared(self.services.verifier(), store)
        {
            self.take(bundles, offer, store, &mut notes);
        }
        notes
    }

    /// What is due. A host asks about once a second; what other workers have told since is heard by the way.
    pub fn due(&self, now: Moment, store: &dyn Store) -> Due {
        let mut due = Due { notes: self.listen(store), ..Due::default() };
        due.fetches.extend(self.bundles.as_ref().and_then(|bundles| bundles.due(now, store)));
        due.fetches.extend(match self.rollout() {
            Some(rollout) => rollout.due(now, store),
            None => Vec::new(),
        });
        due
    }

    /// See [`Services::may_call`].
    pub fn may_call(&self, key: &FetchKey, now: Moment) -> bool {
        self.services.may_call(key, now)
    }

    /// See [`Services::abandon`].
    pub fn abandon(&self, key: &FetchKey, now: Moment) {
        self.services.abandon(key, now);
    }

    /// Takes the answer to a fetch, and with it another policy where it is one.
    pub fn accept(
        &self,
        key: &FetchKey,
        asked: Asked,
        answer: &FetchAnswer<'_>,
        now: Moment,
        store: &dyn Store,
    ) -> Accepted {
        let (Subject::Bundle, Some(bundles)) = (&key.subject, &self.bundles) else {
            return self.services.accept(key, asked, answer, now, store);
        };
        let (mut outcome, offer) = bundles.accept(answer, now, self.services.verifier());
        let mut notes = Vec::new();
        if let Some(offer) = offer
            && !self.take(bundles, offer, store, &mut notes)
        {
            outcome = FetchOutcome::Malformed;
        }
        let has_policy = self.rollout().is_some();
        let resolution = if has_policy { Resolution::Ready } else { Resolution::Unavailable };
        Accepted { outcome, resolution, notes }
    }

    /// Puts a policy in force, if it holds; whether it did.
    fn take(
        &self,
        bundles: &Bundles,
        offer: Result<Offer, BundleFault>,
        store: &dyn Store,
        notes: &mut Vec<String>,
    ) -> bool {
        let kept = || if self.rollout().is_some() { "the one in force stays" } else { "there is none" };
        let offer = match offer {
            Ok(offer) => offer,
            Err(fault) => {
                notes.push(format!("a policy was refused, and {}: {fault}", kept()));
                return false;
            }
        };
        let revision = offer.bundle.revision;
        let policy = offer.bundle.policy.clone();
        match Rollout::new(policy, Some(revision), &*self.environment, &self.services) {
            Ok(rollout) => {
                if let Ok(mut running) = self.running.try_borrow_mut() {
                    *running = Some(Rc::new(rollout));
                }
                bundles.taken(&offer, store);
                notes.push(format!("revision {revision} of the policy is in force"));
                true
            }
            Err(errors) => {
                notes
                    .push(format!("revision {revision} of the policy was refused, and {}: {errors}", kept()));
                bundles.refused(&offer.text, errors);
                false
            }
        }
    }
}
