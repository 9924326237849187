//! The records that policies have of the principal of a logged request.

use std::sync::Arc;

use super::logged::{LoggedRequest, NotReplayable};
use crate::identity::{CallerKind, CallerRecord, Models, Scope, TokenStatus};
use crate::judge::engine::Engine;
use crate::judge::tell::{ALLOWED, ANSWERED};

/// The records that both policies have of a principal; `None` where there is no such token.
pub(super) struct Records {
    pub(super) before: Option<Arc<CallerRecord>>,
    pub(super) after: Option<Arc<CallerRecord>>,
    /// Set where the registry knows the principal. Its record is then only what the log implies.
    pub(super) of_registry: bool,
}

impl Engine {
    pub(super) fn records(&self, logged: &LoggedRequest<'_>, other: &Self) -> Result<Records, NotReplayable> {
        // A request to Keyswap itself may be answered under one policy and not under the other.
        if logged.reason == ANSWERED || logged.path.starts_with("/.well-known/") {
            return Err(NotReplayable::Answered);
        }
        if logged.principal.is_empty() {
            return Err(NotReplayable::NoPrincipal);
        }
        if self.is_person(logged.principal) {
            return Err(NotReplayable::Identity);
        }
        let before = self.authenticator.tokens().find_by_id(logged.principal).cloned();
        let after = other.authenticator.tokens().find_by_id(logged.principal).cloned();
        if before.is_some() {
            let may_be_looked_up = after.is_none() && other.authenticator.registry().is_some();
            let records = Records { before, after, of_registry: false };
            return if may_be_looked_up { Err(NotReplayable::Registry) } else { Ok(records) };
        }
        match (self.authenticator.registry(), after) {
            (None, Some(_)) => Err(NotReplayable::AnotherPolicy),
            (None, None) => Err(NotReplayable::UnknownPrincipal),
            // With issuers or client certificates it may be their subject as well.
            (Some(_), _) if logged.reason != ALLOWED || self.policy.rights().next().is_some() => {
                Err(NotReplayable::Registry)
            }
            // The log does not say to which credential the registry's record binds the token.
            (Some(_), after)
                if self.is_for_bound_only(logged.provider)
                    || (after.is_none() && other.is_for_bound_only(logged.provider)) =>
            {
                Err(NotReplayable::Registry)
            }
            // The registry's record may name a group of models.
            (Some(_), None) if self.policy.model_groups != other.policy.model_groups => {
                Err(NotReplayable::Registry)
            }
            (Some(_), after) => {
                let record_from_log = Arc::new(self.record_from_log(logged));
                let of_registry = after.is_none();
                let looked_up =
                    other.authenticator.registry().is_some().then(|| Arc::clone(&record_from_log));
                Ok(Records { before: Some(record_from_log), after: after.or(looked_up), of_registry })
            }
        }
    }

    /// Returns whether a provider has credentials for bound callers only.
    fn is_for_bound_only(&self, provider: &str) -> bool {
        let upstream = self.upstreams.iter().find(|upstream| upstream.provider == provider);
        upstream.and_then(|upstream| upstream.keys.as_ref()).is_some_and(|keys| keys.pool().is_none())
    }

    /// Returns the record that a forwarded request implies for a token that is in the registry: its provider is in
    /// scope, and the class of the endpoint is open.
    fn record_from_log(&self, logged: &LoggedRequest<'_>) -> CallerRecord {
        CallerRecord {
            kind: CallerKind::Token,
            // Any digest will do: it only chooses between keys that are all there.
            digest: self.policy.digest,
            holder: self.policy.digest,
            label: String::new(),
            owner: None,
            team: None,
            status: TokenStatus::Active,
            scope: Scope::read(["*", "mint"].map(|class| format!("{}:{class}", logged.provider))),
            models: Models::all(),
            expires_at: None,
            rate_limit: None,
            ended_sessions: Vec::new(),
            certificate: None,
            budget: None,
        }
    }

    fn is_person(&self, id: &str) -> bool {
        self.policy.people.values().any(|record| record.id() == id)
    }
}
