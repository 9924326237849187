//! The upstream credentials of a policy, with the values of their sources: the first source of a chain that has a value
//! now is used.
//!
//! Without a value no request passes. Where a provider has several credentials, one that an upstream refused has a
//! cooldown, see [`super::cooldown`].

use std::rc::Rc;

use super::agents::Agents;
use super::cooldown::Cooldown;
use crate::base::{Digest, Moment};
use crate::host::{Environment, SecretFileError};
use crate::identity::jwt;
use crate::policy::{CredentialPolicy, PolicyError, PolicyErrors, Source, Subject};
use crate::secret::{Key, Secret};
use crate::services::agent::{Agent, CallerToken, Freshness, Given, Value};
use crate::services::{CallerId, CredentialFile, FetchResults, FileValue, Lookup, Services};

/// Every credential of a policy.
#[derive(Default)]
pub(crate) struct Credentials(Vec<UpstreamCredential>);

/// A credential by its place in [`Credentials`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CredentialId(usize);

pub(crate) struct UpstreamCredential {
    pub(crate) name: String,
    sources: Vec<SourceState>,
    cooldown: Cooldown,
}

/// A source of a chain.
enum SourceState {
    /// A value that was there from the beginning, and the name of its variable.
    Value(Rc<Key>, String),
    /// A file, and its path.
    File(Rc<CredentialFile>, String),
    /// The request's own header, if it held the verified identity.
    RequestHeader(String),
    /// The caller's own sign-in at the provider, which begins so.
    SignIn(String),
    Agent(Rc<Agent>),
    /// A stand-in for what an agent would give to each caller with a JWT.
    OfCaller(Rc<Key>),
    /// The host, which writes the value.
    Host,
}

/// A key that a chain has for a request.
#[derive(Debug)]
pub(crate) enum KeyInHand {
    /// A key, which only a proof opens.
    Key(Rc<Key>, UsedKey),
    /// A key that the provider minted, and that the caller's own token holds.
    Minted(Rc<Key>),
    /// A key that the host writes.
    ByHost,
}

/// A key that goes upstream with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsedKey {
    pub(crate) credential: CredentialId,
    /// The place of its source in the chain.
    source: u32,
    /// The moment at which it was fetched, or read from its file; `None` where it was there from the beginning.
    fetched_at: Option<Moment>,
    /// The number of the value, where it is the caller's own; 0 for all others.
    number: u32,
}

/// The identity JWT that was verified for a request, and the header it stood in, where that is an identity slot.
pub(crate) struct CallerJwt<'r> {
    pub(crate) header: Option<&'r str>,
    pub(crate) token: &'r [u8],
    /// The digest of the caller's record.
    pub(crate) principal: Digest,
}

/// A source, for the status.
pub(crate) struct SourceInUse<'c> {
    pub(crate) kind: &'static str,
    /// The variable, the file or the header.
    pub(crate) name: Option<&'c str>,
    pub(crate) freshness: Option<Freshness>,
    /// Set where requests carry the source's value now; `None` where that depends on the request.
    pub(crate) in_use: Option<bool>,
}

impl Credentials {
    /// Looks up the values in the environment.
    pub(crate) fn new(
        policy: &CredentialPolicy,
        environment: &dyn Environment,
        services: &Services,
    ) -> Result<Self, PolicyErrors> {
        let (mut all, mut errors) = (Vec::new(), Vec::new());
        for (name, chain) in policy.chains() {
            match UpstreamCredential::new(name, chain, &Agents { policy, environment, services }) {
                Ok(credential) => all.push(credential),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Self(all)) } else { Err(PolicyErrors(errors)) }
    }

    pub(crate) fn id(&self, name: &str) -> Option<CredentialId> {
        self.0.iter().position(|credential| credential.name == name).map(CredentialId)
    }

