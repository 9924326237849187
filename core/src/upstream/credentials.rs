//! The upstream credentials of a policy with what their sources yielded: the first source of a chain that has a value
//! now is the one that is used.
//!
//! A credential that has none lets nothing pass. One that an upstream refused is left alone for a while, where a
//! provider has several.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::fetched::{Fetched, Freshness, Value};
use super::key::Key;
use crate::fetch::Fetch;
use crate::policy::{CredentialPolicy, PolicyError, PolicyErrors, Source};
use crate::secret::{Environment, Secret};
use crate::services::Services;
use crate::store::{Kind, Store, Update};
use crate::time::Moment;
use crate::token::TokenDigest;

/// Every credential of a policy.
#[derive(Default)]
pub(crate) struct Credentials(Vec<UpstreamCredential>);

/// A credential by its place in [`Credentials`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CredentialId(usize);

pub(crate) struct UpstreamCredential {
    pub(crate) name: String,
    links: Vec<Link>,
    /// What it is known by in shared memory.
    digest: TokenDigest,
    /// An upstream refused it: it is left alone until then.
    rests_until: Cell<Moment>,
}

/// A source of a chain.
enum Link {
    /// A value that was there from the beginning, and the variable that has it.
    Known(Arc<Key>, String),
    /// The request's own header, if it held the identity that was verified.
    OfRequest(String),
    Fetched(Rc<Fetched>),
    /// The host has it.
    Host,
}

/// What a chain has for a request.
pub(crate) enum Yield {
    Key(KeyInUse),
    /// The host writes it.
    Host,
    /// Something must be fetched first.
    Ask(Fetch),
    Nothing,
}

/// A key, and where it is from.
pub(crate) struct KeyInUse {
    pub(crate) key: Arc<Key>,
    pub(crate) credential: CredentialId,
    /// Its place in the chain.
    link: usize,
    /// A call that is due, and that nobody waits for.
    pub(crate) refresh: Option<Fetch>,
}

/// The identity JWT that was verified for a request, and the header it stood in.
pub(crate) struct Vouched<'r> {
    pub(crate) header: &'r str,
    pub(crate) token: &'r [u8],
}

