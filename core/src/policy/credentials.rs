//! Upstream credentials in a policy: named chains of sources, of which the first that yields a value wins.
//!
//! Only names, addresses and pointers stand here; values are found by [`crate::upstream::Credentials`].

use std::collections::BTreeMap;

use super::http_source::HttpSource;
use super::reader::{NAME_EXPECTED, Node, is_name};
use super::variable::Variable;

/// A place that an upstream credential comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// An environment variable of the host.
    Env(Variable),
    /// A file of the host, at this path, that holds nothing else.
    File(String),
    /// The request's header of this name, where it held the verified identity JWT.
    RequestHeader(String),
    /// The caller's own sign-in at the provider: the Bearer token of its `Authorization` that begins so.
    SignIn(String),
    /// A token agent or a secret manager, asked over HTTP.
    Http(Box<HttpSource>),
    /// The host, which writes the value into the request; the engine never sees it.
    Host,
}

/// Every named credential with its chain of sources.
#[derive(Clone, Debug, Default)]
pub(crate) struct CredentialPolicy(BTreeMap<String, Vec<Source>>);

impl CredentialPolicy {
    #[inline(never)]
    pub(super) fn read(node: &Node<'_>) -> Self {
        let mut chains = BTreeMap::new();
        for (name, chain) in node.entries() {
            // Later errors repeat the name, in logs too.
            match chain.check(Some(name).filter(|name| is_name(name)), NAME_EXPECTED) {
                Some(name) => _ = chains.insert(name.to_owned(), read_chain(&chain)),
                None => _ = read_chain(&chain),
            }
        }
        Self(chains)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn chain(&self, name: &str) -> Option<&[Source]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Returns whether a source of a credential is the caller's own sign-in.
    pub(super) fn has_sign_in(&self, name: &str) -> bool {
        self.chain(name).is_some_and(|chain| chain.iter().any(|source| matches!(source, Source::SignIn(_))))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns every chain under its name.
    pub(crate) fn chains(&self) -> impl Iterator<Item = (&str, &[Source])> {
        self.0.iter().map(|(name, chain)| (name.as_str(), chain.as_slice()))
    }

    /// Returns the headers of requests that may hold a credential, with the places of the sources that name them.
    pub(super) fn request_headers(&self) -> impl Iterator<Item = (String, &str)> {
        self.chains().flat_map(|(name, chain)| {
            chain.iter().enumerate().filter_map(move |(index, source)| match source {
                Source::RequestHeader(header) => {
                    Some((format!("credentials.{name}[{index}].request_header"), header.as_str()))
                }
                _ => None,
            })
        })
    }
}

fn read_chain(node: &Node<'_>) -> Vec<Source> {
    let items = node.items();
    if items.is_empty() {
        node.fail("expected at least one source, such as `[{env: OPENAI_API_KEY}]`");
    }
    let chain: Vec<Source> = items.iter().filter_map(read_source).collect();
    if items.len() > 1 && chain.iter().any(|source| matches!(source, Source::Host)) {
        node.fail("a chain cannot see whether the host has a value: `inject_by: host` stands alone");
    }
    chain
}

fn read_source(node: &Node<'_>) -> Option<Source> {
    let mut fields = node.fields()?;
    let variable = fields.optional("env").map(|node| Variable::read(&node).map(Source::Env));
    let header = fields
        .optional("request_header")
        .map(|node| node.text().map(|name| Source::RequestHeader(name.to_owned())));
    let sign_in = fields.optional("sign_in").map(|node| read_beginning(&node).map(Source::SignIn));
    let file = fields.optional("file").map(|node| read_path(&node).map(Source::File));
    let http = fields.optional("http").map(|node| HttpSource::read(&node).map(Box::new).map(Source::Http));
    let host = fields.optional("inject_by").map(|node| node.choice(&[("host", ())]).map(|()| Source::Host));
    fields.finish();
    let mut said = [variable, file, header, sign_in, http, host].into_iter().flatten();
    let (source, another) = (said.next(), said.next());
    if source.is_none() || another.is_some() {
        node.fail("expected one of `env`, `file`, `request_header`, `sign_in`, `http`, `inject_by`");
    }
    source?
}

/// Reads the beginning of a provider's tokens. No token of ours begins so, and no JWT.
fn read_beginning(node: &Node<'_>) -> Option<String> {
    let is_beginning = |text: &&str| {
        (6..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
            && !["ptk_", "eyJ"].into_iter().any(|own| text.starts_with(own))
    };
    let text = node.text()?;
    node.check(
        Some(text).filter(is_beginning),
        "expected how the provider's own sign-in tokens begin, in 6 to 32 characters, such as `sk-ant-oat`",
    )
    .map(str::to_owned)
}

/// Reads the path of a file: absolute, and the same by every reading of it.
fn read_path(node: &Node<'_>) -> Option<String> {
    let is_path = |text: &&str| {
        text.len() <= 255
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && text
                .strip_prefix('/')
                .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
    };
    let text = node.text()?;
    node.check(
        Some(text).filter(is_path),
        "expected the absolute path of a file such as `/run/secrets/openai`, without `.` and `..`",
    )
    .map(str::to_owned)
}
