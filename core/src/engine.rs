//! The engine: one policy with its secrets, ready to judge requests.
//!
//! A request passes the stages Route → Extract → Verify → Scope → Credential → Limit → Rewrite; the first check that fails ends
//! it. [`Grant`](crate::grant::Grant) makes the order binding: a rewrite cannot be written without one.
//!
//! Judging is a function of the head, the time, the store, and what fetches resolved to. Where it lacks something it
//! says what, and once that is there the same head is judged again from the start. So there is no half-judged state
//! to keep, and nothing is charged twice: a request that waits has taken nothing from its budget yet.

mod budget;
mod caller;
mod keys;
mod known;
mod replay;
pub(crate) mod status;
mod trail;
mod verdicts;
mod vouched;

use std::rc::Rc;

use self::known::Known;
pub use self::replay::{Outlook, Recorded, Replayed, Unjudged};
use self::trail::{Inputs, Stop, Trail};
use self::verdicts::Verdicts;
use crate::cors;
use crate::credential::{self, Credential};
use crate::decision::{Check, Decision, Verdict};
use crate::fault::Fault;
use crate::fetch::{Fetch, FetchKey, Resolution};
use crate::grant::{Grant, Scoped};
use crate::head::RequestHead;
use crate::keyring::KeyRing;
use crate::limit::Keeper;
use crate::path::RequestPath;
use crate::policy::{Policy, PolicyErrors};
use crate::protected::{Protected, is_spelling_of};
use crate::provider::Dialect;
use crate::reason::METHODS;
use crate::registry::Registry;
use crate::reply::LocalReply;
use crate::resource::Resource;
use crate::rewrite::{Original, Rewrite, SUBPROTOCOL};
use crate::route::Route;
use crate::secret::Environment;
use crate::services::Services;
use crate::slot::Slot;
use crate::store::Store;
use crate::target::Asking;
use crate::time::Moment;
use crate::token::{Principal, TokenDigest, TokenTable, VerifiedToken};
use crate::upstream::{self, Credentials, Pool, Upstream};

/// A policy, compiled together with the secrets it names, and what was learnt of tokens since.
pub struct Engine {
    policy: Policy,
    tokens: TokenTable,
    registry: Option<Rc<Registry>>,
    /// The keys of each issuer, in the order of the policy's.
    issuer_keys: Vec<Rc<KeyRing>>,
    /// Identity JWTs that held.
    verdicts: Verdicts,
    credentials: Credentials,
    upstreams: Vec<Upstream>,
    protected: Protected,
    keeper: Keeper,
    services: Rc<Services>,
}

/// What a host does next with a request.
#[must_use]
#[allow(clippy::large_enum_variant, reason = "a decision is what it nearly always is")]
pub enum Step<'a> {
    /// Carry out the decision.
    Decide(Decision<'a>),
    /// Fetch something, and then go on with [`Engine::resume`]. Requests that want the same key share one fetch.
    Fetch(Box<Fetch>, Pending),
}

/// The part that a policy has in a request of which two judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// What it decides is carried out.
    Decides,
    /// It only tells what it would decide: nothing is taken from anybody's budget.
    Shadows,
}

/// A request that waits for a fetch. It holds nothing of the head, so the host must keep that, or read it again.
pub struct Pending {
    wanted: FetchKey,
    known: Known,
}

impl Engine {
    /// Compiles a policy for a host. Every secret that it needs is looked up here, once.
    ///
    /// # Errors
    /// What the host has not, and all secrets that are missing or cannot stand in a header: each with its place in the
    /// policy and the name of its variable, never its value.
    pub fn new(
        policy: Policy,
        environment: &dyn Environment,
        services: &Rc<Services>,
    ) -> Result<Self, PolicyErrors> {
        let credentials = Credentials::new(&policy.credentials, environment, services);
        let registry = policy.open_registry(environment, services);
        let secrets = PolicyErrors::both(credentials, registry);
        let ((), (credentials, registry)) = PolicyErrors::both(policy.fits(services.host()), secrets)?;
        let keeper = policy.keeper(services.host());
        let upstreams = upstream::build_all(&policy, &credentials);
        let protected = Protected::of(&policy);
        let tokens = TokenTable::new(policy.tokens.iter().cloned());
        let issuer_keys = policy.issuers().iter().map(|issuer| services.key_ring(issuer)).collect();
        Ok(Self {
            policy,
            tokens,
            registry,
            issuer_keys,
            verdicts: Verdicts::default(),
            credentials,
            upstreams,
            protected,
            keeper,
            services: Rc::clone(services),
        })
    }

