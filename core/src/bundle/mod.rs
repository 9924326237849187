//! Policies that are fetched: asked for by one worker of a process, signed, taken by all of them, never an older one.
//!
//! What was taken is kept in the memory that workers share, so that a worker that begins anew has it at once; it is checked
//! there like anywhere else. What cannot be had, read or compiled changes nothing: the one in force stays.

mod signed;

use std::cell::RefCell;
use std::time::Duration;

pub use self::signed::{BUNDLE_TYPE, BundleFault, MAX_BUNDLE_BYTES, SignedBundle};
use crate::ascii::push_escaped;
use crate::fetch::{Asked, Fetch, FetchAnswer, FetchKey, FetchOutcome, FetchRequest, Subject};
use crate::jwt::SignatureVerifier;
use crate::policy::{BundleSource, PolicyError, PolicyErrors};
use crate::secret::{Environment, ServiceSecret};
use crate::services::ServiceId;
use crate::store::{Kind, Store, Update};
use crate::time::Moment;
use crate::token::TokenDigest;

/// The longest pause between two calls while they come to nothing.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A report tells no more of what is wrong than that.
const LONGEST_DETAIL: usize = 300;

/// Where a policy is fetched from, and how far this worker has come.
pub(crate) struct Bundles {
    id: ServiceId,
    source: BundleSource,
    authorization: ServiceSecret,
    /// What this data plane is called in reports.
    plane: String,
    /// What it is known by in shared memory.
    digest: TokenDigest,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// The revision in force.
    revision: Option<u64>,
    /// The last one that could not be taken, and why.
    refused: Option<(TokenDigest, BundleFault)>,
    failures: u32,
    /// No call before.
    due: Moment,
    /// Until when a call may be under way, whose answer is not there yet.
    asking_until: Moment,
}

/// A bundle that holds, and its text.
pub(crate) struct Offer {
    pub(crate) bundle: SignedBundle,
    pub(crate) text: Vec<u8>,
}

impl Bundles {
    pub(crate) fn new(
        id: ServiceId,
        source: BundleSource,
        plane: &str,
        environment: &dyn Environment,
    ) -> Result<Self, PolicyError> {
        let credential = source.credential.require("credential", environment)?;
        let meaning = format!("bundle\0{}{}\0{}", source.url.authority, source.url.path, source.name);
        Ok(Self {
            id,
            authorization: ServiceSecret::with_scheme(&credential, "Bearer"),
            plane: plane.to_owned(),
            digest: TokenDigest::of(meaning.as_bytes()),
            source,
            state: RefCell::default(),
        })
    }

    pub(crate) fn id(&self) -> ServiceId {
        self.id
    }

    /// The call without which a worker has no policy at all; whoever comes while it is under way shares it.
    pub(crate) fn first(&self, now: Moment) -> Option<Fetch> {
        let mut state = self.state.try_borrow_mut().ok()?;
        if !state.is_due(now) {
            return state.is_asking(now).then(|| self.fetch(&state, now));
        }
        state.due = now.after(self.source.timeout);
        state.asking_until = state.due;
        Some(self.fetch(&state, now))
    }

    /// The call that is due, if it is this worker's turn to make it.
    pub(crate) fn due(&self, now: Moment, store: &dyn Store) -> Option<Fetch> {
        let mut state = self.state.try_borrow_mut().ok()?;
        if !state.is_due(now) {
            return None;
        }
        state.due = now.after(self.source.poll);
        // Who has none yet does not wait for its turn, nor who could not take what another did.
        let is_behind = self.head(store).is_some_and(|(_, newest)| state.revision < Some(newest));
        let is_its_turn = self.lease(now, store);
        let may_call = state.revision.is_none() || is_behind || is_its_turn;
        may_call.then(|| {
            state.asking_until = now.after(self.source.timeout);
            self.fetch(&state, now)
        })
    }

