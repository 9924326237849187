//! The grant, which is proof that all of these hold:
//! - the token is verified, and has the request's provider and the class of its endpoint in its scope,
//! - the keys for the upstream are at hand,
//! - the budget had a request left.
//!
//! Only a grant opens an upstream secret. There is one way to it: [`Scoped::new`], [`Scoped::with`],
//! [`Unlocked::admit`].

use std::sync::Arc;

use super::body::BodyRule;
use super::models::ModelRule;
use super::objects::ObjectRule;
use super::target::{RequestTraits, Target};
use crate::answer::CheckError;
use crate::base::UnixTime;
use crate::identity::{CallerRecord, Class};
use crate::judge::verify::VerifiedToken;
use crate::limit::{Counted, InForce, RateLimit, Rule, Taken};
use crate::provider::{Dialect, Mint, Route};
use crate::secret::{Form, OpenKey, Proof};
use crate::syntax::query;
use crate::upstream::{KeyInHand, Running, Uploads, Upstream};

/// A verified token, a route that its scope allows, and the target at the upstream of its provider.
pub(crate) struct Scoped<'a> {
    token: VerifiedToken,
    route: Route<'a>,
    upstream: &'a Upstream,
    target: Target,
    class: Class,
    body: Option<Box<BodyRule>>,
    /// The upload that goes on.
    upload: Option<Box<Running>>,
}

impl<'a> Scoped<'a> {
    /// Checks that the scope opens the class of endpoints at the path, which tells where the request leads.
    ///
    /// A provider that the policy does not enable has no upstream, and is refused like one out of scope.
    pub(crate) fn new(
        token: VerifiedToken,
        route: Route<'a>,
        upstreams: &'a [Upstream],
        traits: &RequestTraits<'_>,
    ) -> Result<Self, CheckError<'a>> {
        let upstream = upstreams.iter().find(|upstream| upstream.provider == route.provider);
        let open = token.record().scope.classes(route.provider);
        let upstream = upstream.filter(|_| !open.is_empty()).ok_or(CheckError::OutOfScope(route.provider))?;
        let rule = ModelRule::of(token.arc(), upstream.kind, traits.names);
        let judges_objects = traits.keeps_objects && upstream.object_table.is_some();
        let wants_models = rule.is_some() || traits.metering.is_some() || judges_objects;
        let (target, models) = Target::of(&route, upstream, traits, wants_models)?;
        let class = match target.class() {
            None => return Err(CheckError::Endpoint),
            // A brokered token is for its session, which the class `mint` of its parent opened.
            Some(_) if traits.is_session && !open.has(Class::Mint) => {
                return Err(CheckError::ClassOutOfScope(Class::Mint));
            }
            Some(_) if traits.is_session && !target.is_of_session() => return Err(CheckError::OutOfSession),
            Some(class) if traits.is_session => class,
            Some(Class::Mint) if target.mint().is_none() => {
                return Err(CheckError::ClassClosed(Class::Mint));
            }
            Some(class) if class.why_closed().is_some() => return Err(CheckError::ClassClosed(class)),
            Some(class) if !open.has(class) => return Err(CheckError::ClassOutOfScope(class)),
            Some(class) => class,
        };
        let objects = ObjectRule::of(&target, &models, class, traits, upstream, token.record())?;
        let body = BodyRule::of(rule, objects, &models, class, traits, upstream)?.map(Box::new);
        Ok(Self { token, route, upstream, target, class, body, upload: None })
    }

    /// Opens the upload that the query names. `is_credential` says that the caller presented nothing else.
    ///
    /// # Errors
    /// An upload that this caller did not begin at this endpoint, in the words for one that never was; an endpoint for which the
    /// id of an upload is no credential.
    #[inline]
    pub(crate) fn open_upload(
        &mut self,
        uploads: Option<&Uploads>,
        is_credential: bool,
        now: UnixTime,
    ) -> Result<(), CheckError<'a>> {
        let ids = self.target.objects().and_then(|objects| objects.uploads.as_deref()).unwrap_or_default();
        if ids.is_empty() {
            return if is_credential { Err(CheckError::OutOfSession) } else { Ok(()) };
        }
        self.upload = Some(Box::new(self.find_upload(uploads, now).ok_or(CheckError::ObjectNotFound)?));
        Ok(())
    }

    /// Finds the one upload that the query names.
    #[cold]
    fn find_upload(&self, uploads: Option<&Uploads>, now: UnixTime) -> Option<Running> {
        let [id] = self.target.objects()?.uploads.as_deref()? else { return None };
        uploads?.find(id, &self.record().digest, (self.upstream, self.target.path()), now)
    }

    /// Takes the rule on the body of the request; `None` where the body is not read.
    pub(crate) fn body(&self) -> Option<&BodyRule> {
        self.body.as_deref()
    }

    /// Returns the class of the endpoint that the request is for.
    pub(crate) fn class(&self) -> Class {
        self.class
    }

    /// Returns the form of the answer, where the endpoint mints and the answer is brokered.
    pub(crate) fn mint(&self) -> Option<&'static Mint> {
        self.target.mint()
    }

    pub(crate) fn record(&self) -> &CallerRecord {
        self.token.record()
    }

    pub(crate) fn record_arc(&self) -> &Arc<CallerRecord> {
        self.token.arc()
    }

    /// Returns the name of the provider.
    pub(crate) fn provider(&self) -> &'a str {
        self.route.provider
    }

    pub(super) fn upstream(&self) -> &'a Upstream {
        self.upstream
    }

    /// Checks that the provider's key can stand where the target wants it.
    pub(super) fn check_provider_key(&self, key: Option<&KeyInHand>) -> Result<(), CheckError<'a>> {
        match key {
            Some(KeyInHand::ByHost) if self.target.takes_key() => Err(CheckError::KeyInQuery),
            Some(KeyInHand::ByHost) if self.mint().is_some() => Err(CheckError::MintingHost),
            _ => Ok(()),
        }
    }

    /// Takes the keys that were found for the upstream; keys of another upstream are an error.
    pub(super) fn with<'s>(&'s mut self, keys: Keys<'a>) -> Result<Unlocked<'a, 's>, CheckError<'a>> {
        let is_its = std::ptr::eq(keys.upstream, self.upstream);
        is_its.then_some(Unlocked { scoped: self, keys }).ok_or(CheckError::Host)
    }
}

