//! Providers in a policy: the built-in table with the policy's changes and additions.

use std::collections::BTreeMap;
use std::time::Duration;

use super::gateway::{Gateways, Unnamed, Vercel, read_url};
use super::reader::{Fields, NAME_EXPECTED, Node, is_header_name, is_name};
use super::status::StatusPolicy;
use super::{bindings, endpoints};
use crate::policy::duration::duration_within;
use crate::provider::facts::endpoints_of;
use crate::provider::objects::ObjectsMode;
use crate::provider::table::{ADDED, ANTHROPIC, BUILT_IN, BuiltIn};
use crate::provider::{AuthStyle, Dialect, EndpointKind, Endpoints, KeyPool, OPENAI, Provider};
use crate::secret::{BEARER, TOKEN};
use crate::syntax::{BaseUrl, RequestPath};

/// First segments that belong to the providers' own APIs, to the gateway's endpoints, and to ours.
const RESERVED_SLUGS: [&str; 10] = [
    "v1",
    "v1beta",
    "upload",
    "ws",
    "google",
    "compat",
    "cloudflare-rest",
    "universal",
    ".well-known",
    StatusPolicy::SCOPE,
];

/// The providers that the gateways of a policy add to it.
pub(super) struct Offer {
    /// Set where there is a Cloudflare AI Gateway, be it one that could not be read.
    cloudflare: bool,
    rest: bool,
    universal: bool,
    unnamed: Unnamed,
    vercel: Option<Vercel>,
}

impl Offer {
    /// Returns the providers of these gateways. `written` is set where the policy has a `gateway` at all.
    pub(super) fn of(gateways: Option<&Gateways>, written: bool) -> Self {
        let cloudflare = gateways.and_then(|gateways| gateways.cloudflare.as_ref());
        Self {
            cloudflare: gateways.map_or(written, |gateways| gateways.cloudflare.is_some()),
            rest: cloudflare.is_some_and(|gateway| gateway.rest().is_some()),
            universal: cloudflare.is_some_and(|gateway| gateway.universal_endpoint),
            unnamed: cloudflare.map_or(Unnamed::OpenAi, |gateway| gateway.unnamed),
            vercel: gateways.and_then(|gateways| gateways.vercel.clone()),
        }
    }

    fn has(&self, endpoint: EndpointKind) -> bool {
        match endpoint {
            EndpointKind::Provider => true,
            EndpointKind::Compat => self.cloudflare,
            EndpointKind::Root => self.universal,
            EndpointKind::Rest => self.rest,
            EndpointKind::Vercel => self.vercel.is_some(),
        }
    }

    /// Returns the providers in whose place this one gets requests that do not name them.
    fn stands_for(&self, endpoint: EndpointKind) -> &'static [&'static str] {
        match (endpoint, self.unnamed) {
            (EndpointKind::Compat, Unnamed::Compat) | (EndpointKind::Rest, Unnamed::Rest) => &[OPENAI],
            (EndpointKind::Vercel, _) => &[OPENAI, ANTHROPIC],
            _ => &[],
        }
    }
}

/// The policy's settings for one provider.
struct Entry<'d> {
    node: Node<'d>,
    keys: Option<KeyPool>,
    url: Option<BaseUrl>,
    path: Option<String>,
    slug: Option<String>,
    auth: Option<AuthStyle>,
    dialect: Option<Dialect>,
    native_prefix: Option<String>,
    endpoints: Option<Endpoints>,
    objects: Option<ObjectsMode>,
    /// Set where requests go through the gateway; `None` where the entry does not say.
    via: Option<bool>,
}

/// Reads the built-in providers, changed as the policy says, and those it adds. `gateway_credential` is the Cloudflare
/// gateway's.
#[inline(never)]
pub(super) fn read(
    node: Option<&Node<'_>>,
    offer: &Offer,
    gateway_credential: Option<&str>,
    objects: ObjectsMode,
) -> Vec<Provider> {
    let entries = node.map(Node::entries).unwrap_or_default();
    let mut entries: BTreeMap<&str, Entry<'_>> =
        entries.into_iter().filter_map(|(id, node)| Some((id, Entry::read(node)?))).collect();
    // This endpoint sends the gateway's token to another host, so the policy must name it.
    let opens_rest = entries.contains_key("cloudflare-rest") || offer.unnamed == Unnamed::Rest;
    let rows = BUILT_IN
        .iter()
        .filter(|row| offer.has(row.endpoint) && (row.endpoint != EndpointKind::Rest || opens_rest));
    let rows: Vec<_> = rows.collect();
    let mut providers: Vec<Provider> = rows
        .into_iter()
        .map(|row| Entry::change(entries.remove(row.id), row, offer, gateway_credential, objects))
        .collect();
    for (id, entry) in entries {
        let provider = entry.add(id, offer.cloudflare, objects);
        if providers.iter().any(|other| other.slug == provider.slug) {
            entry.node.fail(format!("the segment `{}` already belongs to another provider", provider.slug));
        }
        providers.push(provider);
    }
    providers
}

