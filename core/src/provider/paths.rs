//! The paths of an upstream: the prefix that the policy pins, and the client's path behind it.

use super::broker::Mint;
use super::class::{Endpoint, Endpoints};
use super::pattern::{Methods, below_version, without_version};
use super::table::{AZURE, Provider};
use crate::syntax::RequestPath;

/// The mapping of a client's path to the path at an upstream.
#[derive(Debug)]
pub(crate) struct PathMapping {
    /// The text in front of the client's path: empty, or `/…` without a slash at the end.
    pub(crate) prefix: String,
    /// The prefixes of a client's path that stand in `prefix` already. The first that matches is left out of the path.
    redundant_prefixes: Vec<String>,
    /// The endpoints of the provider's API, by class.
    endpoints: Endpoints,
    /// The length of the part of `prefix` in front of the paths that these are about.
    outside: usize,
    /// Set where a version stands in front of those paths.
    is_versioned: bool,
    /// The version that stands in front of those paths, where a client may leave it out.
    version: Option<&'static str>,
    /// The mapping of the paths that stand below the root of the host, where only the host is pinned.
    at_root: Option<Box<PathMapping>>,
    /// The realtime API, where it has a place of its own.
    realtime: Option<RealtimePath>,
}

/// The paths of Azure's newer API. The others stand below the deployments.
const AT_ROOT: &str = "/openai/v1";

/// The beginnings of paths that have no version in front, at APIs that have one.
const UNVERSIONED: [&[u8]; 4] = [b"/ws/", b"/upload/", b"/download/", b"/xai_api."];

/// A realtime API over WebSocket.
#[derive(Debug)]
pub(crate) struct RealtimePath {
    /// The API's paths at the provider's own host.
    pub(crate) native: &'static [&'static str],
    /// The API's path at this upstream, in place of the native ones.
    pub(crate) path: Option<String>,
    /// The parameter of the query that carries the key.
    pub(crate) key: Option<QueryKey>,
}

/// The parameter of the query that carries the provider's key, where the gateway does not supply it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryKey(pub(crate) &'static str);

impl PathMapping {
    /// Makes the mapping to a path of the provider's own host.
    pub(crate) fn at_host(provider: &Provider, path: &str, realtime: Option<RealtimePath>) -> Self {
        let native = provider.native_prefix.as_str();
        if path.is_empty() && !native.is_empty() {
            // The address as a console shows it: the host alone.
            let mut mapping = Self::at_host(provider, native, realtime);
            if provider.builtin.id == AZURE {
                mapping.redundant_prefixes.push(AT_ROOT.to_owned());
                mapping.at_root = Some(Box::new(Self::new(provider, String::new(), 0, None)));
            }
            return mapping;
        }
        let below = path.strip_prefix(native).filter(|below| below.is_empty() || below.starts_with('/'));
        let pinned = below.unwrap_or(path);
        // An address that ends inside of the API pins the beginning of its paths.
        let inside = provider.endpoints.length_inside(pinned);
        let version = provider.builtin.version.filter(|_| path == native);
        Self { version, ..Self::new(provider, path.to_owned(), inside, realtime) }
    }

    /// Makes the mapping to the provider's place at a gateway, and below it to the path that the policy pins.
    pub(crate) fn at_gateway(provider: &Provider, place: String, realtime: Option<RealtimePath>) -> Self {
        let pinned = provider.path.as_deref().unwrap_or_default();
        // Where the path chooses the host, the pinned part does only that.
        let is_inside = !provider.builtin.host_in_path && provider.endpoints.begin_with(pinned);
        Self::new(provider, place + pinned, if is_inside { pinned.len() } else { 0 }, realtime)
    }

    /// Makes a mapping whose prefix ends in `inside` bytes of a path of the provider's API.
    fn new(provider: &Provider, prefix: String, inside: usize, realtime: Option<RealtimePath>) -> Self {
        let native = &provider.native_prefix;
        let mut redundant_prefixes: Vec<String> = [native, provider.path.as_ref().unwrap_or(native)]
            .into_iter()
            .filter(|prefix| !prefix.is_empty())
            .cloned()
            .collect();
        // A base that ends in a version takes no second one.
        let is_versioned = [native, &prefix].into_iter().any(|base| ends_in_version(base));
        if is_versioned {
            redundant_prefixes.push("/v1".to_owned());
        }
        Self {
            outside: prefix.len().saturating_sub(inside),
            prefix,
            redundant_prefixes,
            is_versioned,
            version: None,
            at_root: None,
            endpoints: provider.endpoints.clone(),
            realtime,
        }
    }