/// The keys that a request carries upstream, and the upstream that they are bound to.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) provider: Option<KeyInHand>,
    pub(super) gateway: Option<KeyInHand>,
}

/// A request in scope, with its keys.
pub(crate) struct Unlocked<'a, 's> {
    scoped: &'s mut Scoped<'a>,
    keys: Keys<'a>,
}

impl<'a, 's> Unlocked<'a, 's> {
    pub(crate) fn record(&self) -> &CallerRecord {
        self.scoped.record()
    }

    /// Returns the limit in requests that holds for the token: its own, else the policy's; `None` where neither has one.
    pub(crate) fn limit(&self, rule: Option<Rule>) -> Option<RateLimit> {
        InForce::of(self.record().rate_limit, rule.as_ref()).requests
    }

    /// Admits a request that was counted within its limit, that has no limit, or that may pass uncounted.
    pub(crate) fn admit(self, rule: Option<Rule>, counted: Counted) -> Result<Grant<'a, 's>, CheckError<'a>> {
        let taken = match counted {
            Counted::Taken(taken) if !taken.allowed => return Err(CheckError::RateLimited(taken)),
            Counted::Taken(taken) => Some(taken),
            Counted::Unlimited | Counted::Unknown
                if self.limit(rule).is_some() && rule.is_none_or(|rule| !rule.failure_mode_allow) =>
            {
                return Err(CheckError::LimitUnavailable);
            }
            Counted::Unlimited | Counted::Unknown => None,
        };
        let Self { scoped, keys } = self;
        Ok(Grant { scoped, keys, taken })
    }
}

/// A request that is admitted, with its keys and the outcome of its budget.
pub(crate) struct Grant<'a, 's> {
    scoped: &'s mut Scoped<'a>,
    keys: Keys<'a>,
    taken: Option<Taken>,
}