    pub(crate) fn get(&self, id: CredentialId) -> Option<&UpstreamCredential> {
        self.0.get(id.0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &UpstreamCredential> {
        self.0.iter()
    }

    /// Returns the value of the first source that has one. A source whose call failed for this request is passed over. `bearer`
    /// is the Bearer token beside the one that identified the caller.
    pub(crate) fn find<'b>(
        &self,
        id: CredentialId,
        caller: Option<&CallerJwt<'_>>,
        bearer: &dyn Fn() -> Option<&'b [u8]>,
        results: &FetchResults,
        now: Moment,
    ) -> Lookup<KeyInHand> {
        let sources = self.get(id).map_or(&[][..], |credential| &credential.sources);
        for (source, state) in (0..).zip(sources) {
            let in_hand = |key, fetched_at| {
                KeyInHand::Key(key, UsedKey { credential: id, source, fetched_at, number: 0 })
            };
            match state {
                SourceState::Value(key, _) => return Lookup::Ready(in_hand(Rc::clone(key), None), None),
                SourceState::File(file, _) => {
                    if let Some(FileValue { key, read_at }) = file.value() {
                        return Lookup::Ready(in_hand(key, read_at), None);
                    }
                }
                SourceState::Host => return Lookup::Ready(KeyInHand::ByHost, None),
                SourceState::RequestHeader(header) => {
                    let caller = caller.filter(|caller| caller.header == Some(header));
                    if let Some(key) = caller.and_then(|caller| caller.key(now)) {
                        return Lookup::Ready(in_hand(Rc::new(key), None), None);
                    }
                }
                SourceState::SignIn(beginning) => {
                    let sign_in = bearer().filter(|token| token.starts_with(beginning.as_bytes()));
                    if let Some(secret) = sign_in.and_then(|token| Secret::new(token.to_vec()).ok()) {
                        return Lookup::Ready(in_hand(Rc::new(Key::new(secret)), None), None);
                    }
                }
                SourceState::Agent(agent) => {
                    let caller = caller.filter(|_| agent.is_of_callers()).map(CallerJwt::digested);
                    match agent.find(caller, results, now) {
                        Lookup::Ready(Value { given: Given::Upstream(key), fetched_at, number }, renewal) => {
                            let fetched_at = Some(fetched_at);
                            let used = UsedKey { credential: id, source, fetched_at, number };
                            return Lookup::Ready(KeyInHand::Key(key, used), renewal);
                        }
                        Lookup::Fetch(fetch) => return Lookup::Fetch(fetch),
                        // A value for calls goes into calls only, and the policy gives it to no provider.
                        Lookup::Ready(..) | Lookup::Unavailable => {}
                    }
                }
                SourceState::OfCaller(key) if caller.is_some() => {
                    return Lookup::Ready(in_hand(Rc::clone(key), None), None);
                }
                SourceState::OfCaller(_) => {}
            }
        }
        Lookup::Unavailable
    }

    /// Returns the name and the value of a credential whose first source is a value that was there from the beginning.
    pub(crate) fn constant(&self, id: CredentialId) -> Option<(&str, KeyInHand)> {
        let credential = self.get(id)?;
        let Some(SourceState::Value(key, _)) = credential.sources.first() else { return None };
        let used = UsedKey { credential: id, source: 0, fetched_at: None, number: 0 };
        Some((&credential.name, KeyInHand::Key(Rc::clone(key), used)))
    }

    /// Returns whether the host writes the credential.
    pub(crate) fn is_of_host(&self, id: CredentialId) -> bool {
        let sources = self.get(id).map_or(&[][..], |credential| &credential.sources);
        sources.iter().any(|source| matches!(source, SourceState::Host))
    }

    /// Returns whether an upstream's reply tells something of the key's source.
    pub(crate) fn is_fetched(&self, used: UsedKey) -> bool {
        matches!(self.source(used), Some(SourceState::Agent(_)))
    }

    /// Returns whether the key was a caller's own. Such a key tells nothing of the keys of others.
    pub(crate) fn is_of_request(&self, used: UsedKey) -> bool {
        let source = self.source(used);
        used.number > 0 || matches!(source, Some(SourceState::RequestHeader(_) | SourceState::SignIn(_)))
    }

    /// Returns whether the key has no successor yet.
    pub(crate) fn is_current(&self, used: UsedKey) -> bool {
        match (self.source(used), used.fetched_at) {
            (Some(SourceState::Agent(agent)), Some(at)) => agent.is_current(used.number, at),
            (Some(SourceState::File(file, _)), at) => file.value().is_some_and(|value| value.read_at == at),
            _ => true,
        }
    }

    /// Notes that the upstream refused a key that was fetched.
    pub(crate) fn refused(&self, used: UsedKey, now: Moment) {
        if let (Some(SourceState::Agent(agent)), Some(at)) = (self.source(used), used.fetched_at) {
            agent.refused(used.number, at, now);
        }
    }

    fn source(&self, used: UsedKey) -> Option<&SourceState> {
        self.get(used.credential)?.sources.get(usize::try_from(used.source).ok()?)
    }
}

impl CallerJwt<'_> {
    /// Returns the JWT with its digest.
    fn digested(&self) -> CallerToken<'_> {
        let id = CallerId { jwt: Digest::of(self.token), principal: self.principal };
        CallerToken { jwt: self.token, id }
    }

    /// Uses the caller's JWT as the upstream key. Returns `None` once it has expired: our allowance for clock skew does not
    /// apply upstream.
    fn key(&self, now: Moment) -> Option<Key> {
        jwt::expiry_of(self.token).filter(|at| *at > now.unix())?;
        Secret::new(self.token.to_vec()).ok().map(Key::new)
    }
}