    /// Returns the mapping of a client's path, and the path without a redundant prefix.
    #[inline]
    pub(crate) fn place<'a>(&self, path: &'a [u8]) -> (&Self, &'a [u8]) {
        let below = RequestPath { path, query: None };
        let Some(prefix) = self.redundant_prefixes.iter().find(|prefix| below.is_under(prefix)) else {
            return (self, path);
        };
        match &self.at_root {
            Some(at_root) if prefix == AT_ROOT => (at_root, path),
            _ => (self, path.strip_prefix(prefix.as_bytes()).unwrap_or(path)),
        }
    }

    /// Returns the client's paths that may have led to this path of an upstream; none where no path leads there.
    pub(crate) fn retrace(&self, path: &str, upgraded: bool) -> Vec<String> {
        if let Some(RealtimePath { native: [first, ..], path: Some(own), .. }) = &self.realtime
            && upgraded
            && own == path
        {
            return vec![(*first).to_owned()];
        }
        let is_below = |rest: &&str| rest.is_empty() || rest.starts_with('/');
        if self.at_root.is_some() && path.strip_prefix(AT_ROOT).as_ref().is_some_and(is_below) {
            return vec![path.to_owned()];
        }
        let Some(rest) = path.strip_prefix(&self.prefix).filter(is_below) else { return Vec::new() };
        let of_root = |prefix: &&String| self.at_root.is_some() && *prefix == AT_ROOT;
        let redundant = self.redundant_prefixes.iter().filter(|prefix| !of_root(prefix));
        let with_prefix = redundant.map(|prefix| format!("{prefix}{rest}"));
        with_prefix.chain([rest.to_owned()]).collect()
    }

    /// Returns the path of the provider's API, without a version, at a path of the upstream, which begins with `prefix`.
    /// `None` where the API has a version there and the path has none: see [`PathMapping::mend`].
    #[inline]
    pub(crate) fn endpoint<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let path = path.get(self.outside..)?;
        if self.is_versioned {
            return Some(path);
        }
        below_version(path).or(if self.version.is_some() { None } else { Some(path) })
    }

    /// Returns the same of a path that cannot be mended.
    pub(crate) fn endpoint_as_it_is<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let path = path.get(self.outside..)?;
        Some(if self.is_versioned { path } else { without_version(path) })
    }

    /// Mends a path of the upstream that leads to no endpoint: where the version of the API is missing it is added, and of two
    /// versions behind each other the last one stays. Base URLs come with the version and without it, and SDKs add it.
    ///
    /// A path that leads to no endpoint either way is left as it is.
    #[cold]
    pub(crate) fn mend(&self, methods: Methods, path: &mut Vec<u8>) {
        let Some((pinned, rest)) = path.split_at_checked(self.prefix.len()) else { return };
        let mended = match (below_version(rest), self.version) {
            (None, Some(version)) if rest.len() > 1 && !UNVERSIONED.iter().any(|it| rest.starts_with(it)) => {
                [pinned, version.as_bytes(), rest].concat()
            }
            (Some(below), _) if self.is_versioned || below_version(below).is_some() => {
                [pinned, below].concat()
            }
            _ => return,
        };
        let endpoint = self.endpoint_as_it_is(&mended);
        if endpoint.is_some_and(|endpoint| self.find(methods, endpoint).is_some()) {
            *path = mended;
        }
    }

    /// Returns whether each encoded slash of a client's path stands in the id of a model. The path is read in both ways in which
    /// servers read it, and may lead to endpoints of one class only. Of a built-in API the ids that have slashes are known.
    #[cold]
    pub(crate) fn takes_slashes(&self, methods: Methods, path: &[u8], is_added: bool) -> bool {
        let (mapping, rest) = self.place(path);
        let whole = [mapping.prefix.as_bytes(), rest].concat();
        let Some(endpoint) = mapping.endpoint_as_it_is(&whole) else { return false };
        let (decoded, slashes) = decode_slashes(endpoint);
        let is_plain = decoded.ends_with(b"/") == endpoint.ends_with(b"/")
            && slashes.len() == decode_slashes(path).1.len()
            && RequestPath::parse(&decoded).is_ok();
        let covers = |found: &Endpoint<'_>, text: &[u8], slashes: &[usize]| {
            let Some(model) = found.model() else { return false };
            let begin = model.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
            let end = begin.saturating_add(model.len());
            slashes.iter().all(|at| (begin..end).contains(at))
        };
        let places_in_raw: Vec<usize> = encoded_slashes(endpoint).collect();
        is_plain
            && match (mapping.find(methods, endpoint), mapping.find(methods, &decoded)) {
                (raw, Some(read)) if raw.is_none_or(|raw| raw.class == read.class) => {
                    covers(&read, &decoded, &slashes)
                }
                (Some(raw), None) => is_added && covers(&raw, endpoint, &places_in_raw),
                _ => false,
            }
    }

    /// Returns the path of the provider's API, without a version, at a path of the provider's own host.
    pub(crate) fn native_endpoint(path: &str) -> &[u8] {
        without_version(path.as_bytes())
    }

    /// Returns the endpoint at a path of the API; `None` where it is none that is known.
    pub(crate) fn find<'e>(&'e self, methods: Methods, path: &'e [u8]) -> Option<Endpoint<'e>> {
        self.endpoints.find(methods, path)
    }

    /// Returns the form of the answer to a POST to an endpoint; `None` where the answer is not brokered.
    pub(crate) fn mint(&self, endpoint: &[u8]) -> Option<&'static Mint> {
        self.endpoints.mint(endpoint)
    }

    /// Returns whether a minted secret is for an endpoint.
    pub(crate) fn opens(&self, methods: Methods, endpoint: &[u8]) -> bool {
        self.endpoints.opens(methods, endpoint)
    }

    /// Returns the realtime API, if the path is one of its paths.
    pub(crate) fn realtime(&self, path: &[u8]) -> Option<&RealtimePath> {
        let is_its = |live: &&RealtimePath| {
            matches!(path, b"" | b"/") || live.native.iter().any(|native| native.as_bytes() == path)
        };
        self.realtime.as_ref().filter(is_its)
    }
}

