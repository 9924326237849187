//! A cache of verified identity JWTs: a token in use is parsed and its signature computed once.
//!
//! An entry is of one token, by the SHA-256 over all of its bytes. Only the same keys of the same issuer, and the same
//! slot, find an entry. A changed key set makes its entries invalid, and another policy begins with an empty cache. The
//! dates are judged at each request.
//!
//! Only verified tokens are cached, so a lost entry costs time and never changes an answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use crate::base::{Cache, Digest};
use crate::identity::CallerRecord;
use crate::identity::jwt::{JwkSet, VerifiedIdentity};
use crate::request::IdentitySlot;

/// The most tokens that an engine caches.
const MAX_TOKENS: usize = 4096;
/// The longest name in a cached token, in bytes. A token with a longer one is verified each time, so that the cache is
/// bounded in bytes, too.
const MAX_NAME_BYTES: usize = 512;

/// The cache of one engine.
pub(super) struct VerifiedJwts(RefCell<Cache<Rc<VerifiedJwt>>>);

/// A verified token.
pub(super) struct VerifiedJwt {
    /// The issuer's place in the policy.
    pub(super) issuer: usize,
    /// The identity slot of the token; `None` for an auth slot. An issuer may accept tokens in some slots only.
    slot: Option<IdentitySlot>,
    /// The keys that the token was judged with. The reference is weak, so that a replaced set is not kept for tokens
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
    /// Returns the entry of a token that stood in this slot.
    pub(super) fn find(&self, token: &Digest, slot: Option<&IdentitySlot>) -> Option<Rc<VerifiedJwt>> {
        let verified = self.0.try_borrow().ok()?;
        verified.get(token).filter(|verified| verified.slot.as_ref() == slot).cloned()
    }

    pub(super) fn keep(&self, token: Digest, verified: &Rc<VerifiedJwt>) {
        let email = verified.identity.claimed_email().map(|email| email.address.as_str());
        let names = [Some(verified.identity.subject()), email];
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

    /// Returns whether these are the keys that the token was judged with. While the entry refers to a set, no other set
    /// has its address.
    pub(super) fn is_by(&self, keys: &Arc<JwkSet>) -> bool {
        std::ptr::eq(self.keys.as_ptr(), Arc::as_ptr(keys))
    }

    /// Returns the caller's record, made anew where the person's record has changed.
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
