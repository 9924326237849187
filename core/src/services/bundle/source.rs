//! Policies that are fetched: one worker of a process makes the calls, and all of them take what it got. Each policy is
//! signed, and never older than the one in force.
//!
//! The newest policy is kept in shared memory, so that a worker that begins anew has it at once. There it is checked
//! like anywhere else. A policy that cannot be fetched, read or compiled changes nothing: the one in force stays.
//!
//! An expiry is a bound on what is installed: a bundle that has expired is not taken from a registry. One that expires in
//! force stays, for new workers of the process too, and is reported: an outage of the publishers must not become one of
//! the data planes.

use std::cell::RefCell;
use std::time::Duration;

use percent_encoding::utf8_percent_encode;

use super::signed::{BundleError, SignedBundle};
use crate::base::{Digest, Moment, Pause, UnixTime, doubled};
use crate::host::{Environment, SharedValue, SlotKind, Store, Update};
use crate::identity::jwt::SignatureVerifier;
use crate::policy::{BundleSource, PolicyError, PolicyErrors};
use crate::secret::ServiceSecret;
use crate::services::fetch::{
    AsOf, Fetch, FetchAnswer, FetchKey, FetchOutcome, FetchRequest, ServiceId, Subject,
};
use crate::syntax::UNRESERVED;

/// The longest pause between two calls while they come to nothing.
const MAX_PAUSE: Duration = Duration::from_mins(1);
/// The pause after the first failure, while there is no policy at all.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The report on a policy that has expired in force.
const IN_FORCE_EXPIRED: &str = "the policy in force has expired and stays until the next one";
/// The longest text in a report, in bytes.
const MAX_REPORT_BYTES: usize = 300;

/// A source of policies, and how far this worker has followed it.
pub(crate) struct Bundles {
    id: ServiceId,
    source: BundleSource,
    authorization: ServiceSecret,
    /// The name of this data plane in reports.
    plane: String,
    /// The place in shared memory.
    digest: Digest,
    state: RefCell<State>,
}

struct State {
    /// The revision in force.
    revision: Option<u64>,
    /// The expiry of the policy in force.
    expires_at: Option<UnixTime>,
    /// Set where the log has the expiry of the policy in force.
    told_expiry: bool,
    /// The last policy that could not be taken, and its error.
    refused: Option<(Digest, BundleError)>,
    pause: Pause,
    /// The time until which a call may be under way, whose answer is not there yet.
    asking_until: Moment,
}

/// A bundle that was verified, and its text.
pub(crate) struct Offer {
    pub(crate) bundle: SignedBundle,
    pub(crate) text: Vec<u8>,
}