impl Credentials {
    /// Looks up what is in the environment.
    pub(crate) fn new(
        policy: &CredentialPolicy,
        environment: &dyn Environment,
        services: &Services,
    ) -> Result<Self, PolicyErrors> {
        let (mut all, mut errors) = (Vec::new(), Vec::new());
        for (name, chain) in policy.chains() {
            match UpstreamCredential::new(name, chain, environment, services) {
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

    /// The value of a credential. `was_tried` says which fetches came to nothing for this request.
    pub(crate) fn find(
        &self,
        id: CredentialId,
        vouched: Option<&Vouched<'_>>,
        was_tried: &dyn Fn(&Fetch) -> bool,
        now: Moment,
    ) -> Yield {
        let links = self.get(id).map_or(&[][..], |credential| &credential.links);
        for (link, source) in links.iter().enumerate() {
            let in_use = |key, refresh| Yield::Key(KeyInUse { key, credential: id, link, refresh });
            match source {
                Link::Known(key, _) => return in_use(Arc::clone(key), None),
                Link::Host => return Yield::Host,
                Link::OfRequest(header) => {
                    if let Some(vouched) = vouched.filter(|vouched| vouched.header == header)
                        && let Ok(secret) = Secret::new(vouched.token.to_vec())
                    {
                        return in_use(Arc::new(Key::new(secret)), None);
                    }
                }
                Link::Fetched(fetched) => match fetched.find(now) {
                    Value::Usable { key, refresh } => return in_use(key, refresh),
                    Value::Ask(fetch) if !was_tried(&fetch) => return Yield::Ask(fetch),
                    Value::Ask(_) | Value::Unavailable => {}
                },
            }
        }
        Yield::Nothing
    }

    /// Whether a key was fetched.
    pub(crate) fn is_fetched(&self, used: UsedKey) -> bool {
        self.fetched(used).is_some()
    }

    /// A key that was fetched was refused by the upstream.
    pub(crate) fn refused(&self, used: UsedKey, now: Moment) {
        if let Some(fetched) = self.fetched(used) {
            fetched.refused(now);
        }
    }

    /// Leaves a credential alone until then, on every worker.
    pub(crate) fn rest(&self, id: CredentialId, until: Moment, store: &dyn Store) {
        if let Some(credential) = self.get(id) {
            credential.rests_until.set(until);
            // Where others cannot be told, each finds out for itself.
            let _ = store.update(&credential.place(), &mut |_| Update::Set(credential.encode(until)));
        }
    }

    /// Hears which credentials other workers leave alone.
    pub(crate) fn listen(&self, ids: impl Iterator<Item = CredentialId>, store: &dyn Store, now: Moment) {
        for credential in ids.filter_map(|id| self.get(id)) {
            let told = store.get(&credential.place()).ok().flatten();
            let until = told.and_then(|told| credential.decode(&told)).unwrap_or_default();
            // Nobody rests longer than that; a value from another clock or from another program does not count.
            if until > credential.rests_until.get() && until <= now.after(super::pool::LONGEST_REST) {
                credential.rests_until.set(until);
            }
        }
    }

    fn fetched(&self, used: UsedKey) -> Option<&Fetched> {
        match self.get(used.credential)?.links.get(used.link)? {
            Link::Fetched(fetched) => Some(fetched),
            _ => None,
        }
    }
}

/// A key that went upstream with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsedKey {
    pub(crate) credential: CredentialId,
    link: usize,
}

impl KeyInUse {
    pub(crate) fn used(&self) -> UsedKey {
        UsedKey { credential: self.credential, link: self.link }
    }
}

impl UpstreamCredential {
    fn new(
        name: &str,
        chain: &[Source],
        environment: &dyn Environment,
        services: &Services,
    ) -> Result<Self, PolicyError> {
        let mut links = Vec::new();
        for (place, source) in chain.iter().enumerate() {
            let path = format!("credentials.{name}[{place}]");
            links.push(match source {
                Source::Env(variable) => match variable.find(&path, environment)? {
                    Some(secret) => Link::Known(Arc::new(Key::new(secret)), variable.name().to_owned()),
                    None => continue,
                },
                Source::RequestHeader(header) => Link::OfRequest(header.clone()),
                Source::Http(source) => match environment.fetched(name) {
                    Some(value) => {
                        let unusable =
                            |fault| PolicyError { path: path.clone(), message: format!("{fault}") };
                        let secret = Secret::new(value).map_err(unusable)?;
                        Link::Known(Arc::new(Key::new(secret)), String::new())
                    }
                    None => Link::Fetched(services.agent(source, &path, environment)?),
                },
                Source::Host => Link::Host,
            });
            // What comes behind a value that is always there is never asked.
            if matches!(links.last(), Some(Link::Known(..))) {
                break;
            }
        }
        if links.is_empty() {
            return Err(nothing_set(name, chain));
        }
        let digest = TokenDigest::of(format!("credential\0{name}").as_bytes());
        Ok(Self { name: name.to_owned(), links, digest, rests_until: Cell::default() })
    }

    /// Whether an upstream refused it not long ago.
    pub(crate) fn rests(&self, now: Moment) -> Option<Moment> {
        let until = self.rests_until.get();
        // A clock that was put back does not prolong it.
        (now < until && until <= now.after(super::pool::LONGEST_REST)).then_some(until)
    }

    /// Where its values come from, in order, with how fresh they are.
    pub(crate) fn sources(
        &self,
        now: Moment,
    ) -> impl Iterator<Item = (&'static str, Option<&str>, Option<Freshness>)> {
        self.links.iter().map(move |link| match link {
            Link::Known(_, variable) => ("env", Some(variable.as_str()), None),
            Link::OfRequest(header) => ("request_header", Some(header.as_str()), None),
            Link::Fetched(fetched) => ("http", None, fetched.freshness(now)),
            Link::Host => ("host", None, None),
        })
    }

    fn place(&self) -> String {
        Kind::Rest.key(self.digest.bytes())
    }

    fn encode(&self, until: Moment) -> Vec<u8> {
        [&self.digest.bytes()[..], &until.0.to_be_bytes()].concat()
    }

    fn decode(&self, told: &[u8]) -> Option<Moment> {
        let until = told.strip_prefix(&self.digest.bytes()[..])?;
        Some(Moment(u64::from_be_bytes(until.try_into().ok()?)))
    }
}

fn nothing_set(name: &str, chain: &[Source]) -> PolicyError {
    let variables: Vec<String> = chain
        .iter()
        .filter_map(|source| match source {
            Source::Env(variable) => Some(format!("`{}`", variable.name())),
            _ => None,
        })
        .collect();
    let message = match variables.as_slice() {
        [variable] => format!("the environment variable {variable} is not set"),
        _ => format!("none of the environment variables {} is set", variables.join(", ")),
    };
    PolicyError { path: format!("credentials.{name}"), message }
}