impl Proof for Grant<'_, '_> {}

impl<'a> Grant<'a, '_> {
    pub(crate) fn upstream(&self) -> &'a Upstream {
        self.scoped.upstream
    }

    pub(crate) fn record(&self) -> &CallerRecord {
        self.scoped.record()
    }

    pub(crate) fn record_arc(&self) -> &Arc<CallerRecord> {
        self.scoped.record_arc()
    }

    /// Returns what is left of the budget; `None` where the request was not counted.
    pub(crate) fn taken(&self) -> Option<&Taken> {
        self.taken.as_ref()
    }

    /// Opens the provider's key for its header; `None` where the query carries it or the host writes it.
    pub(crate) fn provider_key(&self) -> Option<(&'a str, OpenKey)> {
        let upstream = self.upstream();
        let is_openai = self.scoped.route.dialect == Dialect::OpenAi;
        let header = if is_openai { &upstream.openai_auth } else { &upstream.auth };
        match &self.keys.provider {
            Some(KeyInHand::Key(key, _)) if !self.scoped.target.takes_key() => {
                Some((&header.name, OpenKey::new(key, header.form, self)))
            }
            // Every API that is brokered takes what it minted so, wherever it takes its keys.
            Some(KeyInHand::Minted(key)) => Some(("authorization", OpenKey::new(key, Form::Bearer, self))),
            _ => None,
        }
    }

    /// Returns the form of the answer, where the endpoint mints and the answer is brokered.
    pub(crate) fn mint(&self) -> Option<&'static Mint> {
        self.scoped.mint()
    }

    /// Returns the rule on the body; `None` where there is none.
    pub(crate) fn body(&self) -> Option<&BodyRule> {
        self.scoped.body()
    }

    /// Returns whether the objects of the request are judged.
    #[inline]
    pub(crate) fn judges_objects(&self) -> bool {
        self.scoped.target.objects().is_some()
    }

    /// Returns the upstream and the path there of an upload whose parts go to an address in the answer; `None` for any other
    /// request.
    pub(crate) fn upload(&self) -> Option<(&'a Upstream, &[u8])> {
        let objects = self.scoped.target.objects().filter(|objects| objects.uploads.is_some());
        objects.map(|_| (self.upstream(), self.scoped.target.path()))
    }

    /// Returns the site and version of addresses that the answer may tell, and the path of their collection.
    pub(crate) fn links(&self) -> Option<(&'static str, &'static str)> {
        self.scoped.target.objects()?.place.as_ref()?.links
    }

    /// Returns the end of the upload that goes on; `None` where one may begin.
    pub(crate) fn upload_ends_at(&self) -> Option<UnixTime> {
        self.scoped.upload.as_ref().map(|upload| upload.expires_at)
    }

    /// Opens the gateway's key; `None` where the upstream takes none or the host writes it.
    pub(crate) fn gateway_key(&self) -> Option<OpenKey> {
        match &self.keys.gateway {
            Some(KeyInHand::Key(key, _)) => Some(OpenKey::new(key, Form::Bearer, self)),
            Some(KeyInHand::Minted(_) | KeyInHand::ByHost) | None => None,
        }
    }

    /// Returns the parameter of the target that carries the provider's key, where one does.
    pub(crate) fn key_parameter(&self) -> Option<&'static str> {
        self.scoped.target.key_parameter()
    }

    /// Takes the request target out of the grant, with the provider's key where it belongs there.
    pub(crate) fn take_target(&mut self) -> Vec<u8> {
        let mut bytes = self.scoped.target.take_bytes();
        if let (Some(KeyInHand::Key(key, _)), Some(name)) = (&self.keys.provider, self.key_parameter()) {
            Target::push_secret(&mut bytes, name, key.reveal(Form::Query, self));
        }
        if let Some(upload) = &self.scoped.upload {
            Target::push_secret(&mut bytes, query::UPLOAD_ID, upload.id.reveal(Form::Query, self));
        }
        bytes
    }
}