impl<'d> Entry<'d> {
    #[inline(never)]
    fn read(node: Node<'d>) -> Option<Self> {
        let mut fields = node.fields()?;
        let keys = read_keys(&node, &mut fields);
        let url = fields.optional("url").and_then(|node| read_url(&node));
        let path = fields.optional("path").and_then(|node| read_path(&node));
        let slug = fields.optional("slug").and_then(|node| node.name());
        let auth = fields.optional("auth").and_then(|node| read_auth(&node));
        let dialect = fields.optional("dialect").and_then(|node| {
            node.choice(&[
                ("openai", Dialect::OpenAi),
                ("anthropic", Dialect::Anthropic),
                ("google", Dialect::Google),
            ])
        });
        let native_prefix = fields.optional("native_prefix").and_then(|node| read_path(&node));
        let endpoints = fields.optional("endpoints").and_then(|node| endpoints::read(&node));
        let objects = fields.optional("objects").and_then(|node| node.choice(&ObjectsMode::NAMES));
        let via =
            fields.optional("via").and_then(|node| node.choice(&[("gateway", true), ("direct", false)]));
        fields.finish();
        Some(Self { node, keys, url, path, slug, auth, dialect, native_prefix, endpoints, objects, via })
    }

    /// Returns a built-in provider, with the changes of its entry. Its wire format is a fact, not a choice.
    fn change(
        entry: Option<Self>,
        row: &'static BuiltIn,
        offer: &Offer,
        gateway_credential: Option<&str>,
        objects: ObjectsMode,
    ) -> Provider {
        let objects = entry.as_ref().and_then(|entry| entry.objects).unwrap_or(objects);
        let of_gateway = offer.cloudflare && row.endpoint != EndpointKind::Vercel;
        let via_gateway = entry.as_ref().map_or(of_gateway, |entry| entry.via_gateway(of_gateway, true));
        if let Some(entry) = &entry {
            entry.check_change(row, via_gateway);
        }
        let vercel = offer.vercel.as_ref().filter(|_| row.endpoint == EndpointKind::Vercel);
        let default_credential = match row.endpoint {
            EndpointKind::Rest => gateway_credential,
            EndpointKind::Vercel => vercel.map(|vercel| vercel.credential.as_str()),
            _ => None,
        };
        let auth = entry.as_ref().and_then(|entry| entry.auth.clone()).unwrap_or_else(|| row.auth());
        let (keys, url, path) = entry.map(|entry| (entry.keys, entry.url, entry.path)).unwrap_or_default();
        Provider {
            id: row.id.to_owned(),
            slug: row.slug.to_owned(),
            dialect: row.dialect,
            auth,
            url: url.or_else(|| vercel.map(|vercel| vercel.url.clone())).or_else(|| row.url()),
            native_prefix: row.native_prefix.to_owned(),
            path,
            keys: keys.unwrap_or_else(|| KeyPool::of(default_credential.unwrap_or(row.id))),
            via_gateway,
            stands_for: offer.stands_for(row.endpoint),
            endpoints: row.endpoints(),
            objects,
            builtin: row,
        }
    }

    /// Checks the settings that a policy may change of a built-in provider.
    fn check_change(&self, row: &BuiltIn, via_gateway: bool) {
        if self
            .auth
            .as_ref()
            .is_some_and(|auth| !row.takes_bearer() || *auth != AuthStyle::Authorization(BEARER))
        {
            self.node.fail(
                "`auth` of a built-in provider is fixed, but that `anthropic` and `azure-openai` may have `bearer` for access tokens",
            );
        }
        if self.slug.is_some()
            || self.dialect.is_some()
            || self.native_prefix.is_some()
            || self.endpoints.is_some()
        {
            self.node.fail(
                "`slug`, `dialect`, `native_prefix` and `endpoints` of a built-in provider are fixed: remove them",
            );
        }
        let has_url = self.url.is_some() && row.endpoint != EndpointKind::Rest;
        if row.endpoint != EndpointKind::Provider && (has_url || self.path.is_some() || self.via.is_some()) {
            self.node
                .fail("an endpoint of a gateway takes a `credential` or `credentials` only: remove the rest");
        } else if row.endpoint == EndpointKind::Provider {
            self.check_place(via_gateway);
        }
    }

    /// Checks that the prefix of the client's path is given only once.
    fn check_place(&self, via_gateway: bool) {
        if via_gateway && self.url.is_some() {
            self.node.fail(
                "`url` has no effect while requests go through the gateway: remove it, or set `via: direct`",
            );
        }
        if !via_gateway && self.path.is_some() {
            self.node.fail("`path` is for requests through the gateway: put it at the end of `url`");
        }
    }