/// Returns the places of encoded slashes in a path.
fn encoded_slashes(path: &[u8]) -> impl Iterator<Item = usize> {
    let places = path.windows(3).enumerate();
    places.filter(|(_, text)| text.eq_ignore_ascii_case(b"%2f")).map(|(at, _)| at)
}

/// Decodes the encoded slashes of a path. Returns the path, and their places in it.
pub(crate) fn decode_slashes(path: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let (mut decoded, mut places, mut from) = (Vec::with_capacity(path.len()), Vec::new(), 0);
    for at in encoded_slashes(path) {
        decoded.extend_from_slice(path.get(from..at).unwrap_or_default());
        places.push(decoded.len());
        decoded.push(b'/');
        from = at.saturating_add(3);
    }
    decoded.extend_from_slice(path.get(from..).unwrap_or_default());
    (decoded, places)
}

/// Returns whether the last segment is `v` and a number.
fn ends_in_version(path: &str) -> bool {
    let version = path.rsplit('/').next().and_then(|last| last.strip_prefix('v'));
    version.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use crate::identity::Class;
    use crate::provider::pattern::POST;
    use crate::provider::table::BUILT_IN;

    #[test]
    fn the_end_of_an_address_is_the_beginning_of_an_apis_paths_also_behind_a_prefix() {
        for (id, path, expect) in [
            ("azure-openai", "/openai/v1", "/openai/v1"),
            ("azure-openai", "/prefix/openai/v1", "/openai/v1"),
            ("azure-openai", "/a/b/openai/v1", "/openai/v1"),
            ("azure-openai", "/prefix", ""),
            ("azure-openai", "/prefix/openai/deployments", ""),
            ("azure-openai", "/prefix/openai", ""),
            ("openai", "/prefix/v1", ""),
            ("openai", "/prefix/chat", ""),
            ("openai", "/proxy/models/openai", ""),
            ("groq", "/prefix/openai/v1", ""),
            ("gemini", "/prefix/v1beta", ""),
            ("gemini", "/prefix/v1beta/openai", "/v1beta/openai"),
            ("anthropic", "/prefix/v1", ""),
        ] {
            let builtin = BUILT_IN.iter().find(|row| row.id == id).unwrap();
            assert_eq!(builtin.endpoints().length_inside(path), expect.len(), "{id} {path}");
        }
    }

    /// Every path that is brokered is of the class `mint`, so that no scope opens it by accident; every path that a
    /// minted secret is for is known, and mints nothing that is brokered.
    #[test]
    fn what_is_brokered_is_of_the_class_mint_and_opens_known_endpoints() {
        let mut count = 0;
        for builtin in &BUILT_IN {
            let Some(brokered) = builtin.brokered else { continue };
            let endpoints = builtin.endpoints();
            for path in brokered.mints.iter().flat_map(|mint| mint.paths) {
                assert_eq!(endpoints.class(POST, path.as_bytes()), Some(Class::Mint), "{path}");
                assert!(endpoints.mint(path.as_bytes()).is_some(), "{path}");
                assert!(!endpoints.opens(POST, path.as_bytes()), "{path}");
                count += 1;
            }
            for (methods, paths) in brokered.opens {
                for path in *paths {
                    let class = endpoints.class(*methods, path.as_bytes());
                    assert!(matches!(class, Some(Class::Inference | Class::Mint)), "{path}: {class:?}");
                    assert!(endpoints.mint(path.as_bytes()).is_none(), "{path}");
                }
            }
            assert!(brokered.mints.iter().all(|mint| !mint.secrets.is_empty()), "{}", builtin.id);
        }
        assert_eq!(count, 11);
    }
}
