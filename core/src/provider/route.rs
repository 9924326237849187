//! The provider of a request, and the dialect that its caller speaks.
//!
//! The first of these names the provider of a request: a segment, a path of one API, a header of one API, the token's
//! slot. Otherwise the provider is `openai`. Where no segment names a provider, a gateway may take the place of the one
//! that was found.
//!
//! The route decides both the scope that is checked and the credential that is written, so the two cannot disagree.

use std::fmt;

use super::facts::of_slot;
use super::table;
use super::table::{Dialect, EndpointKind, Provider};
use crate::request::{HeaderNames, RequestHead, Slot};
use crate::syntax::{RequestPath, read};

/// The part of the request that told the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoutedBy {
    /// The first segment of the path, which names the provider.
    Segment,
    /// The path, which only the provider's API has.
    Path,
    /// A header that only the provider's API has.
    Header,
    /// The slot that carried the token, which the provider's SDKs use.
    Slot(Slot),
    /// Nothing: the provider is the default.
    Default,
}

impl fmt::Display for RoutedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment => f.write_str("the first segment of the path names it"),
            Self::Path => f.write_str("the path is one of its API"),
            Self::Header => f.write_str("a header is one of its API"),
            Self::Slot(slot) => write!(f, "its SDKs use the slot `{slot}`"),
            Self::Default => f.write_str("nothing names another"),
        }
    }
}

/// The destination of a request, as far as its head tells.
#[derive(Clone, Copy)]
pub(crate) struct Route<'a> {
    /// The provider's name. A provider that the policy does not enable is in no token's scope.
    pub(crate) provider: &'a str,
    pub(crate) by: RoutedBy,
    pub(crate) dialect: Dialect,
    /// The client's path without the segment that named the provider.
    pub(crate) path: &'a [u8],
}

/// Paths that only one provider's API has. The first that matches wins. A dot at the end stands before more of the segment.
const PATHS: [(&str, &str, Dialect); 13] = [
    ("/v1/messages", table::ANTHROPIC, Dialect::Anthropic),
    ("/v1beta/openai", table::GEMINI, Dialect::OpenAi),
    ("/v1beta", table::GEMINI, Dialect::Google),
    ("/upload/v1beta", table::GEMINI, Dialect::Google),
    ("/ws/google.ai.generativelanguage.", table::GEMINI, Dialect::Google),
    ("/ws/google.cloud.aiplatform.", table::VERTEX, Dialect::Google),
    (PROJECTS[0], table::VERTEX, Dialect::Google),
    (PROJECTS[1], table::VERTEX, Dialect::Google),
    ("/v1/publishers", table::VERTEX, Dialect::Google),
    ("/v1beta1/publishers", table::VERTEX, Dialect::Google),
    ("/v1/listen", table::DEEPGRAM, Dialect::OpenAi),
    ("/v2/listen", table::DEEPGRAM, Dialect::OpenAi),
    ("/v1/speak", table::DEEPGRAM, Dialect::OpenAi),
];

/// Projects of Vertex AI. Other APIs have projects, too, but none below a location.
const PROJECTS: [&str; 2] = ["/v1/projects", "/v1beta1/projects"];

/// The fifth bytes of those paths, as bits.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const FIFTH_BYTES: u32 = {
    let (mut bytes, mut at) = (0, 0);
    while at < PATHS.len() {
        bytes |= bit(PATHS[at].0.as_bytes()[4]);
        at += 1;
    }
    bytes
};

const fn bit(byte: u8) -> u32 {
    1 << (byte & 0x1f)
}

/// The header that Anthropic's API requires of every request. Its SDKs send their key as Bearer like all others, also
/// where the path is one that others have too (`/v1/models`, `/v1/files`).
const ANTHROPIC_HEADER: &str = "anthropic-version";

impl<'a> Route<'a> {
    /// Returns whether the request is for an API of Google's, in whichever dialect.
    pub(crate) fn is_google(&self) -> bool {
        self.dialect == Dialect::Google || [table::GEMINI, table::VERTEX].contains(&self.provider)
    }