    /// Returns a provider that the policy adds. The provider goes through the gateway only if the policy gives its slug
    /// there.
    fn add(&self, id: &str, has_gateway: bool, objects: ObjectsMode) -> Provider {
        let via_gateway = self.via_gateway(has_gateway, self.slug.is_some());
        let slug = self.slug.clone().unwrap_or_else(|| id.to_owned());
        if !is_id(id) {
            self.node.fail("expected a name of lower-case letters, digits and `-`, at most 64");
        }
        if RESERVED_SLUGS.contains(&slug.as_str()) || id == StatusPolicy::SCOPE {
            self.node
                .fail(format!("`{slug}` is a segment of the providers' own paths: choose another `slug`"));
        }
        if !via_gateway && self.url.is_none() {
            self.node.fail("the field `url` is missing: where does its API live?");
        }
        if !via_gateway && self.path.is_some() {
            self.node.fail("`path` is for requests through the gateway: put it at the end of `url`");
        }
        let dialect = self.dialect.unwrap_or(Dialect::OpenAi);
        Provider {
            id: id.to_owned(),
            slug,
            dialect,
            auth: self.auth.clone().unwrap_or(AuthStyle::Authorization(BEARER)),
            // Through the gateway its own address is never used.
            url: self.url.clone(),
            native_prefix: self.native_prefix.clone().unwrap_or_default(),
            path: self.path.clone(),
            keys: self.keys.clone().unwrap_or_else(|| KeyPool::of(id)),
            via_gateway,
            stands_for: &[],
            endpoints: self.endpoints.clone().unwrap_or_else(|| endpoints_of(dialect, self.url.as_ref())),
            objects: self.objects.unwrap_or(objects),
            builtin: &ADDED,
        }
    }

    fn via_gateway(&self, has_gateway: bool, default: bool) -> bool {
        if self.via == Some(true) && !has_gateway {
            self.node.fail("`via: gateway` needs a `gateway` in the policy");
        }
        has_gateway && self.via.unwrap_or(default)
    }
}

/// Reads one `credential`, or `credentials` with the weight of each, and `bindings`. With bindings there is no default
/// credential: whoever is not bound shares one only where the policy says which.
fn read_keys(node: &Node<'_>, fields: &mut Fields<'_>) -> Option<KeyPool> {
    let one = fields.optional("credential").map(|node| node.name());
    let several = fields.optional("credentials").map(|node| read_weights(&node));
    let cooldown = fields.optional("cooldown");
    if let Some(node) = &cooldown
        && several.as_ref().is_none_or(|several| several.len() < 2)
    {
        node.fail("one key has no other to take its place: a cooldown needs two or more `credentials`");
    }
    let range = Duration::from_secs(1)..=Duration::from_hours(1);
    let cooldown = cooldown
        .and_then(|node| duration_within(&node, range.clone(), "expected a duration from `1s` to `1h`"));
    let bindings = fields.optional("bindings").map(|node| bindings::read(&node));
    let pool = match (one, several) {
        (Some(_), Some(_)) => {
            node.fail("expected `credential` or `credentials`, not both");
            None
        }
        (one, None) => one.flatten().map(KeyPool::of),
        (None, Some(members)) => Some(KeyPool::with(members, cooldown)),
    };
    match bindings {
        None => pool,
        Some(bindings) => {
            Some(KeyPool { bindings, ..pool.unwrap_or_else(|| KeyPool::with(Vec::new(), None)) })
        }
    }
}

fn read_weights(node: &Node<'_>) -> Vec<(String, u32)> {
    const MAX_NAMES: usize = 32;
    let entries = node.entries();
    if entries.is_empty() || entries.len() > MAX_NAMES {
        node.fail(format!("expected 1 to {MAX_NAMES} names of credentials, each with its weight"));
    }
    let read = |(name, node): (&str, Node<'_>)| {
        let is_weight = |weight: &u64| (1..=1000).contains(weight);
        let weight = node.number()?;
        let weight = node.check(Some(weight).filter(is_weight), "expected a weight from 1 to 1000")?;
        let name = node.check(Some(name).filter(|name| is_name(name)), NAME_EXPECTED)?;
        Some((name.to_owned(), u32::try_from(weight).ok()?))
    };
    entries.into_iter().filter_map(read).collect()
}

/// Reads a path that stands in front of another: `/…`, without a slash at the end.
fn read_path(node: &Node<'_>) -> Option<String> {
    let is_plain = |text: &&str| {
        text.len() > 1
            && !text.ends_with('/')
            && RequestPath::parse(text.as_bytes()).is_ok_and(|path| path.query.is_none())
    };
    let text = node.text()?;
    node.check(
        Some(text).filter(is_plain),
        "expected a plain path such as `/team-a`, without a slash at the end",
    )
    .map(str::to_owned)
}

pub(super) fn is_id(id: &str) -> bool {
    is_name(id) && !id.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

pub(super) fn read_auth(node: &Node<'_>) -> Option<AuthStyle> {
    let is_name = |name: &&str| is_header_name(name);
    let style = match node.text()? {
        "bearer" => Some(AuthStyle::Authorization(BEARER)),
        "token" => Some(AuthStyle::Authorization(TOKEN)),
        text => text.strip_prefix("header:").filter(is_name).map(|name| AuthStyle::Header(name.to_owned())),
    };
    node.check(
        style,
        "expected `bearer`, `token`, or `header:` and the name of a header in lower case that carries nothing else",
    )
}
