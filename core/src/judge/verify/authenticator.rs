//! Callers: by an identity JWT, a proxy token or a client certificate, known to the policy or to the registry.
//!
//! A credential is judged as one kind and as nothing else.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::known_digests::KnownDigests;
use super::verified_jwts::VerifiedJwts;
use super::verified_token::{VerifiedToken, digest_of_sent, is_readable};
use crate::answer::CheckError;
use crate::base::Digest;
use crate::identity::jwt::{Email, Issuer, begins_as_jwt, is_jwt_shaped};
use crate::identity::{CallerRecord, Scope, TokenStatus, TokenTable};
use crate::judge::progress::{Check, Context, Exit, Means, Progress};
use crate::policy::Policy;
use crate::request::{Credential, IdentitySlot, Slot, find_identity};
use crate::services::registry::{LookupKey, Registry};
use crate::services::{KeyRing, Lookup, Services};
use crate::upstream::{Broker, Session, Uploads, Upstream};

/// The sources by which callers are known: a policy's tokens, people and issuers, and its registry.
pub(crate) struct Authenticator {
    pub(super) policy: Rc<Policy>,
    pub(super) services: Rc<Services>,
    /// The scope of a policy's issuer that has none: the providers that the policy enables.
    pub(super) scope: Scope,
    tokens: TokenTable,
    registry: Option<Rc<Registry>>,
    broker: Option<Rc<Broker>>,
    uploads: Option<Rc<Uploads>>,
    /// The keys of each issuer, in the order of the policy's.
    pub(super) issuer_keys: Vec<Rc<KeyRing>>,
    /// Identity JWTs that were verified.
    pub(super) verified: VerifiedJwts,
    /// The digests of tokens that were verified.
    pub(super) known: KnownDigests,
}

/// A caller, and what it presented.
pub(crate) struct Caller<'a> {
    pub(crate) record: Arc<CallerRecord>,
    pub(crate) token: Cow<'a, [u8]>,
    /// The identity slot of the token; `None` for an auth slot.
    pub(crate) slot: Option<&'a IdentitySlot>,
    pub(crate) presented: Presented,
}

/// The credential that a caller presented.
pub(crate) enum Presented {
    /// A proxy token.
    Token,
    /// An identity JWT.
    Identity,
    /// A brokered token, with the credential that it holds.
    Session(Session),
    /// The sealed id of an upload, good for that upload only.
    Upload,
    /// The client certificate of its connection, and no token.
    Certificate,
}

impl Caller<'_> {
    /// Returns the session of a brokered token; `None` for any other caller.
    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.presented {
            Presented::Session(session) => Some(session),
            Presented::Token | Presented::Identity | Presented::Upload | Presented::Certificate => None,
        }
    }

    /// Checks that the record is the caller's own: what was sealed for a session or an upload tells nothing of its parent.
    pub(crate) fn check_own(&self) -> Result<(), CheckError<'static>> {
        match &self.presented {
            Presented::Token | Presented::Identity | Presented::Certificate => Ok(()),
            Presented::Session(_) | Presented::Upload => Err(CheckError::OutOfSession),
        }
    }

    /// Judges the caller's record, with the client certificate of the connection.
    ///
    /// # Errors
    /// The first check that fails.
    #[inline]
    pub(crate) fn verify(&self, context: &Context<'_, '_>) -> Result<VerifiedToken, CheckError<'static>> {
        let presented = || context.head.peer_certificate().sha256();
        VerifiedToken::judge(&self.record, presented, context.now.unix())
    }

    /// Returns whether the caller presented nothing but the id of an upload.
    pub(crate) fn is_uploading(&self) -> bool {
        matches!(self.presented, Presented::Upload)
    }
}

impl Authenticator {
    pub(crate) fn new(
        policy: &Rc<Policy>,
        registry: Option<Rc<Registry>>,
        (broker, uploads): (Option<Rc<Broker>>, Option<Rc<Uploads>>),
        upstreams: &[Upstream],
        services: &Rc<Services>,
    ) -> Self {
        Self {
            policy: Rc::clone(policy),
            services: Rc::clone(services),
            scope: if policy.issuers().is_empty() && policy.client_certificates.is_empty() {
                Scope::default()
            } else {
                Scope::read(upstreams.iter().map(|upstream| &upstream.provider))
            },
            tokens: policy.table.clone(),
            registry,
            broker,
            uploads,
            issuer_keys: policy.issuers().iter().map(|issuer| services.key_ring(issuer)).collect(),
            verified: VerifiedJwts::default(),
            known: KnownDigests::default(),
        }
    }