impl UpstreamCredential {
    fn new(name: &str, chain: &[Source], agents: &Agents<'_>) -> Result<Self, PolicyError> {
        let Agents { environment, services, .. } = *agents;
        let mut sources = Vec::new();
        for (place, source) in chain.iter().enumerate() {
            let path = format!("credentials.{name}[{place}]");
            sources.push(match source {
                Source::Env(variable) => match variable.find(&path, environment)? {
                    Some(secret) => SourceState::Value(Rc::new(Key::new(secret)), variable.name().to_owned()),
                    None => continue,
                },
                Source::File(file) => {
                    SourceState::File(services.file(file, &path, environment)?, file.clone())
                }
                Source::RequestHeader(header) => SourceState::RequestHeader(header.clone()),
                Source::SignIn(beginning) => SourceState::SignIn(beginning.clone()),
                Source::Http(source) => match environment.fetched(name) {
                    Some(value) => {
                        let unusable = |fault| PolicyError { path, message: format!("the value {fault}") };
                        let secret = Secret::new(value).map_err(unusable)?;
                        let key = Rc::new(Key::new(secret));
                        match source.subject {
                            Subject::DataPlane => SourceState::Value(key, String::new()),
                            Subject::Caller => SourceState::OfCaller(key),
                        }
                    }
                    None => SourceState::Agent(agents.of(name, source, &path)?),
                },
                Source::Host => SourceState::Host,
            });
            // A source behind a value that is always there is never asked.
            if sources.last().is_some_and(SourceState::always_has_value) {
                break;
            }
        }
        let is_missing =
            |source: &SourceState| matches!(source, SourceState::File(..)) && !source.always_has_value();
        if sources.iter().all(is_missing) {
            return Err(nothing_set(name, chain));
        }
        Ok(Self { name: name.to_owned(), sources, cooldown: Cooldown::new(name) })
    }

    pub(crate) fn cooldown(&self) -> &Cooldown {
        &self.cooldown
    }

    /// Returns the end of the cooldown for all callers; `None` where none lasts now.
    pub(crate) fn cools_until(&self, now: Moment) -> Option<Moment> {
        let (since, until) = self.cooldown.now(now)?;
        (!self.is_newer_than(since, now)).then_some(until)
    }

