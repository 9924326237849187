//! Providers in a policy: the built-in table with the policy's changes and additions.

use std::collections::BTreeMap;

use super::gateway::read_url;
use super::reader::{Node, is_name};
use crate::provider::{AuthStyle, BUILT_IN, BuiltIn, Dialect, Provider};
use crate::url::BaseUrl;

/// First segments that belong to the providers' own APIs, and to ours.
const RESERVED_SLUGS: [&str; 5] = ["v1", "v1beta", "upload", "compat", ".well-known"];

/// What a policy says of one provider.
struct Entry<'d> {
    node: Node<'d>,
    credential: Option<String>,
    url: Option<BaseUrl>,
    slug: Option<String>,
    auth: Option<AuthStyle>,
    dialect: Option<Dialect>,
    /// `true`: through the gateway.
    via: Option<bool>,
}

/// The built-in providers, changed as the policy says, and those it adds.
pub(super) fn read(node: Option<&Node<'_>>, has_gateway: bool) -> Vec<Provider> {
    let entries = node.map(Node::entries).unwrap_or_default();
    let mut entries: BTreeMap<&str, Entry<'_>> =
        entries.into_iter().filter_map(|(id, node)| Some((id, Entry::read(node)?))).collect();
    let mut providers: Vec<Provider> =
        BUILT_IN.iter().filter_map(|row| Entry::change(entries.remove(row.id), row, has_gateway)).collect();
    for (id, entry) in entries {
        if let Some(provider) = entry.add(id, has_gateway) {
            if providers.iter().any(|other| other.slug == provider.slug) {
                entry
                    .node
                    .fail(format!("the segment `{}` already belongs to another provider", provider.slug));
            }
            providers.push(provider);
        }
    }
    providers
}

impl<'d> Entry<'d> {
    fn read(node: Node<'d>) -> Option<Self> {
        let mut fields = node.fields()?;
        let credential = fields.optional("credential").and_then(|node| node.name());
        let url = fields.optional("url").and_then(|node| read_url(&node));
        let slug = fields.optional("slug").and_then(|node| node.name());
        let auth = fields.optional("auth").and_then(|node| read_auth(&node));
        let dialect = fields.optional("dialect").and_then(|node| {
            node.choice(&[
                ("openai", Dialect::OpenAi),
                ("anthropic", Dialect::Anthropic),
                ("google", Dialect::Google),
            ])
        });
        let via =
            fields.optional("via").and_then(|node| node.choice(&[("gateway", true), ("direct", false)]));
        fields.finish();
        Some(Self { node, credential, url, slug, auth, dialect, via })
    }

    /// A built-in provider, with what the entry changes of it. Its wire format is a fact, not a choice.
    fn change(entry: Option<Self>, row: &BuiltIn, has_gateway: bool) -> Option<Provider> {
        let via_gateway = entry.as_ref().map_or(has_gateway, |entry| entry.via_gateway(has_gateway, true));
        if let Some(entry) = &entry {
            if entry.slug.is_some() || entry.auth.is_some() || entry.dialect.is_some() {
                entry.node.fail("`slug`, `auth` and `dialect` of a built-in provider are fixed: remove them");
            }
            if via_gateway && entry.url.is_some() {
                entry.node.fail(
                    "`url` has no effect while requests go through the gateway: remove it, or set `via: direct`",
                );
            }
        }
        let (credential, url) = entry.map(|entry| (entry.credential, entry.url)).unwrap_or_default();
        Some(Provider {
            id: row.id.to_owned(),
            slug: row.slug.to_owned(),
            dialect: row.dialect,
            auth: row.header.map_or(AuthStyle::Bearer, |name| AuthStyle::Header(name.to_owned())),
            url: url.or_else(|| BaseUrl::parse(&format!("https://{}", row.authority)).ok())?,
            credential: credential.unwrap_or_else(|| row.id.to_owned()),
            via_gateway,
        })
    }

    /// A provider that the policy adds. It goes through the gateway only if the policy gives its slug there.
    fn add(&self, id: &str, has_gateway: bool) -> Option<Provider> {
        let via_gateway = self.via_gateway(has_gateway, self.slug.is_some());
        let slug = self.slug.clone().unwrap_or_else(|| id.to_owned());
        if !is_id(id) {
            self.node.fail("expected a name of lower-case letters, digits and `-`, at most 64");
        }
        if RESERVED_SLUGS.contains(&slug.as_str()) {
            self.node
                .fail(format!("`{slug}` is a segment of the providers' own paths: choose another `slug`"));
        }
        if !via_gateway && self.url.is_none() {
            self.node.fail("the field `url` is missing: where does its API live?");
        }
        Some(Provider {
            id: id.to_owned(),
            slug,
            dialect: self.dialect.unwrap_or(Dialect::OpenAi),
            auth: self.auth.clone().unwrap_or(AuthStyle::Bearer),
            // Through the gateway its own address is never used.
            url: self.url.clone().or_else(|| BaseUrl::parse("https://invalid").ok())?,
            credential: self.credential.clone().unwrap_or_else(|| id.to_owned()),
            via_gateway,
        })
    }

    fn via_gateway(&self, has_gateway: bool, default: bool) -> bool {
        if self.via == Some(true) && !has_gateway {
            self.node.fail("`via: gateway` needs a `gateway` in the policy");
        }
        has_gateway && self.via.unwrap_or(default)
    }
}

pub(super) fn is_id(id: &str) -> bool {
    is_name(id) && !id.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

fn read_auth(node: &Node<'_>) -> Option<AuthStyle> {
    let is_name = |name: &&str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !has_another_meaning(name)
    };
    let style = match node.text()? {
        "bearer" => Some(AuthStyle::Bearer),
        text => text.strip_prefix("header:").filter(is_name).map(|name| AuthStyle::Header(name.to_owned())),
    };
    node.check(
        style,
        "expected `bearer`, or `header:` and the name of a header in lower case that carries nothing else",
    )
}

/// Headers that frame a message, steer a proxy or belong to the gateway.
pub(super) fn has_another_meaning(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "connection",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    const PREFIXES: [&str; 8] =
        ["accept", "cf-access-", "cf-aig-", "content-", "proxy-", "sec-", "x-envoy-", "x-keyswap-"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
