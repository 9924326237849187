//! The upstream credentials of a policy with what their sources yielded: the first source of a chain that has a value
//! now is the one that is used.
//!
//! A credential that has none lets nothing pass. Where a provider has several, one that an upstream refused rests, see
//! [`super::rest`].

use std::rc::Rc;

use super::fetched::{Available, Fetched, Freshness};
use super::key::Key;
use super::rest::Rest;
use crate::fetch::Fetch;
use crate::jwt;
use crate::policy::{CredentialPolicy, PolicyError, PolicyErrors, Source};
use crate::secret::{Environment, Secret};
use crate::services::Services;
use crate::time::Moment;

/// Every credential of a policy.
#[derive(Default)]
pub(crate) struct Credentials(Vec<UpstreamCredential>);

/// A credential by its place in [`Credentials`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CredentialId(usize);

pub(crate) struct UpstreamCredential {
    pub(crate) name: String,
    links: Vec<Link>,
    rest: Rest,
}

/// A source of a chain.
enum Link {
    /// A value that was there from the beginning, and the variable that has it.
    Known(Rc<Key>, String),
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
    pub(crate) key: Rc<Key>,
    pub(crate) used: UsedKey,
    /// A call that is due, and that nobody waits for.
    pub(crate) refresh: Option<Fetch>,
}

/// A key that goes upstream with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsedKey {
    pub(crate) credential: CredentialId,
    /// Its source in the chain.
    link: usize,
    /// When it was fetched, if it was.
    fetched_at: Option<Moment>,
}

/// The identity JWT that was verified for a request, and the header it stood in.
pub(crate) struct Vouched<'r> {
    pub(crate) header: &'r str,
    pub(crate) token: &'r [u8],
}

/// A source as people see it.
pub(crate) struct SourceInUse<'c> {
    pub(crate) kind: &'static str,
    /// The variable or the header.
    pub(crate) name: Option<&'c str>,
    pub(crate) freshness: Option<Freshness>,
    /// Whether requests carry its value now; `None` where that depends on the request.
    pub(crate) in_use: Option<bool>,
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
            let in_use = |key, fetched_at, refresh| {
                let used = UsedKey { credential: id, link, fetched_at };
                Yield::Key(KeyInUse { key, used, refresh })
            };
            match source {
                Link::Known(key, _) => return in_use(Rc::clone(key), None, None),
                Link::Host => return Yield::Host,
                Link::OfRequest(header) => {
                    let vouched = vouched.filter(|vouched| vouched.header == header);
                    if let Some(key) = vouched.and_then(|vouched| vouched.key(now)) {
                        return in_use(Rc::new(key), None, None);
                    }
                }
                Link::Fetched(fetched) => match fetched.find(now) {
                    Available::Usable(value, refresh) => {
                        return in_use(value.key, Some(value.fetched_at), refresh);
                    }
                    Available::Ask(fetch) if !was_tried(&fetch) => return Yield::Ask(fetch),
                    Available::Ask(_) | Available::Nothing => {}
                },
            }
        }
        Yield::Nothing
    }

    /// Whether an upstream's answer tells something of the key's source.
    pub(crate) fn is_fetched(&self, used: UsedKey) -> bool {
        matches!(self.link(used), Some(Link::Fetched(_)))
    }

    /// Whether the key was a caller's own: it tells nothing of the keys of others.
    pub(crate) fn is_of_request(&self, used: UsedKey) -> bool {
        matches!(self.link(used), Some(Link::OfRequest(_)))
    }

    /// Whether the key has no successor yet.
    pub(crate) fn is_current(&self, used: UsedKey) -> bool {
        match (self.link(used), used.fetched_at) {
            (Some(Link::Fetched(fetched)), Some(at)) => fetched.is_current(at),
            _ => true,
        }
    }

    /// A key that was fetched was refused by the upstream.
    pub(crate) fn refused(&self, used: UsedKey, now: Moment) {
        if let (Some(Link::Fetched(fetched)), Some(at)) = (self.link(used), used.fetched_at) {
            fetched.refused(at, now);
        }
    }

    fn link(&self, used: UsedKey) -> Option<&Link> {
        self.get(used.credential)?.links.get(used.link)
    }
}

impl Vouched<'_> {
    /// The JWT as a key. The skew that its caller is judged with is not the upstream's: one that has expired is none.
    fn key(&self, now: Moment) -> Option<Key> {
        jwt::expiry_of(self.token).filter(|at| *at > now.unix())?;
        Secret::new(self.token.to_vec()).ok().map(Key::new)
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
                    Some(secret) => Link::Known(Rc::new(Key::new(secret)), variable.name().to_owned()),
                    None => continue,
                },
                Source::RequestHeader(header) => Link::OfRequest(header.clone()),
                Source::Http(source) => match environment.fetched(name) {
                    Some(value) => {
                        let unusable = |fault| PolicyError { path, message: format!("the value {fault}") };
                        let secret = Secret::new(value).map_err(unusable)?;
                        Link::Known(Rc::new(Key::new(secret)), String::new())
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
        Ok(Self { name: name.to_owned(), links, rest: Rest::new(name) })
    }

    pub(crate) fn rest(&self) -> &Rest {
        &self.rest
    }

    /// Until when it rests, if it does. A value that was fetched since has not been refused yet.
    pub(crate) fn rests(&self, now: Moment) -> Option<Moment> {
        let (since, until) = self.rest.now(now)?;
        let newest = self.links.iter().find_map(|link| match link {
            Link::Fetched(fetched) => fetched.freshness(now).filter(|fresh| fresh.is_usable)?.fetched_at,
            _ => None,
        });
        newest.is_none_or(|at| at <= since).then_some(until)
    }

    /// Where its values come from, in order.
    pub(crate) fn sources(&self, now: Moment) -> Vec<SourceInUse<'_>> {
        let mut sources: Vec<SourceInUse<'_>> = self.links.iter().map(|link| link.seen(now)).collect();
        let mut is_open = true;
        for source in &mut sources {
            // Behind one that has a value no other is asked.
            let has_value = source.in_use == Some(true);
            source.in_use = source.in_use.map(|in_use| in_use && is_open);
            is_open &= !has_value;
        }
        sources
    }
}

impl Link {
    /// The source by itself, as if no other stood before it.
    fn seen(&self, now: Moment) -> SourceInUse<'_> {
        let of = |kind, name, in_use| SourceInUse { kind, name, freshness: None, in_use };
        match self {
            Self::Known(_, variable) => of("env", Some(variable.as_str()), Some(true)),
            Self::OfRequest(header) => of("request_header", Some(header.as_str()), None),
            Self::Host => of("host", None, Some(true)),
            Self::Fetched(fetched) => {
                let freshness = fetched.freshness(now);
                let in_use = Some(freshness.as_ref().is_some_and(|fresh| fresh.is_usable));
                SourceInUse { freshness, ..of("http", None, in_use) }
            }
        }
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
