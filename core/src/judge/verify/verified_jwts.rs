//! Identity JWTs that hold, remembered: a token that is in use is read and its signature computed once.
//!
//! An entry is of one token, by the SHA-256 over all of its bytes, and counts where it was found only: with the same keys
//! of the same issuer, in the same place of a request. A key that leaves its set takes its entries with it, and another
//! policy begins with none. The dates are judged by each request's clock. Only what holds is remembered: forgetting costs
//! time, never changes an answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use crate::base::{Cache, Digest};
use crate::identity::CallerRecord;
use crate::identity::jwt::{JwkSet, VerifiedIdentity};
use crate::request::IdentitySlot;

/// The tokens that an engine remembers.
const MAX_TOKENS: usize = 4096;
/// A token with a longer name is verified each time, so that the memory is bounded in bytes, too.
const MAX_NAME_BYTES: usize = 512;

/// The memory of one engine.
pub(super) struct VerifiedJwts(RefCell<Cache<Rc<VerifiedJwt>>>);

/// A token that holds.
pub(super) struct VerifiedJwt {
    /// The issuer's place in the policy.
    pub(super) issuer: usize,
    /// Where the token stood; `None` for an auth slot. Not every issuer is believed everywhere.
    slot: Option<IdentitySlot>,
    /// The keys that it was judged with. Held weakly, so that a set that another took the place of is not kept for tokens
    /// that never come back.
    keys: Weak<JwkSet>,
    /// The identity that the issuer vouches for.
    pub(super) identity: VerifiedIdentity,
    /// The caller's record, as it was made last.
    made: RefCell<Option<Made>>,
}

/// A caller's record, and that of the person, of which it was made.
struct Made {
    person: Option<Arc<CallerRecord>>,
    record: Arc<CallerRecord>,
}

impl Default for VerifiedJwts {
    fn default() -> Self {
        Self(RefCell::new(Cache::new(MAX_TOKENS)))
    }
}

impl VerifiedJwts {
    /// Returns the entry of a token that stood there.
    pub(super) fn find(&self, token: &Digest, slot: Option<&IdentitySlot>) -> Option<Rc<VerifiedJwt>> {
        let verified = self.0.try_borrow().ok()?;
        verified.get(token).filter(|verified| verified.slot.as_ref() == slot).cloned()
    }

    pub(super) fn keep(&self, token: Digest, verified: &Rc<VerifiedJwt>) {
        let names = [Some(verified.identity.subject()), verified.identity.email()];
        if names.into_iter().flatten().any(|name| name.len() > MAX_NAME_BYTES) {
            return;
        }
        if let Ok(mut remembered) = self.0.try_borrow_mut() {
            remembered.insert(token, Rc::clone(verified));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.try_borrow().map_or(0, |verified| verified.len())
    }
}

impl VerifiedJwt {
    pub(super) fn new(
        issuer: usize,
        slot: Option<&IdentitySlot>,
        keys: &Arc<JwkSet>,
        identity: VerifiedIdentity,
    ) -> Self {
        Self { issuer, slot: slot.cloned(), keys: Arc::downgrade(keys), identity, made: RefCell::default() }
    }

    /// Returns whether these are the keys that the token was judged with. While the entry knows them, no other set has
    /// their address.
    pub(super) fn is_by(&self, keys: &Arc<JwkSet>) -> bool {
        std::ptr::eq(self.keys.as_ptr(), Arc::as_ptr(keys))
    }

    /// The caller's record, made anew where the person's is another than the last time.
    pub(super) fn record(
        &self,
        person: Option<Arc<CallerRecord>>,
        make: impl FnOnce(&VerifiedIdentity, Option<&CallerRecord>) -> CallerRecord,
    ) -> Arc<CallerRecord> {
        let of_person = person.as_ref().map(Arc::as_ptr);
        if let Ok(last) = self.made.try_borrow()
            && let Some(last) = &*last
            && last.person.as_ref().map(Arc::as_ptr) == of_person
        {
            return Arc::clone(&last.record);
        }
        let record = Arc::new(make(&self.identity, person.as_deref()));
        if let Ok(mut last) = self.made.try_borrow_mut() {
            *last = Some(Made { person, record: Arc::clone(&record) });
        }
        record
    }
}
