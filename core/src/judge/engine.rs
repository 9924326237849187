//! The engine: one policy with its secrets, ready to judge requests.
//!
//! A request passes the stages Route → Extract → Verify → Scope → Credential → Limit → Rewrite; the first check that
//! fails ends it. A [`Grant`] makes the order binding: a rewrite cannot be written without one.
//!
//! Judging is a function of the head, the time, the store, and the resolutions of fetches. Where it lacks a value, it
//! returns the call to make; then the same head is judged again from the start. So no half-judged state is kept, and
//! nothing is charged twice: a request that waits has taken nothing from its budget yet.

use std::rc::Rc;

use super::admit::{MeteringTrait, ModelNames, RequestTraits, Scoped, UpstreamKeys, count};
use super::body::{BodyPlan, MeterRules};
use super::forward::{MetadataTexts, Original, Protected, Rewrite, SUBPROTOCOL};
use super::progress::{Admitted, AnswerHead, Check, Context, Exit, Part, Progress, Request, Sent, Suspended};
use super::tell::{
    Decision, Observation, RolloutFacts, StatusSources, Verdict, is_local, is_me_query, is_status_query,
    me_reply, status_reply,
};
use super::verify::{Authenticator, Caller};
use crate::answer::{CheckError, is_forwarded};
use crate::base::{Digest, Moment};
use crate::host::{Environment, Store};
use crate::identity::{CallerRecord, Principal};
use crate::limit::{InForce, LimitStore};
use crate::policy::{MeteringPolicy, Policy, PolicyErrors, StatusPolicy};
use crate::provider::{Dialect, Route, Segments};
use crate::request::{Credential, HeaderNames, RequestHead, Slot, credential};
use crate::services::registry::Registry;
use crate::services::{Fetch, FetchResults, Services};
use crate::syntax::{RequestPath, is_spelling_of};
use crate::upstream::{self, Broker, Credentials, Uploads, Upstream};

/// A policy, compiled together with the secrets it names, and its caches.
pub(crate) struct Engine {
    pub(super) policy: Rc<Policy>,
    pub(super) authenticator: Authenticator,
    pub(super) keys: UpstreamKeys,
    pub(super) upstreams: Vec<Upstream>,
    protected: Protected,
    texts: MetadataTexts,
    pub(super) segments: Segments,
    pub(super) names: Rc<ModelNames>,
    meter_rules: Rc<MeterRules>,
    limit_store: LimitStore,
    pub(super) broker: Option<Rc<Broker>>,
    pub(super) uploads: Option<Rc<Uploads>>,
    pub(super) services: Rc<Services>,
}

impl Engine {
    /// Compiles a policy for a host. Every secret that it needs is looked up here, once.
    ///
    /// # Errors
    /// Every ability that the host lacks, and every secret that is missing or cannot stand in a header. Each error has
    /// its place in the policy and the name of the variable, never its value.
    pub(crate) fn new(
        policy: Policy,
        environment: &dyn Environment,
        services: &Rc<Services>,
    ) -> Result<Self, PolicyErrors> {
        let credentials = Credentials::new(&policy.credentials, environment, services);
        let registry = policy.registry.as_ref().map(|registry| services.registry(registry, environment));
        let registry = registry.transpose().map_err(|error| PolicyErrors(vec![error]));
        let broker = policy.broker.as_ref().map(|broker| Broker::new(broker, environment));
        let broker = broker.transpose().map_err(|error| PolicyErrors(vec![error]));
        let secrets = PolicyErrors::both(PolicyErrors::both(credentials, registry), broker);
        let ((), ((credentials, registry), broker)) =
            PolicyErrors::both(policy.fits(services.host()), secrets)?;
        let broker = broker.map(Rc::new);
        let uploads = uploads(&policy, registry.as_deref(), environment)?.map(Rc::new);
        let policy = Rc::new(policy);
        let upstreams = upstream::build_all(&policy, &credentials);
        let authenticator =
            Authenticator::new(&policy, registry, (broker.clone(), uploads.clone()), &upstreams, services);
        Ok(Self {
            meter_rules: Rc::new(MeterRules::of(&policy, authenticator.registry(), services.host())),
            authenticator,
            upstreams,
            keys: UpstreamKeys::new(credentials),
            protected: Protected::of(&policy),
            texts: MetadataTexts::default(),
            segments: Segments::of(&policy.providers),
            names: Rc::new(ModelNames::new(&policy.model_groups, &policy.providers)),
            limit_store: policy.limit_store(services.host()),
            broker,
            uploads,
            policy,
            services: Rc::clone(services),
        })
    }

