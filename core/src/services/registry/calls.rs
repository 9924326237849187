//! The form of the calls to a registry.
//!
//! The registry's credential goes with every one of the calls, and nowhere else.

use std::time::Duration;

use super::client::Registry;
use super::introspection;
use super::lookup_key::LookupKey;
use super::memory::Memory;
use crate::base::Moment;
use crate::policy::{Protocol, RegistryPolicy};
use crate::services::fetch::{Fetch, FetchRequest};

impl Registry {
    /// Returns the call for a record.
    pub(super) fn record_call(&self, key: LookupKey<'_>, state: &Memory, now: Moment) -> Fetch {
        let timeout = self.policy.timeout;
        let request = match (&self.policy.protocol, key) {
            (Protocol::Introspection { .. }, LookupKey::Token(token, _)) => self
                .call("", timeout)
                .post("application/x-www-form-urlencoded", introspection::question(token)),
            // Without an `if-none-match`: a 304 has no signature, and renews nothing.
            _ if self.policy.keys.is_some() => self.call_for("application/jose", &key.path(), timeout),
            _ => self.call(&key.path(), timeout),
        };
        Fetch::new(self.key(key.subject()), request, state.as_of(now))
    }

    /// Returns a GET below the registry's address, with its credential.
    pub(super) fn call(&self, path: &str, timeout: Duration) -> FetchRequest {
        self.call_for("application/json", path, timeout)
    }

    /// Returns the same for an answer of this media type.
    pub(super) fn call_for(&self, accepted: &str, path: &str, timeout: Duration) -> FetchRequest {
        let RegistryPolicy { cluster, url, .. } = &self.policy;
        FetchRequest::get(cluster, url.https, &url.authority, format!("{}{path}", url.path), timeout)
            .header("accept", accepted)
            .credential("authorization", &self.authorization)
    }
}
