//! The request target that an upstream gets: the policy's prefix, the client's path, and its query without the
//! parameters that carry keys or choose accounts.
//!
//! The part in front of the client's path is the policy's alone, so a client chooses neither account nor gateway.
//!
//! The class of the endpoint is that of the path which goes upstream, so a path has one reading for both.
//!
//! A path that differs from the provider's own API is written as the upstream has it. Examples are a prefix that the
//! gateway leaves out, and a realtime API at another place.

use std::borrow::Cow;
use std::rc::Rc;

use percent_encoding::percent_decode;

use super::models::ModelNames;
use crate::answer::CheckError;
use crate::identity::Class;
use crate::policy::MeteringPolicy;
use crate::provider::model::TargetModels;
use crate::provider::objects::{Objects, Place};
use crate::provider::{Methods, Mint, PathMapping, QueryKey, RealtimePath, Route, RoutedBy};
use crate::request::{Header, stands_in};
use crate::syntax::query;
use crate::upstream::Upstream;

/// The traits of a request that tell where it leads.
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub(crate) struct RequestTraits<'r> {
    pub(crate) method: &'r [u8],
    pub(crate) is_upgrade: bool,
    pub(crate) query: Option<&'r [u8]>,
    pub(crate) headers: &'r [Header<'r>],
    /// The token that was judged.
    pub(crate) token: &'r [u8],
    /// Set where the token is a brokered one, for the endpoints of its session alone.
    pub(crate) is_session: bool,
    /// Set where the policy has a broker.
    pub(crate) has_broker: bool,
    /// The names that the policy has for models.
    pub(crate) names: &'r Rc<ModelNames>,
    /// The metering of the policy.
    pub(crate) metering: MeteringTrait,
    /// Set where the policy has a registry that keeps objects.
    pub(crate) keeps_objects: bool,
}

/// The objects that a target leads to.
#[derive(Debug, Default)]
pub(super) struct AskedObjects {
    /// The collections of the path; `None` where it leads to none that is known.
    pub(super) place: Option<Place>,
    /// The ids in the query.
    pub(super) in_query: Vec<Vec<u8>>,
    /// Set where the query asks for the bytes of a file (`alt=media`).
    pub(super) is_download: bool,
}

/// A metering policy, and whether a body that cannot be read is refused for it.
pub(crate) type MeteringTrait = Option<(MeteringPolicy, bool)>;

/// The target of a request, without the key that may stand in its query.
pub(crate) struct Target {
    bytes: Vec<u8>,
    has_query: bool,
    /// The parameter that carries the key in place of a header.
    key: Option<QueryKey>,
    /// The class of the endpoint; `None` where it is no known endpoint.
    class: Option<Class>,
    /// The form of the answer, where the endpoint mints and the answer is brokered.
    mint: Option<&'static Mint>,
    /// Set where the request is for an endpoint of its token's session.
    is_of_session: bool,
    /// The objects, where they are judged.
    objects: Option<AskedObjects>,
}

impl AskedObjects {
    fn of(table: &Objects, endpoint: &[u8], traits: &RequestTraits<'_>) -> Self {
        let place = table.find(traits.method, traits.is_upgrade, endpoint);
        let is_listed = place.as_ref().is_some_and(|place| place.lists.is_some());
        let in_query = traits.query.map(|query| table.ids_in_query(query, is_listed));
        let asks = |(name, value): (&[u8], &[u8])| {
            let decode = |text| percent_decode(text).collect::<Vec<u8>>();
            decode(name).ends_with(b"alt") && decode(value).eq_ignore_ascii_case(b"media")
        };
        let is_download = traits.query.is_some_and(|query| query::pairs(query).any(asks));
        Self { place, in_query: in_query.unwrap_or_default(), is_download }
    }
}

