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
use crate::provider::pages::Page;
use crate::provider::{Methods, Mint, PathMapping, QueryKey, RealtimePath, Route, RoutedBy, decode_slashes};
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
    /// The page of a list, where upstream is asked for a greater one.
    pub(super) page: Option<Page>,
    /// Set where the query asks for the bytes of a file (`alt=media`).
    pub(super) is_download: bool,
    /// The ids of uploads in the query, where an upload may begin or go on.
    pub(super) uploads: Option<Vec<Vec<u8>>>,
}

/// A metering policy, and whether a body that cannot be read is refused for it.
pub(crate) type MeteringTrait = Option<(MeteringPolicy, bool)>;

/// The target of a request, without the key that may stand in its query.
pub(crate) struct Target {
    bytes: Vec<u8>,
    /// The parameter that carries the key in place of a header.
    key: Option<QueryKey>,
    /// The class of the endpoint; `None` where it is no known endpoint.
    class: Option<Class>,
    /// The form of the answer, where the endpoint mints and the answer is brokered.
    mint: Option<&'static Mint>,
    /// Set where the request is for an endpoint of its token's session.
    is_of_session: bool,
    /// The objects, where they are judged.
    objects: Option<Box<AskedObjects>>,
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
        let page = place.as_ref().and_then(|place| place.page(traits.query));
        let is_upload = place.as_ref().is_some_and(|place| place.is_upload);
        let uploads = is_upload.then(|| {
            let ids = traits.query.into_iter().flat_map(|query| query::values(query, query::UPLOAD_ID));
            ids.map(|id| percent_decode(id).collect()).collect()
        });
        Self { place, in_query: in_query.unwrap_or_default(), page, is_download, uploads }
    }
}