    /// What another worker has taken, if it is newer.
    pub(crate) fn shared(
        &self,
        verifier: &dyn SignatureVerifier,
        store: &dyn Store,
    ) -> Option<Result<Offer, BundleFault>> {
        let (_, revision) = self.head(store)?;
        {
            let state = self.state.try_borrow().ok()?;
            if state.revision.is_some_and(|present| present >= revision) {
                return None;
            }
        }
        let body = store.get(&Kind::Bundle.key(self.digest.bytes())).ok()??;
        let text = body.strip_prefix(&self.digest.bytes()[..])?;
        self.open(text, verifier)
    }

    /// What came of a call: `None` where nothing is new.
    pub(crate) fn accept(
        &self,
        answer: &FetchAnswer<'_>,
        now: Moment,
        verifier: &dyn SignatureVerifier,
    ) -> (FetchOutcome, Option<Result<Offer, BundleFault>>) {
        let opened = match answer {
            FetchAnswer::Response { status: 304, .. } => Ok(None),
            FetchAnswer::Response { status: 200, body } => Ok(self.open(body, verifier)),
            FetchAnswer::Response { status: 404, .. } => Err(FetchOutcome::NotFound),
            FetchAnswer::Response { .. } => Err(FetchOutcome::Unavailable),
            FetchAnswer::Failed => Err(FetchOutcome::Failed),
        };
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.asking_until = Moment::default();
            state.pace(opened.is_ok(), self.source.poll, now);
        }
        match opened {
            Ok(Some(Err(fault))) => (FetchOutcome::Malformed, Some(Err(fault))),
            Ok(offer) => (FetchOutcome::Found, offer),
            Err(outcome) => (outcome, None),
        }
    }

    /// An offer has been compiled and is in force.
    pub(crate) fn taken(&self, offer: &Offer, store: &dyn Store) {
        let revision = offer.bundle.revision;
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.revision = Some(revision);
            state.refused = None;
        }
        // The text first: who sees the number finds it there. Where nothing can be shared each worker fetches it.
        let body = [&self.digest.bytes()[..], &offer.text].concat();
        let is_newer = self.head(store).is_none_or(|(_, present)| present < revision);
        if is_newer
            && store
                .update(&Kind::Bundle.key(self.digest.bytes()), &mut |_| Update::Set(body.clone()))
                .is_ok()
        {
            let _ = store.update(&self.place(), &mut |told| {
                let leased_until =
                    told.and_then(|told| self.decode(told)).map_or(Moment::default(), |head| head.0);
                Update::Set(self.encode(leased_until, revision))
            });
        }
    }

    /// An offer could not be compiled.
    pub(crate) fn refused(&self, text: &[u8], errors: PolicyErrors) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.refused = Some((TokenDigest::of(text), BundleFault::Policy(errors)));
        }
    }

    fn open(&self, text: &[u8], verifier: &dyn SignatureVerifier) -> Option<Result<Offer, BundleFault>> {
        let digest = TokenDigest::of(text);
        let mut state = self.state.try_borrow_mut().ok()?;
        if state.refused.as_ref().is_some_and(|(refused, _)| *refused == digest) {
            return None;
        }
        let least = state.revision.unwrap_or_default().max(self.source.minimum_revision);
        match SignedBundle::open(text, &self.source.name, &self.source.keys, verifier) {
            Ok(bundle) if state.revision == Some(bundle.revision) => None,
            Ok(bundle) if bundle.revision >= least => Some(Ok(Offer { bundle, text: text.to_vec() })),
            result => {
                let fault = result.err().unwrap_or(BundleFault::Older);
                // What cannot be checked now may be checked later.
                if !matches!(fault, BundleFault::Unverifiable) {
                    state.refused = Some((digest, fault.clone()));
                }
                Some(Err(fault))
            }
        }
    }

    fn fetch(&self, state: &State, now: Moment) -> Fetch {
        let BundleSource { url, cluster, name, timeout, .. } = &self.source;
        let mut path = format!("{}/v1/policies/{name}?plane=", url.path).into_bytes();
        let escape = |path: &mut Vec<u8>, text: &str| {
            text.bytes().take(LONGEST_DETAIL).for_each(|byte| push_escaped(path, byte));
        };
        escape(&mut path, &self.plane);
        if let Some(revision) = state.revision {
            path.extend_from_slice(format!("&running={revision}").as_bytes());
        }
        if let Some((refused, fault)) = &state.refused {
            let told = format!("&refused={}&problem={}&detail=", refused.to_hex(), fault.code());
            path.extend_from_slice(told.as_bytes());
            escape(&mut path, &fault.to_string());
        }
        let mut headers = vec![
            (":method".into(), "GET".to_owned().into()),
            (":path".into(), String::from_utf8_lossy(&path).into_owned().into()),
            (":authority".into(), url.authority.clone().into()),
            ("accept".into(), "application/jose".to_owned().into()),
            ("authorization".into(), self.authorization.reveal()),
        ];
        if let Some(revision) = state.revision {
            headers.push(("if-none-match".into(), format!("\"{revision}\"").into()));
        }
        let request = FetchRequest {
            cluster: cluster.clone(),
            https: url.https,
            headers,
            body: None,
            timeout: *timeout,
        };
        Fetch::new(FetchKey::new(self.id, Subject::Bundle), request, Asked { at: now, as_of: 0 })
    }

    /// Takes the turn of this process for one period.
    fn lease(&self, now: Moment, store: &dyn Store) -> bool {
        let mut is_ours = false;
        let until = now.after(self.source.poll);
        let leased = store.update(&self.place(), &mut |told| {
            let (leased_until, revision) = told.and_then(|told| self.decode(told)).unwrap_or_default();
            // A clock that was put back does not keep everybody waiting.
            is_ours = leased_until <= now || leased_until > now.after(self.source.poll * 2);
            if is_ours { Update::Set(self.encode(until, revision)) } else { Update::Keep }
        });
        leased.is_err() || is_ours
    }

    /// Until when a worker has the turn, and the newest revision that one has taken.
    fn head(&self, store: &dyn Store) -> Option<(Moment, u64)> {
        let told = store.get(&self.place()).ok()??;
        self.decode(&told).filter(|(_, revision)| *revision > 0)
    }

    fn place(&self) -> String {
        Kind::Turn.key(self.digest.bytes())
    }

    fn encode(&self, leased_until: Moment, revision: u64) -> Vec<u8> {
        [&self.digest.bytes()[..], &leased_until.0.to_be_bytes(), &revision.to_be_bytes()].concat()
    }

    fn decode(&self, told: &[u8]) -> Option<(Moment, u64)> {
        let (until, revision) = told.strip_prefix(&self.digest.bytes()[..])?.split_first_chunk::<8>()?;
        let revision: &[u8; 8] = revision.try_into().ok()?;
        Some((Moment(u64::from_be_bytes(*until)), u64::from_be_bytes(*revision)))
    }
}

impl State {
    fn is_due(&self, now: Moment) -> bool {
        self.due <= now || self.due > now.after(LONGEST_PAUSE * 2)
    }

    fn is_asking(&self, now: Moment) -> bool {
        now < self.asking_until && self.asking_until <= now.after(LONGEST_PAUSE)
    }

    fn pace(&mut self, is_healthy: bool, poll: Duration, now: Moment) {
        self.failures = if is_healthy { 0 } else { self.failures.saturating_add(1) };
        let first = if self.revision.is_none() { Duration::from_secs(1) } else { poll };
        let pause = match self.failures {
            0 => poll,
            failures => (first * 2_u32.saturating_pow(failures.min(6) - 1)).min(LONGEST_PAUSE.max(poll)),
        };
        self.due = now.after(now.jittered(pause));
    }
}
