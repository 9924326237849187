//! The engine: one policy with its secrets, ready to judge requests.
//!
//! A request passes the stages Route → Extract → Verify → Scope → Rewrite; the first check that fails ends it.
//! [`Grant`] makes the order binding: a rewrite cannot be written without one.

use crate::credential::{self, Credential};
use crate::decision::{Check, Decision, Verdict};
use crate::fault::Fault;
use crate::grant::Grant;
use crate::head::RequestHead;
use crate::path::RequestPath;
use crate::policy::{Policy, PolicyErrors};
use crate::protected::{Protected, is_protected, is_spelling_of};
use crate::provider::{AuthStyle, Dialect, OPENAI};
use crate::reason::METHODS;
use crate::reply::LocalReply;
use crate::rewrite::{Original, Rewrite, SUBPROTOCOL};
use crate::route::Route;
use crate::secret::Environment;
use crate::slot::Slot;
use crate::time::UnixTime;
use crate::token::{Principal, TokenTable, VerifiedToken};
use crate::upstream::{self, Upstream};

/// A policy, compiled together with the secrets it names.
pub struct Engine {
    policy: Policy,
    tokens: TokenTable,
    upstreams: Vec<Upstream>,
    protected: Protected,
}

impl Engine {
    /// Compiles a policy. Every secret that it needs is looked up here, once.
    ///
    /// # Errors
    /// All secrets that are missing or cannot stand in a header, each with its place in the policy and the name
    /// of its variable, never its value.
    pub fn new(policy: Policy, environment: &dyn Environment) -> Result<Self, PolicyErrors> {
        let upstreams = upstream::build_all(&policy, environment)?;
        let headers = policy.enabled_providers().filter_map(|provider| match &provider.auth {
            AuthStyle::Bearer => None,
            AuthStyle::Header(name) => Some(name.clone()),
        });
        let protected = Protected(headers.filter(|name| !is_protected(name.as_bytes())).collect());
        let tokens = TokenTable::new(policy.tokens.iter().cloned());
        Ok(Self { policy, tokens, upstreams, protected })
    }

    /// Whether a header of this name can carry a credential, in any spelling. As a trailer it is never forwarded.
    pub fn is_slot(&self, name: &[u8]) -> bool {
        self.protected.has(name) || is_spelling_of(name, SUBPROTOCOL)
    }

    /// Judges one request.
    pub fn decide<'a>(&'a self, head: &RequestHead<'a>, now: UnixTime) -> Decision<'a> {
        let mut trail = Trail { checks: Vec::with_capacity(8), route: None, principal: None };
        let verdict = match self.judge(head, now, &mut trail) {
            Ok(rewrite) => {
                trail.checks.push(Check::Rewritten(rewrite.authority));
                Verdict::Forward(rewrite)
            }
            Err(fault) => {
                trail.checks.push(Check::Refused(fault));
                let dialect = trail.route.map_or(Dialect::OpenAi, |route| route.dialect);
                Verdict::Reply(fault.reason(), LocalReply::refuse(fault.reason(), dialect))
            }
        };
        let provider = trail.route.map_or(OPENAI, |route| route.provider);
        Decision { verdict, checks: trail.checks, provider, principal: trail.principal }
    }

    fn judge<'a>(
        &'a self,
        head: &RequestHead<'a>,
        now: UnixTime,
        trail: &mut Trail<'a>,
    ) -> Result<Rewrite<'a>, Fault<'a>> {
        if !METHODS.iter().any(|method| method.as_bytes() == head.method) {
            return Err(Fault::Method);
        }
        let path = match RequestPath::parse(head.path) {
            Ok(path) => path,
            Err(fault) => {
                // For the dialect of the refusal, as far as headers tell.
                trail.route = Some(self.route(head, &RequestPath::ROOT).1);
                return Err(Fault::Path(fault));
            }
        };
        trail.checks.push(Check::PathAccepted);

        // The slot may tell the provider, and a refusal wants the provider's dialect: so look, route, then judge.
        let (found, route) = self.route(head, &path);
        trail.route = Some(route);
        trail.checks.push(Check::Routed { provider: route.provider, by: route.by });

        let credential = found.map_err(Fault::CredentialAmbiguous)?.ok_or(Fault::CredentialMissing)?;
        trail.checks.push(Check::CredentialFound(credential.slot));

        let record = self.tokens.find(&credential.token).ok_or(Fault::TokenUnknown)?;
        trail.principal = Some(Principal::of(record));
        let token = VerifiedToken::judge(record, now)?;
        trail.checks.push(Check::TokenValid(record.expires_at));

        let grant = Grant::new(token, route, &self.upstreams).ok_or(Fault::OutOfScope(route.provider))?;
        trail.checks.push(Check::InScope(route.provider));

        let original = Original {
            head,
            path: &path,
            token: &credential.token,
            protected: &self.protected,
            metadata: self.policy.metadata(),
        };
        Rewrite::for_grant(&grant, &original)
    }

    /// The credential and the route that it helps to tell.
    fn route<'a>(
        &'a self,
        head: &RequestHead<'a>,
        path: &RequestPath<'a>,
    ) -> (Result<Option<Credential<'a>>, Slot>, Route<'a>) {
        let found = credential::find(&self.policy.slots, head, path);
        let slot = found.as_ref().ok().and_then(Option::as_ref).map(|credential| credential.slot);
        let route = Route::find(&self.policy.providers, head, path, slot);
        (found, route)
    }
}

/// What was found on the way to a verdict.
struct Trail<'a> {
    checks: Vec<Check<'a>>,
    route: Option<Route<'a>>,
    principal: Option<Principal>,
}
