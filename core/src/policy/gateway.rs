//! The Cloudflare AI Gateway in a policy: which account and gateway, with whose keys, and who is told of.

use super::reader::Node;
use crate::metadata::{CLAIMS, Claim, MAX_MEMBERS};
use crate::url::BaseUrl;

/// Whose provider keys the gateway uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GatewayMode {
    /// Ours: each request carries the provider's key beside the gateway's token.
    ProviderKey,
    /// Those stored at the gateway. It uses them only where the request carries none.
    Byok,
    /// Cloudflare's own: requests are billed to the account.
    UnifiedBilling,
}

/// A gateway through which requests go.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    pub(crate) url: BaseUrl,
    account: String,
    name: String,
    /// The policy's name for the gateway's token.
    pub(crate) credential: String,
    pub(crate) mode: GatewayMode,
    /// The members of `cf-aig-metadata`, by name.
    pub(crate) metadata: Vec<(String, Claim)>,
}

impl Gateway {
    /// What stands in front of the client's path. Account and gateway are pinned here.
    pub(crate) fn path_prefix(&self, slug: &str) -> String {
        format!("{}/v1/{}/{}/{slug}", self.url.path, self.account, self.name)
    }

    /// Reads `gateway`, which holds one kind of gateway so far.
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let gateway = fields.required("cloudflare").and_then(|node| read_cloudflare(&node));
        fields.finish();
        gateway
    }
}

fn read_cloudflare(node: &Node<'_>) -> Option<Gateway> {
    let mut fields = node.fields()?;
    let url = match fields.optional("url") {
        Some(url) => read_url(&url),
        None => BaseUrl::parse("https://gateway.ai.cloudflare.com").ok(),
    };
    let account = fields.required("account").and_then(|node| node.name());
    let name = fields.required("gateway").and_then(|node| node.name());
    let credential = fields.required("credential").and_then(|node| node.name());
    let mode = fields.required("mode").and_then(|node| {
        node.choice(&[
            ("provider_key", GatewayMode::ProviderKey),
            ("byok", GatewayMode::Byok),
            ("unified_billing", GatewayMode::UnifiedBilling),
        ])
    });
    let metadata = fields.optional("metadata").map(|node| read_metadata(&node)).unwrap_or_default();
    fields.finish();
    Some(Gateway {
        url: url?,
        account: account?,
        name: name?,
        credential: credential?,
        mode: mode?,
        metadata,
    })
}

pub(super) fn read_url(node: &Node<'_>) -> Option<BaseUrl> {
    BaseUrl::parse(node.text()?).map_err(|message| node.fail(message)).ok()
}

fn read_metadata(node: &Node<'_>) -> Vec<(String, Claim)> {
    let entries = node.entries();
    if entries.len() > MAX_MEMBERS {
        node.fail(format!("the gateway keeps {MAX_MEMBERS} members, and there are {}", entries.len()));
    }
    let read = |(name, value): (&str, Node<'_>)| {
        if name.is_empty() || name.starts_with("cf.") {
            value.fail("names beginning with `cf.` are reserved by the gateway, and none is empty");
        }
        value.choice(&CLAIMS).map(|claim| (name.to_owned(), claim))
    };
    entries.into_iter().filter_map(read).collect()
}
