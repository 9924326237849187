//! What a change of policy changes for requests that an access log has.
//!
//! The log holds no credential: a caller is its principal's id, and the path of a forwarded request is the one that the
//! upstream got. So a request is retraced under the policy that the log was written under, in every way in which it may
//! have been asked, and each way is judged under both. Where the ways end differently, or something that decides is in
//! neither policy, nothing is said. A caller is taken to have sent one credential. Budgets are left out, and a credential counts as there if any of its sources can
//! have one.
//!
//! Nothing here makes a [`Grant`](crate::grant::Grant), so nothing is forwarded and no secret is opened.

use std::borrow::Cow;
use std::sync::Arc;

use super::caller::Caller;
use super::{Engine, Inputs, Known, Role, Stop, Trail};
use crate::decision::{ALLOWED, ANSWERED};
use crate::fault::Fault;
use crate::grant::Scoped;
use crate::head::{Header, RequestHead};
use crate::path::RequestPath;
use crate::reason::{METHODS, Reason};
use crate::route::Route;
use crate::slot::Slot;
use crate::store::MemoryStore;
use crate::target::Asking;
use crate::time::{Moment, UnixTime};
use crate::token::{TokenDigest, TokenRecord, TokenStatus, VerifiedToken};

/// A request as an access log has it.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'l> {
    /// When it came.
    pub at: UnixTime,
    /// [`Principal::id`](crate::Principal::id) of who sent it.
    pub principal: &'l str,
    /// The method.
    pub method: &'l str,
    /// The path without the query: of a forwarded request the one that the upstream got, else the caller's.
    pub path: &'l str,
    /// The provider that it was for.
    pub provider: &'l str,
    /// The code of the reason, or `allowed`.
    pub reason: &'l str,
    /// Whether a WebSocket was opened.
    pub upgraded: bool,
}

/// What two policies say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// Both decide.
    Judged {
        /// What the policy decides under which it was recorded.
        before: Outlook,
        /// What the other decides.
        after: Outlook,
    },
    /// One of them cannot be told.
    Unjudged(Unjudged),
}

/// What a policy decides, as far as the policy alone does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outlook {
    /// The code of the reason, or `allowed`.
    pub reason: &'static str,
    /// The provider that the request is for.
    pub provider: String,
}

/// Why nothing can be said of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Unjudged {
    /// It was answered here: a preflight, metadata, the status.
    Answered,
    /// It was refused before anybody knew whose it is.
    NoPrincipal,
    /// The principal is a person, and what their JWT says is not in the log.
    Identity,
    /// Neither policy knows the principal.
    UnknownPrincipal,
    /// What the registry says of the principal is not in the log.
    Registry,
    /// The policy decides otherwise than the log says: it was written under another.
    AnotherPolicy,
    /// It may have been asked in ways of which the other policy decides differently.
    Ambiguous,
}

impl Recorded<'_> {
    /// Whether what refused it was not in the policy's hands: a budget, a service, the host, a token in the URL.
    fn would_pass(&self) -> bool {
        const FOR_NOW: [Reason; 5] = [
            Reason::RateLimited,
            Reason::RateLimitUnavailable,
            Reason::UpstreamCredentialUnavailable,
            Reason::TokenMisplaced,
            Reason::HostFailure,
        ];
        FOR_NOW.iter().any(|reason| reason.code() == self.reason)
    }
}

impl Unjudged {
    /// Its name in output for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NoPrincipal => "no_principal",
            Self::Identity => "identity",
            Self::UnknownPrincipal => "unknown_principal",
            Self::Registry => "registry",
            Self::AnotherPolicy => "another_policy",
            Self::Ambiguous => "ambiguous",
        }
    }

    /// What it means, for people.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Answered => "answered by Keyswap itself: a preflight, metadata, the status",
            Self::NoPrincipal => {
                "refused before the caller was known: the log does not say whose credential it was"
            }
            Self::Identity => "of a person: what the JWT said is not in the log",
            Self::UnknownPrincipal => "of a principal that neither policy knows",
            Self::Registry => {
                "of a principal whose record is in the registry: what it says is not in the log"
            }
            Self::AnotherPolicy => {
                "decided otherwise than the old policy decides: written under another policy"
            }
            Self::Ambiguous => {
                "asked in a way that the log does not tell, and that matters to the new policy"
            }
        }
    }
}