    /// Finds the caller. `found` is the credential of the auth slots.
    ///
    /// A JWT in an identity slot is judged before any auth slot: behind an identity provider, SDKs still send some key. The
    /// certificate of the connection counts only where no slot holds a credential, so that a token that is refused never goes on as
    /// something else.
    pub(crate) fn authenticate<'a>(
        &'a self,
        found: Result<Option<Credential<'a>>, Slot>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Caller<'a>, Exit<'a>> {
        let slots = self.policy.issuers().iter().flat_map(Issuer::slots);
        let identity = find_identity(slots, context.head).map_err(CheckError::IdentityAmbiguous)?;
        if let Some(identity) = identity {
            progress.checks.push(Check::IdentityFound(identity.slot));
            let token = (identity.token, self.known.find(identity.token));
            let record = self.authenticate_jwt(token, Some(identity.slot), context, progress)?;
            let (token, slot) = (Cow::Borrowed(identity.token), Some(identity.slot));
            return Ok(Caller { record, token, slot, presented: Presented::Identity });
        }
        let credential = found.map_err(CheckError::CredentialAmbiguous)?;
        let Some(credential) = credential.filter(|credential| !self.stands_for_certificate(credential))
        else {
            return self.authenticate_certificate(context, progress);
        };
        progress.checks.push(Check::CredentialFound(credential.slot));
        let token = credential.token;
        if credential.slot == Slot::UploadId {
            let record = self.authenticate_upload(&token, context, progress)?;
            return Ok(Caller { record, token, slot: None, presented: Presented::Upload });
        }
        if let Some(broker) = self.broker.as_ref().filter(|_| Broker::has_form_of(&token)) {
            let (record, session) = self.authenticate_sealed(broker, &token, context, progress)?;
            return Ok(Caller { record, token, slot: None, presented: Presented::Session(session) });
        }
        // A credential with the shape of a JWT is never tried as a proxy token.
        let known = credential.known;
        let has_shape = || if known.is_some() { begins_as_jwt(&token) } else { is_jwt_shaped(&token) };
        let is_jwt = !self.issuer_keys.is_empty() && has_shape();
        let (record, presented) = if is_jwt {
            (self.authenticate_jwt((&token, known), None, context, progress)?, Presented::Identity)
        } else {
            match self.authenticate_token((&token, known), context, progress) {
                Ok(record) => (record, Presented::Token),
                Err(Exit::Refuse(CheckError::TokenUnknown)) => {
                    return self.authenticate_second(context, progress);
                }
                Err(exit) => return Err(exit),
            }
        };
        Ok(Caller { record, token, slot: None, presented })
    }

    /// Finds the record of a brokered token, which is its parent's.
    #[cold]
    fn authenticate_sealed<'a>(
        &'a self,
        broker: &Broker,
        token: &[u8],
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<(Arc<CallerRecord>, Session), Exit<'a>> {
        if !is_readable(token) {
            return Err(CheckError::TokenUnknown.into());
        }
        let provider = progress.route.map_or("", |route| route.provider);
        let session = broker.open(token, provider, context.now.unix())?;
        progress.checks.push(Check::SealOpened(session.expires_at));
        Ok((self.find_token(LookupKey::Known(session.parent), context, progress)?, session))
    }

    /// Finds the record of the token whose caller began an upload. The id of the upload proves nothing else: it has to be opened
    /// again for its endpoint, and begins no other.
    #[cold]
    fn authenticate_upload<'a>(
        &'a self,
        id: &[u8],
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Arc<CallerRecord>, Exit<'a>> {
        let uploads = self.uploads.as_ref().filter(|_| is_readable(id)).ok_or(CheckError::TokenUnknown)?;
        let provider = progress.route.map_or("", |route| route.provider);
        let session = uploads.open(id, provider, context.now.unix())?;
        let begins = |command: &[u8]| command.to_ascii_lowercase().windows(5).any(|word| word == b"start");
        let mut commands = context.head.values("x-goog-upload-command").peekable();
        if commands.peek().is_none() || commands.any(begins) {
            return Err(CheckError::OutOfSession.into());
        }
        self.find_token(LookupKey::Known(session.parent), context, progress)
    }

    /// Checks that the caller's token can be found by its digest later, as the parent of a brokered one.
    pub(crate) fn check_minting(&self, caller: &Caller<'_>) -> Result<(), CheckError<'static>> {
        let is_in_registry = || self.registry.as_ref().is_some_and(|registry| registry.finds_by_digest());
        let is_token = matches!(caller.presented, Presented::Token);
        let is_found = is_token && (self.tokens.find(&caller.record.digest).is_some() || is_in_registry());
        is_found.then_some(()).ok_or(CheckError::MintingCaller)
    }

    /// Finds the record of a proxy token. `known` is the digest of the token, where it need not be computed.
    #[inline]
    fn authenticate_token<'a>(
        &'a self,
        (token, known): (&[u8], Option<Digest>),
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Arc<CallerRecord>, Exit<'a>> {
        let is_plausible = known.is_some() || LookupKey::may_be_token(token);
        // A token that neither the policy nor a registry can hold is not hashed.
        if !is_plausible && self.tokens.is_empty() {
            return Err(CheckError::TokenUnknown.into());
        }
        let digest = known.or_else(|| digest_of_sent(token)).ok_or(CheckError::TokenUnknown)?;
        if !is_plausible {
            return self.find_own(digest, progress).ok_or(CheckError::TokenUnknown.into());
        }
        let record = self.find_token(LookupKey::Token(token, digest), context, progress)?;
        // A known token that begins as a JWT is taken for one.
        if known.is_none() && !begins_as_jwt(token) {
            self.known.keep(token, digest);
        }
        Ok(record)
    }

    /// Finds the record of one of the policy's own tokens.
    fn find_own(&self, digest: Digest, progress: &mut Progress<'_>) -> Option<Arc<CallerRecord>> {
        progress.means = self.policy.ends_exchanges.then_some(Means::Token(digest));
        self.tokens.find(&digest).map(Arc::clone)
    }

    /// Finds the record of a token, by its digest. The policy's own tokens come first.
    pub(super) fn find_token<'a>(
        &'a self,
        key: LookupKey<'_>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Arc<CallerRecord>, Exit<'a>> {
        if let Some(record) = self.find_own(key.digest(), progress) {
            return Ok(record);
        }
        let record = self.look_up(key, context, progress)?.ok_or(CheckError::TokenUnknown)?;
        progress.sent.token = Some(record.digest);
        Ok(record)
    }

    /// Finds the record of a person who must be known. The policy's own people come first.
    pub(super) fn find_person<'a>(
        &'a self,
        email: &Email,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Arc<CallerRecord>, Exit<'a>> {
        let record =
            self.record_of_person(LookupKey::Person(&email.address, email.digest), email, context, progress)?;
        record.ok_or(CheckError::PersonUnknown.into())
    }

    /// Finds the record that bounds a person who is let in anyway; `None` where there is none.
    pub(super) fn find_bounds<'a>(
        &'a self,
        email: &Email,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Option<Arc<CallerRecord>>, Exit<'a>> {
        self.record_of_person(LookupKey::Bounds(&email.address, email.digest), email, context, progress)
    }

    fn record_of_person<'a>(
        &'a self,
        key: LookupKey<'_>,
        email: &Email,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Option<Arc<CallerRecord>>, Exit<'a>> {
        // A session is of a person of the registry, which alone tells that the session has ended.
        let is_own =
            |record: &&Arc<CallerRecord>| email.session.is_none() || record.status == TokenStatus::Disabled;
        let record = match self.policy.people.get(&email.address).filter(is_own) {
            Some(record) => Some(Arc::clone(record)),
            None => self.look_up(key, context, progress)?,
        };
        match (record, &email.session) {
            (Some(record), _) if record.status == TokenStatus::Disabled => {
                Err(CheckError::PersonDisabled.into())
            }
            (Some(record), Some(session)) if record.ended_sessions.contains(session) => {
                Err(CheckError::SessionEnded.into())
            }
            (record, _) => Ok(record),
        }
    }

    /// Finds a record in the registry.
    fn look_up<'a>(
        &'a self,
        key: LookupKey<'_>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Option<Arc<CallerRecord>>, Exit<'a>> {
        let Some(registry) = &self.registry else { return Ok(None) };
        match registry.find(key, context.results, context.now, context.store) {
            Lookup::Ready(Some((record, source)), renewal) => {
                progress.note_renewal(renewal);
                progress.record_source = Some(source);
                progress.checks.push(Check::LookedUp(source));
                Ok(Some(record))
            }
            Lookup::Ready(None, renewal) => {
                progress.note_renewal(renewal);
                Ok(None)
            }
            Lookup::Fetch(fetch) => Err(Exit::Fetch(fetch)),
            Lookup::Unavailable => Err(CheckError::RegistryUnavailable.into()),
        }
    }

    /// Returns the digest of a token that was verified before.
    pub(crate) fn digest_of(&self, token: &[u8]) -> Option<Digest> {
        self.known.find(token)
    }

    pub(crate) fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    pub(crate) fn registry(&self) -> Option<&Rc<Registry>> {
        self.registry.as_ref()
    }

    /// Returns each issuer with its keys.
    pub(crate) fn issuers(&self) -> impl Iterator<Item = (&Issuer, &KeyRing)> {
        self.policy.issuers().iter().zip(self.issuer_keys.iter().map(|ring| &**ring))
    }

    /// Returns the number of identity JWTs that are cached.
    pub(crate) fn remembered(&self) -> usize {
        self.verified.len()
    }
}