    /// Finds the route. `segments` are those of the providers.
    pub(crate) fn find(
        (providers, segments): (&'a [Provider], &Segments),
        names: &HeaderNames,
        head: &RequestHead<'a>,
        path: &RequestPath<'a>,
        slot: Option<Slot>,
    ) -> Self {
        let (segment, rest) = path.split_first_segment();
        let is_it = |provider: &&Provider| is_segment_of(provider, segment, names.is_upgrade);
        let is_alias =
            |provider: &&Provider| provider.builtin.aliases.iter().any(|alias| alias.as_bytes() == segment);
        let find = || providers.iter().find(is_it).or_else(|| providers.iter().find(is_alias));
        if let Some(provider) = segments.may_have(segment).then(find).flatten() {
            let below = RequestPath { path: rest, query: None };
            // The path of Azure's SDKs begins with what is another provider's segment.
            let is_azures =
                |other: &&Provider| other.id == table::AZURE && (other.url.is_some() || other.path.is_some());
            let is_deployment = provider.id == table::OPENAI && below.is_under("/deployments");
            if let Some(azure) = is_deployment.then(|| providers.iter().find(is_azures)).flatten() {
                let dialect = azure.dialect;
                return Self { provider: &azure.id, by: RoutedBy::Path, dialect, path: path.path };
            }
            // The rest may speak another dialect that the provider has.
            let dialect = by_path(&below)
                .filter(|(id, _)| *id == provider.id || provider.builtin.endpoint != EndpointKind::Provider)
                .map_or(provider.dialect, |(_, dialect)| dialect);
            return Self { provider: &provider.id, by: RoutedBy::Segment, dialect, path: rest };
        }
        let (provider, by, dialect) = unnamed(names, head, path, slot);
        // A gateway may be where such requests go.
        let takes = |other: &&Provider| other.stands_for.contains(&provider);
        let takes = segments.has_stand_ins.then(|| providers.iter().find(takes)).flatten();
        let provider = takes.map_or(provider, |other| other.id.as_str());
        Self { provider, by, dialect, path: path.path }
    }
}

/// Returns whether a first segment names the provider. Its realtime API may have a segment of its own.
fn is_segment_of(provider: &Provider, segment: &[u8], is_upgrade: bool) -> bool {
    let realtime =
        || provider.builtin.realtime.as_ref().is_some_and(|realtime| realtime.slug.as_bytes() == segment);
    provider.slug.as_bytes() == segment || (is_upgrade && realtime())
}

/// The segments that name providers, as hashes: the first segment of most paths names none.
pub(crate) struct Segments {
    hashes: u128,
    /// Set where a provider stands for others.
    has_stand_ins: bool,
}

impl Segments {
    pub(crate) fn of(providers: &[Provider]) -> Self {
        let realtime = providers.iter().filter_map(|provider| Some(provider.builtin.realtime.as_ref()?.slug));
        let aliases = providers.iter().flat_map(|provider| provider.builtin.aliases).copied();
        let slugs = providers.iter().map(|provider| provider.slug.as_str()).chain(realtime).chain(aliases);
        Self {
            hashes: slugs.fold(0, |hashes, slug| hashes | Self::bit(slug.as_bytes())),
            has_stand_ins: providers.iter().any(|provider| !provider.stands_for.is_empty()),
        }
    }

    fn bit(segment: &[u8]) -> u128 {
        let first = segment.first().map_or(0, |byte| u32::from(*byte));
        let length = u32::try_from(segment.len()).unwrap_or(0);
        1u128.wrapping_shl(first.wrapping_add(length.wrapping_mul(32)))
    }

    /// Returns whether the segment may name a provider.
    fn may_have(&self, segment: &[u8]) -> bool {
        self.hashes & Self::bit(segment) != 0
    }
}

/// Finds the provider of a request that names none by a segment.
fn unnamed(
    names: &HeaderNames,
    head: &RequestHead<'_>,
    path: &RequestPath<'_>,
    slot: Option<Slot>,
) -> (&'static str, RoutedBy, Dialect) {
    if let Some((provider, dialect)) = by_path(path) {
        return (provider, RoutedBy::Path, dialect);
    }
    let (provider, by) =
        if names.has(read::ANTHROPIC_VERSION) && head.values(ANTHROPIC_HEADER).next().is_some() {
            (table::ANTHROPIC, RoutedBy::Header)
        } else {
            slot.map_or((table::OPENAI, RoutedBy::Default), |slot| (of_slot(slot), RoutedBy::Slot(slot)))
        };
    let row = table::BUILT_IN.iter().find(|row| row.id == provider);
    (provider, by, row.map_or(Dialect::OpenAi, |row| row.dialect))
}

fn by_path(path: &RequestPath<'_>) -> Option<(&'static str, Dialect)> {
    // The fifth byte rules out nearly every other path.
    let fifth = path.path.get(4).filter(|byte| FIFTH_BYTES & bit(**byte) != 0)?;
    let is_it = |prefix: &str| {
        let begins =
            path.is_under(prefix) || (prefix.ends_with('.') && path.path.starts_with(prefix.as_bytes()));
        prefix.as_bytes().get(4) == Some(fifth)
            && begins
            && (!PROJECTS.contains(&prefix) || has_location(path))
    };
    PATHS.iter().find(|(prefix, ..)| is_it(prefix)).map(|(_, provider, dialect)| (*provider, *dialect))
}

/// Returns whether a path of projects leads below a location.
fn has_location(path: &RequestPath<'_>) -> bool {
    path.path.split(|byte| *byte == b'/').nth(4) == Some(b"locations")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::table::BUILT_IN;

    #[test]
    fn no_alias_makes_the_first_segment_of_most_paths_be_looked_up() {
        for name in BUILT_IN.iter().flat_map(|row| row.aliases) {
            assert_ne!(Segments::bit(name.as_bytes()), Segments::bit(b"v1"), "{name}");
        }
    }
}