    /// Tells whether a header of this name can carry a credential, in any spelling. Such a trailer is never forwarded.
    pub(crate) fn is_slot(&self, name: &[u8]) -> bool {
        self.protected.has(name) || is_spelling_of(name, SUBPROTOCOL)
    }

    /// Returns the SHA-256 of the policy.
    pub(crate) fn digest(&self) -> Digest {
        self.policy.digest
    }

    /// Tells whether the policy is in shadow mode: it reports its decisions, and none is carried out.
    pub(crate) fn is_shadow(&self) -> bool {
        self.policy.shadow.is_some()
    }

    /// Tells whether access logs get the values of a request.
    pub(crate) fn tells_access_log(&self) -> bool {
        self.policy.tells_access_log
    }

    /// Tells whether upstreams get the report of shadow mode, too.
    pub(crate) fn tells_upstreams(&self) -> bool {
        self.policy.shadow.is_some_and(|shadow| shadow.header)
    }

    /// Takes over what other workers have learnt.
    pub(crate) fn adopt_shared(&self, now: Moment, store: &dyn Store) {
        self.keys.adopt_shared(self.upstreams.iter(), now, store);
    }

    /// Judges a request.
    ///
    /// # Errors
    /// The call to make first, and the judgement that goes on after it.
    pub(crate) fn judge<'a>(
        &'a self,
        results: FetchResults,
        part: Part,
        rollout: &RolloutFacts,
        request: &Request<'a, '_>,
    ) -> Result<Box<Decision<'a>>, (Box<Fetch>, Suspended)> {
        let Request { head, now, store } = *request;
        let mut progress = Progress::new();
        // What is for another host is not even a preflight of ours.
        let is_served = self.policy.serves(head);
        let answer = if is_served && is_forwarded(head.method) { self.answer(head) } else { None };
        let names = if answer.is_none() { HeaderNames::of(head) } else { HeaderNames::default() };
        let context = Context { head, names: &names, now, store, results: &results, part };
        let judged = match answer {
            Some(answer) => Err(Exit::Answer(answer)),
            None if !is_served => Err(Exit::Refuse(CheckError::OtherHost)),
            None => self.pass_stages(&context, &mut progress),
        };
        let mut plan = None;
        let verdict = match judged {
            Ok((rewrite, bodies)) => {
                plan = bodies;
                self.tell_page(head, &names, &mut progress);
                progress.checks.push(Check::Rewritten(rewrite.authority));
                progress.note_admitted(head);
                Verdict::Forward(rewrite)
            }
            Err(Exit::Answer(reply)) => Verdict::Answer(reply),
            Err(Exit::Status) => {
                let reply = status_reply(&self.status_sources(), rollout, now);
                let mut decision = Box::new(Decision::of(Verdict::Answer(reply), progress));
                decision.follow_up.tells_status = true;
                return Ok(decision);
            }
            Err(Exit::Refuse(error)) => self.refuse(error, head, &names, &mut progress),
            Err(Exit::Fetch(fetch)) => {
                let suspended = Suspended::new(fetch.key.clone(), results);
                return Err((fetch, suspended));
            }
        };
        let dialect = progress.route.map_or(Dialect::OpenAi, |route| route.dialect);
        // In a box, for all of it would be moved at every step from here.
        let mut decision = Box::new(Decision::of(verdict, progress));
        if let Some(plan) = plan {
            decision.follow(plan, dialect, head);
        }
        Ok(decision)
    }

    /// Passes a request through the stages, in order.
    fn pass_stages<'a>(
        &'a self,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<(Rewrite<'a>, Option<Box<BodyPlan>>), Exit<'a>> {
        let head = context.head;
        context.check_method()?;
        let path = match RequestPath::parse(head.path) {
            Ok(path) => path,
            Err(error) => self.judge_odd_path(error, context, progress)?,
        };
        progress.checks.push(Check::PathAccepted);

        // The slot may tell the provider, and a refusal wants the provider's dialect: so look, route, then judge.
        let (found, route) = self.route(context, &path);
        progress.route = Some(route);
        progress.checks.push(Check::Routed { provider: route.provider, by: route.by });

        if let Some(status) = self.policy.status.filter(|_| is_status_query(head, &path)) {
            self.check_status_caller(status, found, context, progress)?;
            return Err(Exit::Status);
        }
        let caller = self.authenticator.authenticate(found, context, progress)?;
        progress.principal = Some(Principal::of(&caller.record));
        progress.note_models(&caller.record, context.names, &self.policy.model_groups);
        let token = caller.verify(context)?;
        progress.checks.push(Check::TokenValid(caller.record.expires_at));
        if is_me_query(head, &path) {
            caller.check_own()?;
            let registry = self.authenticator.registry();
            return Err(Exit::Answer(me_reply(&self.policy, registry, &caller.record, context)));
        }

        // A second credential may have told another route than the first.
        let Some(route) = progress.route else { return Err(CheckError::Host.into()) };
        let traits = self.traits(context, &path, &caller);
        let scoped = Scoped::new(token, route, &self.upstreams, &traits);
        self.note_scope(&scoped, &caller, progress)?;
        let mut scoped = scoped?;
        scoped.open_upload(self.uploads.as_deref(), caller.is_uploading(), context.now.unix())?;
        self.check_objects(&scoped, context)?;
        let (host, registry) = (self.services.host(), self.authenticator.registry());
        let bodies = BodyPlan::of(&scoped, head, host, &self.policy, &self.meter_rules, registry)?;

        // A request that cannot be carried out fetches nothing, and is not counted.
        if traits.is_upgrade && !self.services.host().upgrades {
            return Err(CheckError::Upgrade.into());
        }
        let unlocked = self.keys.unlock(&mut scoped, &caller, context, progress)?;
        let rule = self.policy.rate_limit;
        let counted = count(&unlocked, rule, self.limit_store, registry.map(|it| &**it), context)?;
        let mut grant = unlocked.admit(rule, counted)?;
        self.note_grant(&grant, context, progress);

        let original = Original {
            head,
            names: context.names,
            token: &caller.token,
            protected: &self.protected,
            metadata: self.policy.metadata(),
            texts: &self.texts,
        };
        Ok((Rewrite::for_grant(&mut grant, &original), bodies))
    }

    /// Returns the fault for which the exchange of an admitted caller ends now, if there is one, and the calls that the
    /// look gives rise to. A caller whose record cannot be had at the moment keeps its exchange.
    pub(crate) fn look_again(
        &self,
        admitted: &Admitted,
        now: Moment,
        store: &dyn Store,
    ) -> (Option<Observation>, Vec<Fetch>) {
        if !self.policy.ends_exchanges || self.is_shadow() {
            return (None, Vec::new());
        }
        let (head, results) = (RequestHead::new(b"", b"", &[]), FetchResults::default());
        let names = HeaderNames::of(&head);
        let context =
            Context { head: &head, names: &names, now, store, results: &results, part: Part::Compares };
        let mut progress = Progress::new();
        let fault = match self.authenticator.look_again(admitted, &context, &mut progress) {
            Ok(()) | Err(Exit::Answer(_) | Exit::Status | Exit::Refuse(CheckError::RegistryUnavailable)) => {
                None
            }
            Err(Exit::Refuse(error)) => Some(Observation::ended(admitted, error)),
            Err(Exit::Fetch(fetch)) => {
                progress.refresh.push(*fetch);
                None
            }
        };
        (fault, progress.refresh)
    }

    /// Notes the scope that was found, or the words for its refusal. A request that mints needs a caller for which the answer
    /// can be brokered.
    fn note_scope<'a>(
        &'a self,
        scoped: &Result<Scoped<'a>, CheckError<'a>>,
        caller: &Caller<'a>,
        progress: &mut Progress<'a>,
    ) -> Result<(), CheckError<'a>> {
        let scoped = match scoped {
            Ok(scoped) => scoped,
            Err(error) => {
                progress.words = match (error, progress.route) {
                    (CheckError::Endpoint, Some(route)) => self.words_for_endpoint(route),
                    _ => self.words_for(error, &caller.record),
                };
                return Ok(());
            }
        };
        progress.class = Some(scoped.class());
        progress.checks.push(Check::InScope { provider: scoped.provider(), class: scoped.class() });
        if scoped.mint().is_some() {
            self.authenticator.check_minting(caller)?;
            progress.checks.push(Check::Brokered);
        }
        Ok(())
    }

    /// Returns the metering of a caller's requests, and whether a body that cannot be read is refused for it.
    pub(super) fn metering(&self, record: &CallerRecord) -> MeteringTrait {
        let limit = InForce::of(record.rate_limit, self.policy.rate_limit.as_ref()).tokens;
        let metering = self.policy.metering().or(limit.map(|_| MeteringPolicy::default()))?;
        Some((metering, self.meter_rules.is_strict(limit)))
    }

    #[inline]
    fn traits<'r>(
        &'r self,
        context: &Context<'r, '_>,
        path: &RequestPath<'r>,
        caller: &'r Caller<'_>,
    ) -> RequestTraits<'r> {
        RequestTraits {
            is_upgrade: context.names.is_upgrade,
            method: context.head.method,
            query: path.query,
            headers: context.head.headers,
            token: &caller.token,
            is_session: caller.session().is_some(),
            has_broker: self.broker.is_some(),
            names: &self.names,
            metering: self.metering(&caller.record),
            keeps_objects: self.keeps_objects(),
        }
    }

    /// Returns the words for a caller whose request names a model that it may not use.
    fn words_for(&self, error: &CheckError<'_>, record: &CallerRecord) -> Option<String> {
        (*error == CheckError::ModelNotAllowed).then(|| self.names.words(&record.models))
    }

    /// Checks that the policy lets the caller see the status.
    fn check_status_caller<'a>(
        &'a self,
        policy: StatusPolicy,
        found: Result<Option<Credential<'a>>, Slot>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<(), Exit<'a>> {
        if policy.loopback && is_local(context.head) {
            return Ok(());
        }
        let caller = self.authenticator.authenticate(found, context, progress)?;
        progress.principal = Some(Principal::of(&caller.record));
        let token = caller.verify(context)?;
        caller.check_own()?;
        progress.checks.push(Check::TokenValid(caller.record.expires_at));
        let is_in_scope = token.record().scope.has(StatusPolicy::SCOPE);
        (policy.tokens && is_in_scope).then_some(()).ok_or(CheckError::OutOfScope(StatusPolicy::SCOPE).into())
    }

    fn status_sources(&self) -> StatusSources<'_> {
        StatusSources {
            policy: &self.policy,
            authenticator: &self.authenticator,
            keys: &self.keys,
            upstreams: &self.upstreams,
        }
    }

    /// Finds the credential, and the route, for which the credential's slot may decide.
    pub(super) fn route<'a>(
        &'a self,
        context: &Context<'a, '_>,
        path: &RequestPath<'a>,
    ) -> (Result<Option<Credential<'a>>, Slot>, Route<'a>) {
        let Context { head, names, .. } = *context;
        let known = |token: &[u8]| self.authenticator.digest_of(token);
        let found =
            credential::find(&self.policy.slots, &credential::Places { head, names, path, known: &known });
        let slot = found.as_ref().ok().and_then(Option::as_ref).map(|credential| credential.slot);
        let route = Route::find((&self.policy.providers, &self.segments), names, head, path, slot);
        (found, route)
    }

    /// Learns from the answer to a forwarded request: that its token was used, and whether its keys work.
    pub(crate) fn learn(&self, sent: Sent, answer: &dyn AnswerHead, now: Moment, store: &dyn Store) {
        if let (Some(token), Some(registry)) = (sent.token, self.authenticator.registry())
            && !registry.is_marked(&token, now)
            && answer.is_of_upstream()
        {
            registry.mark_used(token, now);
        }
        self.keys.learn(sent, answer, now, store);
    }
}

/// Returns the uploads of a policy whose registry keeps objects. Their ids are sealed with the key of the broker. Without one the
/// credential of the registry is the key, which data planes share, too.
fn uploads(
    policy: &Policy,
    registry: Option<&Registry>,
    environment: &dyn Environment,
) -> Result<Option<Uploads>, PolicyErrors> {
    let Some(registry) = registry.filter(|registry| registry.keeps_objects()) else { return Ok(None) };
    let key = policy.broker.as_ref().map(|broker| broker.seal_key(environment)).transpose();
    let key = key.map_err(|error| PolicyErrors(vec![error]))?.unwrap_or_else(|| registry.seal_key());
    Ok(Some(Uploads::new(key)))
}