    /// Tells whether the credential has a cooldown for this caller.
    pub(super) fn rests_for(&self, principal: &Digest, now: Moment) -> bool {
        let cooldown = self.cooldown.of_caller(principal, now);
        cooldown.is_some_and(|(since, _)| !self.is_newer_than(since, now))
    }

    /// Tells whether the value was fetched or read since a cooldown began: it has not been refused yet.
    fn is_newer_than(&self, since: Moment, now: Moment) -> bool {
        let newest = self.sources.iter().find_map(|source| match source {
            SourceState::Agent(agent) => agent.freshness(now).filter(|fresh| fresh.is_usable)?.fetched_at,
            SourceState::File(file, _) => file.value()?.read_at,
            _ => None,
        });
        newest.is_some_and(|at| at > since)
    }

    /// Returns the sources, in the order of the chain.
    pub(crate) fn sources(&self, now: Moment) -> Vec<SourceInUse<'_>> {
        let mut sources: Vec<SourceInUse<'_>> = self.sources.iter().map(|source| source.seen(now)).collect();
        let mut is_open = true;
        for source in &mut sources {
            // A source behind one that has a value is not asked.
            let has_value = source.in_use == Some(true);
            source.in_use = source.in_use.map(|in_use| in_use && is_open);
            is_open &= !has_value;
        }
        sources
    }
}

impl SourceState {
    /// Tells whether the source has a value now, and has one as long as it is there.
    fn always_has_value(&self) -> bool {
        match self {
            Self::Value(..) => true,
            Self::File(file, _) => file.value().is_some(),
            Self::RequestHeader(_) | Self::SignIn(_) | Self::Agent(_) | Self::OfCaller(_) | Self::Host => {
                false
            }
        }
    }

    /// Returns the source by itself, as if no other stood before it.
    fn seen(&self, now: Moment) -> SourceInUse<'_> {
        let of = |kind, name, in_use| SourceInUse { kind, name, freshness: None, in_use };
        match self {
            Self::Value(_, variable) => of("env", Some(variable.as_str()), Some(true)),
            Self::File(file, path) => SourceInUse {
                freshness: file.freshness(),
                ..of("file", Some(path.as_str()), Some(self.always_has_value()))
            },
            Self::RequestHeader(header) => of("request_header", Some(header.as_str()), None),
            Self::SignIn(_) => of("sign_in", None, None),
            Self::Host => of("host", None, Some(true)),
            Self::OfCaller(_) => of("http", None, None),
            Self::Agent(agent) if agent.is_of_callers() => of("http", None, None),
            Self::Agent(agent) => {
                let freshness = agent.freshness(now);
                let in_use = freshness.as_ref().is_some_and(|fresh| fresh.is_usable);
                let in_use = agent.is_for_upstream().then_some(in_use);
                SourceInUse { freshness, ..of("http", None, in_use) }
            }
        }
    }
}

fn nothing_set(name: &str, chain: &[Source]) -> PolicyError {
    let all = |quoted: fn(&Source) -> Option<String>| chain.iter().filter_map(quoted).collect::<Vec<_>>();
    let variables = all(|source| match source {
        Source::Env(variable) => Some(format!("`{}`", variable.name())),
        _ => None,
    });
    let files = all(|source| match source {
        Source::File(path) => Some(format!("`{path}`")),
        _ => None,
    });
    let message = match (variables.as_slice(), files.as_slice()) {
        ([variable], []) => format!("the environment variable {variable} is not set"),
        ([], [file]) => format!("the file {file} {}", SecretFileError::Missing),
        (_, []) => format!("none of the environment variables {} is set", variables.join(", ")),
        ([], _) => format!("none of the files {} is there", files.join(", ")),
        _ => format!(
            "none of the environment variables {} is set, and none of the files {} is there",
            variables.join(", "),
            files.join(", ")
        ),
    };
    PolicyError { path: format!("credentials.{name}"), message }
}