/// What both policies know of a principal; `None` where there is no such token.
struct Records {
    before: Option<Arc<TokenRecord>>,
    after: Option<Arc<TokenRecord>>,
    /// It is the registry that knows the principal, of whom only what was recorded can be told.
    of_registry: bool,
}

/// A way in which a request may have been asked.
struct Way {
    path: String,
    slot: Option<Slot>,
}

/// Slots that lead to different providers where neither a segment nor the path does: one for each.
const SLOTS: [Option<Slot>; 3] = [None, Some(Slot::XApiKey), Some(Slot::QueryKey)];

impl Engine {
    /// What this policy and `other` say of a request that was recorded under this one.
    ///
    /// Both engines should have a value for every variable, whatever it is: see [`Environment`](crate::Environment).
    pub fn replay(&self, recorded: &Recorded<'_>, other: &Self) -> Replayed {
        let records = match self.records(recorded, other) {
            Ok(records) => records,
            Err(why) => return Replayed::Unjudged(why),
        };
        let mut ways = self.ways(recorded);
        ways.retain(|way| {
            let before = self.foresee(recorded, way, records.before.as_ref());
            before.provider == recorded.provider
                && (before.reason == recorded.reason || (before.reason == ALLOWED && recorded.would_pass()))
        });
        let Some(way) = ways.first() else { return Replayed::Unjudged(Unjudged::AnotherPolicy) };
        let before = self.foresee(recorded, way, records.before.as_ref());
        let after = other.foresee(recorded, way, records.after.as_ref());
        let differs = |way: &Way| other.foresee(recorded, way, records.after.as_ref()) != after;
        // Which slot it was is not in the log.
        let may_be_overlooked = self.policy.slots.iter().any(|slot| !other.policy.slots.contains(slot));
        if may_be_overlooked || ways.iter().skip(1).any(differs) {
            return Replayed::Unjudged(Unjudged::Ambiguous);
        }
        if records.of_registry && records.after.is_some() && after.provider != recorded.provider {
            return Replayed::Unjudged(Unjudged::Registry);
        }
        Replayed::Judged { before, after }
    }

    fn records(&self, recorded: &Recorded<'_>, other: &Self) -> Result<Records, Unjudged> {
        // What is asked of Keyswap itself may be answered under one policy and not under the other.
        if recorded.reason == ANSWERED || recorded.path.starts_with("/.well-known/") {
            return Err(Unjudged::Answered);
        }
        if recorded.principal.is_empty() {
            return Err(Unjudged::NoPrincipal);
        }
        if self.is_person(recorded.principal) {
            return Err(Unjudged::Identity);
        }
        let before = self.tokens.find_by_id(recorded.principal).cloned();
        let after = other.tokens.find_by_id(recorded.principal).cloned();
        if before.is_some() {
            let may_be_looked_up = after.is_none() && other.registry.is_some();
            let records = Records { before, after, of_registry: false };
            return if may_be_looked_up { Err(Unjudged::Registry) } else { Ok(records) };
        }
        match (&self.registry, after) {
            (None, Some(_)) => Err(Unjudged::AnotherPolicy),
            (None, None) => Err(Unjudged::UnknownPrincipal),
            // With issuers it may be a person as well.
            (Some(_), _) if recorded.reason != ALLOWED || !self.policy.issuers.is_empty() => {
                Err(Unjudged::Registry)
            }
            (Some(_), after) => {
                let witnessed = Arc::new(self.witnessed(recorded));
                let of_registry = after.is_none();
                let looked_up = other.registry.is_some().then(|| Arc::clone(&witnessed));
                Ok(Records { before: Some(witnessed), after: after.or(looked_up), of_registry })
            }
        }
    }