/// The state that workers share: the end of the turn to call, and the newest revision that a worker has taken, or 0.
#[derive(Clone, Copy, Default)]
struct Turn {
    leased_until: Moment,
    revision: u64,
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
        let state = State {
            revision: None,
            expires_at: None,
            told_expiry: false,
            refused: None,
            pause: Pause::at_most(MAX_PAUSE.max(source.poll)),
            asking_until: Moment::default(),
        };
        Ok(Self {
            id,
            authorization: credential.with_scheme("Bearer"),
            plane: plane.to_owned(),
            digest: Digest::of(meaning.as_bytes()),
            source,
            state: RefCell::new(state),
        })
    }

    pub(crate) fn id(&self) -> ServiceId {
        self.id
    }

    /// Returns the call of a worker that has no policy at all. Requests that come while the call is under way share it.
    pub(crate) fn first(&self, now: Moment) -> Option<Fetch> {
        let mut state = self.state.try_borrow_mut().ok()?;
        if !state.pause.is_over(now) {
            return state.is_asking(now).then(|| self.fetch(&state, now));
        }
        state.pause.begin(self.source.timeout, now);
        state.asking_until = state.pause.until();
        Some(self.fetch(&state, now))
    }

    /// Returns the call that is due, if it is this worker's turn to make it.
    pub(crate) fn due(&self, now: Moment, store: &dyn Store) -> Option<Fetch> {
        let mut state = self.state.try_borrow_mut().ok()?;
        if !state.pause.is_over(now) {
            return None;
        }
        state.pause.begin(self.source.poll, now);
        // A worker that has no policy does not wait for its turn; neither does one that could not take the newest one.
        let is_behind = self.newest(store).is_some_and(|newest| state.revision < Some(newest));
        let is_its_turn = self.take_turn(now, store);
        let may_call = state.revision.is_none() || is_behind || is_its_turn;
        may_call.then(|| {
            state.asking_until = now.after(self.source.timeout);
            self.fetch(&state, now)
        })
    }

    /// Returns the policy that another worker has taken, if it is newer.
    pub(crate) fn shared(
        &self,
        verifier: &dyn SignatureVerifier,
        store: &dyn Store,
    ) -> Option<Result<Offer, BundleError>> {
        let revision = self.newest(store)?;
        {
            let state = self.state.try_borrow().ok()?;
            if state.revision.is_some_and(|present| present >= revision) {
                return None;
            }
        }
        let body = store.get(&SlotKind::Bundle.key(&self.digest)).ok()??;
        let text = SharedValue::<0>::decode(&body, &self.digest)?.bytes;
        self.open(text, None, verifier)
    }

    /// Takes the answer to a call. The offer is `None` where nothing is new.
    pub(crate) fn accept(
        &self,
        answer: &FetchAnswer<'_>,
        now: Moment,
        verifier: &dyn SignatureVerifier,
    ) -> (FetchOutcome, Option<Result<Offer, BundleError>>) {
        let opened = match answer {
            FetchAnswer::Response { status: 304, .. } => Ok(None),
            FetchAnswer::Response { status: 200, body } => Ok(self.open(body, Some(now.unix()), verifier)),
            FetchAnswer::Response { status: 404, .. } => Err(FetchOutcome::NotFound),
            FetchAnswer::Response { .. } => Err(FetchOutcome::Unavailable),
            FetchAnswer::Failed => Err(FetchOutcome::Failed),
        };
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.asking_until = Moment::default();
            state.pace(opened.is_ok(), self.source.poll, now);
        }
        match opened {
            Ok(Some(Err(error))) => (FetchOutcome::Malformed, Some(Err(error))),
            Ok(offer) => (FetchOutcome::Found, offer),
            Err(outcome) => (outcome, None),
        }
    }

    /// Notes that the policy of this revision was compiled and is in force, and shares its text.
    pub(crate) fn taken(&self, revision: u64, expires_at: Option<UnixTime>, text: &[u8], store: &dyn Store) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.revision = Some(revision);
            state.expires_at = expires_at;
            state.told_expiry = false;
            state.refused = None;
        }
        if self.newest(store).is_some_and(|present| present >= revision) {
            return;
        }
        // The text comes first: a worker that sees the number finds it there. Without shared memory each worker fetches
        // it.
        let body = SharedValue { numbers: [], bytes: text }.encode(&self.digest);
        let shared = store.update(&SlotKind::Bundle.key(&self.digest), &mut |_| Update::Set(body.clone()));
        if shared.is_ok() {
            let _ = self.update_turn(store, &mut |turn| Some(Turn { revision, ..turn }));
        }
    }

    /// Returns true once, when the policy in force has expired.
    pub(crate) fn expires(&self, now: Moment) -> bool {
        let Ok(mut state) = self.state.try_borrow_mut() else { return false };
        let is_news = state.has_expired(now) && !state.told_expiry;
        state.told_expiry |= is_news;
        is_news
    }

    /// Notes that an offer could not be compiled.
    pub(crate) fn refused(&self, text: &[u8], errors: PolicyErrors) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.refused = Some((Digest::of(text), BundleError::Policy(errors)));
        }
    }

    /// Verifies a bundle. `now` is `None` for one that a worker of this process has installed: its expiry is passed over.
    fn open(
        &self,
        text: &[u8],
        now: Option<UnixTime>,
        verifier: &dyn SignatureVerifier,
    ) -> Option<Result<Offer, BundleError>> {
        let digest = Digest::of(text);
        let mut state = self.state.try_borrow_mut().ok()?;
        if state.refused.as_ref().is_some_and(|(refused, _)| *refused == digest) {
            return None;
        }
        let least = state.revision.unwrap_or_default().max(self.source.minimum_revision);
        match SignedBundle::open(text, &self.source.name, &self.source.signers, verifier) {
            Ok(bundle) if state.revision == Some(bundle.revision) => None,
            Ok(bundle) if bundle.revision >= least && !now.is_some_and(|now| bundle.has_expired(now)) => {
                Some(Ok(Offer { bundle, text: text.to_vec() }))
            }
            result => {
                let error = match result {
                    Ok(bundle) if bundle.revision >= least => BundleError::Expired,
                    Ok(_) => BundleError::Older,
                    Err(error) => error,
                };
                // A signature that cannot be checked now may be checked later.
                if !matches!(error, BundleError::Unverifiable) {
                    state.refused = Some((digest, error.clone()));
                }
                Some(Err(error))
            }
        }
    }

    fn fetch(&self, state: &State, now: Moment) -> Fetch {
        let BundleSource { url, cluster, name, timeout, .. } = &self.source;
        let mut path = format!("{}/v1/policies/{name}?plane={}", url.path, escaped(&self.plane));
        if let Some(revision) = state.revision {
            path.extend(["&running=", &revision.to_string()]);
        }
        if let Some((refused, error)) = &state.refused {
            let (refused, problem, detail) = (refused.to_hex(), error.code(), error.to_string());
            let detail = escaped(&detail);
            path.extend(["&refused=", &refused, "&problem=", problem, "&detail=", &detail]);
        } else if state.has_expired(now) {
            path.extend(["&problem=", BundleError::Expired.code(), "&detail=", &escaped(IN_FORCE_EXPIRED)]);
        }
        let mut request = FetchRequest::get(cluster, url.https, &url.authority, path, *timeout)
            .header("accept", "application/jose")
            .credential("authorization", &self.authorization);
        if let Some(revision) = state.revision {
            request = request.header("if-none-match", format!("\"{revision}\""));
        }
        Fetch::new(FetchKey::new(self.id, Subject::Bundle), request, AsOf::moment(now))
    }

    /// Takes the turn of this process for one period, if no other worker has it.
    fn take_turn(&self, now: Moment, store: &dyn Store) -> bool {
        let (until, latest) = (now.after(self.source.poll), now.after(self.source.poll * 2));
        let mut is_ours = false;
        let leased = self.update_turn(store, &mut |turn| {
            // A turn far ahead was taken before the clock was put back.
            is_ours = turn.leased_until <= now || turn.leased_until > latest;
            is_ours.then_some(Turn { leased_until: until, ..turn })
        });
        leased.is_none() || is_ours
    }

    /// Changes the shared turn; `None` where no memory is shared.
    fn update_turn(&self, store: &dyn Store, change: &mut dyn FnMut(Turn) -> Option<Turn>) -> Option<()> {
        let updated = store.update(&SlotKind::Turn.key(&self.digest), &mut |value| {
            let present = value.and_then(|value| self.decode(value)).unwrap_or_default();
            match change(present) {
                Some(Turn { leased_until, revision }) => {
                    Update::Set(SharedValue::of([leased_until.0, revision]).encode(&self.digest))
                }
                None => Update::Keep,
            }
        });
        updated.ok()
    }

    /// Returns the newest revision that a worker of the process has taken.
    fn newest(&self, store: &dyn Store) -> Option<u64> {
        let value = store.get(&SlotKind::Turn.key(&self.digest)).ok()??;
        self.decode(&value).map(|turn| turn.revision).filter(|revision| *revision > 0)
    }

    fn decode(&self, value: &[u8]) -> Option<Turn> {
        let [leased_until, revision] = SharedValue::numbers(value, &self.digest)?;
        Some(Turn { leased_until: Moment(leased_until), revision })
    }
}

impl State {
    fn has_expired(&self, now: Moment) -> bool {
        self.expires_at.is_some_and(|at| at <= now.unix())
    }

    fn is_asking(&self, now: Moment) -> bool {
        now < self.asking_until && self.asking_until <= now.after(MAX_PAUSE)
    }

    fn pace(&mut self, is_healthy: bool, poll: Duration, now: Moment) {
        let before = self.pause.failures();
        let span = if is_healthy {
            self.pause.succeed();
            poll
        } else {
            self.pause.fail();
            let first = if self.revision.is_none() { FIRST_PAUSE } else { poll };
            doubled(first, before.min(5), MAX_PAUSE.max(poll))
        };
        self.pause.begin_jittered(span, now);
    }
}

/// Escapes the beginning of a text for a query.
fn escaped(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_REPORT_BYTES);
    utf8_percent_encode(text.get(..end).unwrap_or_default(), UNRESERVED).to_string()
}