    /// Whether a header of this name can carry a credential, in any spelling. As a trailer it is never forwarded.
    pub fn is_slot(&self, name: &[u8]) -> bool {
        self.protected.has(name) || is_spelling_of(name, SUBPROTOCOL)
    }

    /// Judges one request.
    pub fn begin<'a>(&'a self, head: &RequestHead<'a>, now: Moment, store: &dyn Store) -> Step<'a> {
        self.begin_as(&|_| Role::Decides, head, now, store)
    }

    /// The same for one of two policies: `role` says of a principal what part this one has.
    pub(crate) fn begin_as<'a>(
        &'a self,
        role: &dyn Fn(&TokenDigest) -> Role,
        head: &RequestHead<'a>,
        now: Moment,
        store: &dyn Store,
    ) -> Step<'a> {
        self.step(role, head, Known::default(), now, store)
    }

    /// Goes on with a request, now that its fetch is done.
    pub fn resume<'a>(
        &'a self,
        pending: Pending,
        resolution: Resolution,
        head: &RequestHead<'a>,
        now: Moment,
        store: &dyn Store,
    ) -> Step<'a> {
        self.resume_as(&|_| Role::Decides, pending, resolution, head, now, store)
    }

    /// The same for one of two policies.
    pub(crate) fn resume_as<'a>(
        &'a self,
        role: &dyn Fn(&TokenDigest) -> Role,
        pending: Pending,
        resolution: Resolution,
        head: &RequestHead<'a>,
        now: Moment,
        store: &dyn Store,
    ) -> Step<'a> {
        let Pending { wanted, mut known } = pending;
        known.learn(wanted, resolution);
        self.step(role, head, known, now, store)
    }

    /// The SHA-256 of the policy in hexadecimal digits.
    pub(crate) fn sha256(&self) -> String {
        self.policy.sha256()
    }

    /// Whether the policy decides nothing, and only tells what it would have decided.
    pub(crate) fn is_shadow(&self) -> bool {
        self.policy.shadow.is_some()
    }

    /// Whether upstreams are told, too.
    pub(crate) fn tells_upstreams(&self) -> bool {
        self.policy.shadow.is_some_and(|shadow| shadow.header)
    }

    /// The services that the policy asks, which take the answers to its fetches.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The fetches that are due and that no request waits for. A host asks about once a second; what other workers have
    /// told since is heard by the way.
    pub fn due(&self, now: Moment, store: &dyn Store) -> Vec<Fetch> {
        self.listen(now, store);
        self.services.due(now)
    }

    /// Hears what other workers have told.
    pub(crate) fn listen(&self, now: Moment, store: &dyn Store) {
        let pools = self.upstreams.iter().filter_map(|upstream| upstream.keys.as_ref());
        let members = pools.filter(|pool| pool.only().is_none()).flat_map(Pool::members);
        for credential in members.filter_map(|member| self.credentials.get(member.credential)) {
            credential.rest().listen(now, store);
        }
    }

    fn step<'a>(
        &'a self,
        role: &dyn Fn(&TokenDigest) -> Role,
        head: &RequestHead<'a>,
        known: Known,
        now: Moment,
        store: &dyn Store,
    ) -> Step<'a> {
        let mut trail = Trail::new();
        let inputs = Inputs { head, known: &known, now, store, role };
        let judged = self.judge(&inputs, &mut trail);
        trail.response.cross_origin(cors::headers(&self.policy.origins, head), cors::UPSTREAMS, head);
        let verdict = match judged {
            Ok(rewrite) => {
                trail.checks.push(Check::Rewritten(rewrite.authority));
                Verdict::Forward(rewrite)
            }
            Err(Stop::Answer(reply)) => Verdict::Answer(reply),
            Err(Stop::Status(report)) => {
                let reply = status::reply(&report);
                let decision = trail.decide(Verdict::Answer(reply));
                return Step::Decide(Decision { status: Some(report), ..decision });
            }
            Err(Stop::Refuse(fault)) => {
                trail.checks.push(Check::Refused(fault));
                let dialect = trail.route.map_or(Dialect::OpenAi, |route| route.dialect);
                let headers = trail.response.for_reply(&fault);
                let mut reply = LocalReply::refuse(fault.reason(), dialect, headers);
                if let Some(resource) = &self.policy.resource {
                    resource.guide(&fault, head, &mut reply);
                }
                Verdict::Reply(fault.reason(), reply)
            }
            Err(Stop::Fetch(fetch)) => {
                let pending = Pending { wanted: fetch.key.clone(), known };
                return Step::Fetch(fetch, pending);
            }
        };
        Step::Decide(trail.decide(verdict))
    }

    fn judge<'a>(&'a self, inputs: &Inputs<'a, '_>, trail: &mut Trail<'a>) -> Result<Rewrite<'a>, Stop<'a>> {
        let head = inputs.head;
        if !METHODS.iter().any(|method| method.as_bytes() == head.method) {
            return Err(Fault::Method.into());
        }
        if let Some(answer) = self.answer(head) {
            return Err(Stop::Answer(answer));
        }
        let path = match RequestPath::parse(head.path) {
            Ok(path) => path,
            Err(fault) => {
                // For the dialect of the refusal, as far as headers tell.
                trail.route = Some(self.route(head, &RequestPath::ROOT).1);
                return Err(Fault::Path(fault).into());
            }
        };
        trail.checks.push(Check::PathAccepted);

        // The slot may tell the provider, and a refusal wants the provider's dialect: so look, route, then judge.
        let (found, route) = self.route(head, &path);
        trail.route = Some(route);
        trail.checks.push(Check::Routed { provider: route.provider, by: route.by });

        if let Some(policy) = self.policy.status.filter(|_| status::is_asked(head, &path)) {
            return Err(self.status(policy, found, inputs, trail));
        }
        let caller = self.caller(found, inputs, trail)?;
        trail.principal = Some(Principal::of(&caller.record));
        let token = VerifiedToken::judge(&caller.record, inputs.now.unix())?;
        trail.checks.push(Check::TokenValid(caller.record.expires_at));

        let asking = Asking {
            is_upgrade: head.is_websocket_upgrade(),
            is_post: head.method == b"POST",
            query: path.query,
            token: &caller.token,
        };
        let scoped = Scoped::new(token, route, &self.upstreams, &asking)?;
        trail.checks.push(Check::InScope(route.provider));

        // Nothing is asked for, and nothing counted, for what cannot be done.
        if asking.is_upgrade && !self.services.host().upgrades {
            return Err(Fault::Upgrade.into());
        }
        let unlocked = self.unlock(scoped, &caller, inputs, trail)?;
        let counted = self.count(&unlocked, inputs)?;
        let grant = unlocked.admit(self.policy.rate_limit, counted)?;
        self.note_budget(&grant, trail);

        let original = Original {
            head,
            token: &caller.token,
            protected: &self.protected,
            metadata: self.policy.metadata(),
        };
        Ok(Rewrite::for_grant(&grant, &original))
    }

    /// What needs no caller: a preflight, and how to become one.
    fn answer(&self, head: &RequestHead<'_>) -> Option<LocalReply> {
        let origins = &self.policy.origins;
        let describe = |resource: &Resource| {
            resource.describe(head, self.policy.issuers(), cors::headers(origins, head))
        };
        cors::preflight(origins, head).or_else(|| self.policy.resource.as_ref().and_then(describe))
    }

    fn note_budget<'a>(&'a self, grant: &Grant<'a>, trail: &mut Trail<'a>) {
        if let Some(taken) = grant.taken() {
            trail.checks.push(Check::WithinLimit { remaining: taken.remaining });
            trail.response.budget(taken);
        } else if grant.record().rate_limit.is_some() || self.policy.rate_limit.is_some() {
            trail.checks.push(Check::Uncounted);
        }
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