impl AskedObjects {
    /// Returns the query for upstream: for a greater page, and without the sealed id of an upload, whose own takes its place.
    fn query<'q>(&self, query: Option<Cow<'q, [u8]>>) -> Option<Cow<'q, [u8]>> {
        let query = match self.page {
            Some(page) => Some(Cow::Owned(page.query(query.as_deref()))),
            None => query,
        };
        match self.uploads {
            Some(_) => query.and_then(|query| query::without_all(&query, query::UPLOAD_ID)).map(Cow::Owned),
            None => query,
        }
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
        if is_universal(route, upstream) && (traits.is_upgrade || traits.method == b"POST") {
            return Err(CheckError::UniversalEndpoint);
        }
        let (mapping, rest) = upstream.mapping.place(route.path);
        let live = if traits.is_upgrade { mapping.realtime(rest) } else { None };
        let (prefix, rest) = match live {
            Some(RealtimePath { path: Some(path), .. }) => (path, &b""[..]),
            Some(RealtimePath { native: [first, ..], .. }) if rest.len() < 2 => {
                (&mapping.prefix, mapping.place(first.as_bytes()).1)
            }
            _ => (&mapping.prefix, rest),
        };
        let key = live.and_then(|live| live.key);
        let mut query = traits.query.and_then(without_keys);
        let mut bytes = path_with_room(prefix, rest, query.as_deref());
        let methods = Methods::of(traits.method, traits.is_upgrade);
        let mut endpoint = match live {
            Some(RealtimePath { path: Some(_), native: [first, ..], .. }) => {
                Some(PathMapping::native_endpoint(first))
            }
            _ => mapping.endpoint(&bytes),
        };
        let mut found = endpoint.and_then(|endpoint| mapping.find(methods, endpoint));
        let read;
        if found.is_none() && live.is_none_or(|live| live.path.is_none()) {
            read = mended_endpoint(mapping, methods, &mut bytes);
            endpoint = read.as_deref();
            found = endpoint.and_then(|endpoint| mapping.find(methods, endpoint));
        }
        let class = found.map(|found| found.class);
        let models = found.zip(endpoint).filter(|_| wants_models).map(|(found, endpoint)| {
            TargetModels::of(&found, endpoint, traits.query, traits.is_upgrade, traits.headers)
        });
        let table = upstream.object_table.filter(|_| traits.keeps_objects).zip(endpoint);
        let objects = table.map(|(table, endpoint)| Box::new(AskedObjects::of(table, endpoint, traits)));
        if let Some(objects) = &objects {
            query = objects.query(query);
        }
        query = told_in_full(query, class == Some(Class::Inference) && hides_usage(route, traits));
        let mint = endpoint.filter(|_| is_minting(class, traits)).and_then(|endpoint| mapping.mint(endpoint));
        let is_of_session =
            traits.is_session && endpoint.is_some_and(|endpoint| mapping.opens(methods, endpoint));
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        let path_length = bytes.len();
        append_query(&mut bytes, query.as_deref());
        // What lies in the policy's own prefix is none of the client's.
        let of_policy = prefix.len().saturating_sub(traits.token.len());
        if stands_in(bytes.get(of_policy..).unwrap_or_default(), traits.token) {
            let path = bytes.get(of_policy..path_length).unwrap_or_default();
            check_kept(path, query.as_deref(), traits.token)?;
        }
        if query.as_deref().is_some_and(query::has_reserved) {
            query = query.as_deref().and_then(query::without_reserved).map(Cow::Owned);
            bytes.truncate(path_length);
            append_query(&mut bytes, query.as_deref());
        }
        let target = Self { bytes, key, class, mint, is_of_session, objects };
        Ok((target, models.unwrap_or_default()))
    }

    pub(super) fn class(&self) -> Option<Class> {
        self.class
    }

    pub(super) fn mint(&self) -> Option<&'static Mint> {
        self.mint
    }

    pub(super) fn objects(&self) -> Option<&AskedObjects> {
        self.objects.as_deref()
    }

    pub(super) fn is_of_session(&self) -> bool {
        self.is_of_session
    }

    /// Returns the path at the upstream.
    pub(super) fn path(&self) -> &[u8] {
        self.bytes.split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    /// Returns whether the provider's key stands in the query.
    pub(crate) fn takes_key(&self) -> bool {
        self.key.is_some()
    }

    /// Returns the parameter that carries the provider's key, where one does.
    pub(crate) fn key_parameter(&self) -> Option<&'static str> {
        self.key.map(|QueryKey(name)| name)
    }

    /// Takes the target, without the key.
    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Adds a secret to the query of a target.
    pub(super) fn push_secret(bytes: &mut Vec<u8>, name: &str, key: &[u8]) {
        let separator: &[u8] = if bytes.contains(&b'?') { b"&" } else { b"?" };
        let parts: [&[u8]; 4] = [separator, name.as_bytes(), b"=", key];
        // The exact room, so that no copy of the key is left behind.
        bytes.reserve_exact(parts.iter().map(|part| part.len()).fold(0, usize::saturating_add));
        for part in parts {
            bytes.extend_from_slice(part);
        }
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

/// Returns the path of a target, with room for its query.
#[inline]
fn path_with_room(prefix: &str, rest: &[u8], query: Option<&[u8]>) -> Vec<u8> {
    let room = prefix.len().saturating_add(rest.len()).saturating_add(query.map_or(1, <[u8]>::len));
    let mut bytes = Vec::with_capacity(room.saturating_add(1));
    bytes.extend_from_slice(prefix.as_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

/// Returns whether the answer to a request may be brokered.
#[inline]
fn is_minting(class: Option<Class>, traits: &RequestTraits<'_>) -> bool {
    class == Some(Class::Mint) && traits.has_broker && traits.method == b"POST" && !traits.is_upgrade
}

/// Mends the path of a target that leads to no endpoint. Returns the path of the API there: where an encoded slash may stand, both
/// readings of the path have the same class.
#[cold]
fn mended_endpoint(mapping: &PathMapping, methods: Methods, bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    mapping.mend(methods, bytes);
    mapping.endpoint_as_it_is(bytes).map(|endpoint| decode_slashes(endpoint).0)
}

/// Checks that a token, which stands in the target, stands in a slot of the query only: those are reserved, and go.
#[cold]
fn check_kept(path: &[u8], query: Option<&[u8]>, token: &[u8]) -> Result<(), CheckError<'static>> {
    let kept = query.and_then(query::without_reserved).unwrap_or_default();
    let is_kept = [path, &kept].into_iter().any(|text| stands_in(text, token));
    if is_kept { Err(CheckError::TokenInTarget) } else { Ok(()) }
}

/// Returns whether the API has parameters by which an answer would not tell the usage that is metered.
fn hides_usage(route: &Route<'_>, traits: &RequestTraits<'_>) -> bool {
    traits.metering.is_some() && route.is_google()
}

/// Returns the query, where usage is metered without the parameters by which an answer would not tell it.
fn told_in_full(query: Option<Cow<'_, [u8]>>, is_metered: bool) -> Option<Cow<'_, [u8]>> {
    match query {
        Some(query) if is_metered && query::has_shape(&query) => query::without_shape(&query).map(Cow::Owned),
        query => query,
    }
}

/// Returns the query without the slot that may carry the caller's token; `None` where nothing is left of it.
fn without_keys(query: &[u8]) -> Option<Cow<'_, [u8]>> {
    match query::values(query, query::KEY).next() {
        None => Some(Cow::Borrowed(query)),
        Some(_) => query::without_all(query, query::KEY).map(Cow::Owned),
    }
}