    /// What a forwarded request tells of a token that is in the registry: its provider is in scope.
    fn witnessed(&self, recorded: &Recorded<'_>) -> TokenRecord {
        TokenRecord {
            // It chooses between keys that are all there.
            digest: self.policy.digest,
            label: String::new(),
            owner: None,
            status: TokenStatus::Active,
            providers: vec![recorded.provider.to_owned()],
            models: TokenRecord::all_models(),
            expires_at: None,
            rate_limit: None,
        }
    }

    fn is_person(&self, id: &str) -> bool {
        self.policy.people.values().any(|record| record.id() == id)
    }

    /// The ways in which it may have been asked.
    fn ways(&self, recorded: &Recorded<'_>) -> Vec<Way> {
        let in_every_slot = |path: String| SLOTS.map(|slot| Way { path: path.clone(), slot });
        if recorded.reason != ALLOWED {
            return in_every_slot(recorded.path.to_owned()).into();
        }
        let provider = self.policy.providers.iter().find(|provider| provider.id == recorded.provider);
        let upstream = self.upstreams.iter().find(|upstream| upstream.provider == recorded.provider);
        let (Some(upstream), Some(provider)) = (upstream, provider) else { return Vec::new() };
        let below = upstream.below.retrace(recorded.path, recorded.upgraded);
        let named: Vec<String> = below.iter().map(|path| format!("/{}{path}", provider.slug)).collect();
        let unnamed = below.into_iter().filter(|path| !path.is_empty());
        // What names a provider here may name none to the other policy, so that the slot may matter to it.
        named.into_iter().chain(unnamed).flat_map(in_every_slot).collect()
    }

    /// What is decided about a request that was asked in this way, by whom the record is of.
    fn foresee(&self, recorded: &Recorded<'_>, way: &Way, record: Option<&Arc<TokenRecord>>) -> Outlook {
        let upgrade = [Header { name: b"upgrade", value: b"websocket" }];
        let head = RequestHead {
            method: recorded.method.as_bytes(),
            path: way.path.as_bytes(),
            authority: b"",
            headers: if recorded.upgraded { &upgrade } else { &[] },
            peer: || None,
        };
        let path = RequestPath::parse(head.path);
        let route =
            Route::find(&self.policy.providers, &head, path.as_ref().unwrap_or(&RequestPath::ROOT), way.slot);
        let judged = match path {
            _ if !METHODS.contains(&recorded.method) => Err(Reason::MethodNotAllowed),
            Err(fault) => Err(Fault::Path(fault).reason()),
            Ok(_) => record
                .ok_or(Reason::TokenInvalid)
                .and_then(|record| self.admits(record, route, &head, recorded.at)),
        };
        Outlook {
            reason: judged.map_or_else(Reason::code, |()| ALLOWED),
            provider: route.provider.to_owned(),
        }
    }

    /// Whether the policy lets whom the record is of do that.
    fn admits<'a>(
        &'a self,
        record: &'a Arc<TokenRecord>,
        route: Route<'a>,
        head: &RequestHead<'a>,
        at: UnixTime,
    ) -> Result<(), Reason> {
        let token = VerifiedToken::judge(record, at).map_err(|fault| fault.reason())?;
        let asking = Asking {
            is_upgrade: head.is_websocket_upgrade(),
            is_post: head.method == b"POST",
            query: None,
            token: b"",
        };
        let scoped = Scoped::new(token, route, &self.upstreams, &asking).map_err(|fault| fault.reason())?;
        if asking.is_upgrade && !self.services.host().upgrades {
            return Err(Fault::Upgrade.reason());
        }
        let caller = Caller { record: Arc::clone(record), token: Cow::Borrowed(b""), slot: None };
        let (known, store) = (Known::default(), MemoryStore::default());
        let role = |_: &TokenDigest| Role::Shadows;
        let inputs = Inputs { head, known: &known, now: Moment::from(at), store: &store, role: &role };
        match self.unlock(scoped, &caller, &inputs, &mut Trail::new()) {
            Ok(_) => Ok(()),
            Err(Stop::Refuse(fault)) => Err(fault.reason()),
            Err(Stop::Fetch(_) | Stop::Answer(_) | Stop::Status(_)) => {
                Err(Reason::UpstreamCredentialUnavailable)
            }
        }
    }
}