impl Target {
    /// Finds the target, and the models in path and query where they are looked for. A request whose token also stands in the path or query is refused. Cutting the token out would
    /// change the meaning of the forwarded text.
    pub(crate) fn of<'a>(
        route: &Route<'a>,
        upstream: &Upstream,
        traits: &RequestTraits<'_>,
        wants_models: bool,
    ) -> Result<(Self, TargetModels), CheckError<'a>> {
        let mapping = &upstream.mapping;
        if is_universal(route, upstream) && (traits.is_upgrade || traits.method == b"POST") {
            return Err(CheckError::UniversalEndpoint);
        }
        let rest = mapping.without_redundant_prefix(route.path);
        let live = if traits.is_upgrade { mapping.realtime(rest) } else { None };
        let (prefix, rest) = match live {
            Some(RealtimePath { path: Some(path), .. }) => (path, &b""[..]),
            Some(RealtimePath { native: [first, ..], .. }) if rest.len() < 2 => {
                (&mapping.prefix, mapping.without_redundant_prefix(first.as_bytes()))
            }
            _ => (&mapping.prefix, rest),
        };
        let key = live.and_then(|live| live.key);
        let mut query = traits.query.and_then(without_keys);
        let mut bytes = [prefix.as_bytes(), rest].concat();
        let methods = Methods::of(traits.method, traits.is_upgrade);
        let endpoint = match live {
            Some(RealtimePath { path: Some(_), native: [first, ..], .. }) => {
                Some(PathMapping::native_endpoint(first))
            }
            _ => mapping.endpoint(&bytes),
        };
        let found = endpoint.and_then(|endpoint| mapping.find(methods, endpoint));
        let class = found.map(|found| found.class);
        let models = found.zip(endpoint).filter(|_| wants_models).map(|(found, endpoint)| {
            TargetModels::of(&found, endpoint, traits.query, traits.is_upgrade, traits.headers)
        });
        let table = upstream.object_table.filter(|_| traits.keeps_objects);
        let objects = table.zip(endpoint).map(|(table, endpoint)| AskedObjects::of(table, endpoint, traits));
        let is_minting =
            class == Some(Class::Mint) && traits.has_broker && traits.method == b"POST" && !traits.is_upgrade;
        let mint = endpoint.filter(|_| is_minting).and_then(|endpoint| mapping.mint(endpoint));
        let is_of_session =
            traits.is_session && endpoint.is_some_and(|endpoint| mapping.opens(methods, endpoint));
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        let path_length = bytes.len();
        append_query(&mut bytes, query.as_deref());
        if stands_in(&bytes, traits.token) {
            return Err(CheckError::TokenInTarget);
        }
        if query.as_deref().is_some_and(query::has_reserved) {
            query = query.as_deref().and_then(query::without_reserved).map(Cow::Owned);
            bytes.truncate(path_length);
            append_query(&mut bytes, query.as_deref());
        }
        let target = Self { bytes, has_query: query.is_some(), key, class, mint, is_of_session, objects };
        Ok((target, models.unwrap_or_default()))
    }

    pub(super) fn class(&self) -> Option<Class> {
        self.class
    }

    pub(super) fn mint(&self) -> Option<&'static Mint> {
        self.mint
    }

    pub(super) fn objects(&self) -> Option<&AskedObjects> {
        self.objects.as_ref()
    }

    pub(super) fn is_of_session(&self) -> bool {
        self.is_of_session
    }

    /// Returns whether the provider's key stands in the query.
    pub(crate) fn takes_key(&self) -> bool {
        self.key.is_some()
    }

    /// Returns the parameter that carries the provider's key, where one does.
    pub(crate) fn key_parameter(&self) -> Option<&'static str> {
        self.key.map(|QueryKey(name)| name)
    }

    /// Returns the target, with the key in its query where it belongs there.
    pub(crate) fn with_key(&self, key: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if let (Some(QueryKey(name)), Some(key)) = (self.key, key) {
            bytes.push(if self.has_query { b'&' } else { b'?' });
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b'=');
            bytes.extend_from_slice(key);
        }
        bytes
    }
}

/// Tells whether a request is for the universal endpoint at the root of the Cloudflare AI Gateway, where the body has
/// providers and their keys. Where the policy opens that endpoint, it is a provider of its own, named by the empty
/// segment.
fn is_universal(route: &Route<'_>, upstream: &Upstream) -> bool {
    upstream.controls.is_some() && route.path == b"/" && route.by != RoutedBy::Segment
}

fn append_query(bytes: &mut Vec<u8>, query: Option<&[u8]>) {
    if let Some(query) = query {
        bytes.push(b'?');
        bytes.extend_from_slice(query);
    }
}

/// Returns the query without the slot that may carry the caller's token; `None` where nothing is left of it.
fn without_keys(query: &[u8]) -> Option<Cow<'_, [u8]>> {
    match query::keys(query).next() {
        None => Some(Cow::Borrowed(query)),
        Some(_) => query::without_keys(query).map(Cow::Owned),
    }
}
