//! Directions for refused clients: protected-resource metadata (RFC 9728), and the team's sign-in for a browser that
//! navigates here.
//!
//! All values are the policy's; nothing of a request is reflected.

use serde_json::{Value, json};

use super::error::CheckError;
use super::reason::Reason;
use super::reply::{LocalReply, ResponseHeader};
use crate::identity::jwt::Issuer;
use crate::request::RequestHead;
use crate::syntax::BaseUrl;

/// The well-known path of the metadata (RFC 9728 section 3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The proxy, as its clients know it.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// The proxy's URL, without a slash at the end.
    url: String,
    /// The path of the metadata: the well-known one, and the path of the URL behind it.
    path: String,
    /// The URL of the metadata.
    metadata: String,
    /// The page at which people sign in.
    sign_in: Option<String>,
}

impl Resource {
    pub(crate) fn new(url: &BaseUrl, sign_in: Option<String>) -> Self {
        let (site, path) = (url.site(), &url.path);
        Self {
            url: format!("{site}{path}"),
            path: format!("{WELL_KNOWN}{path}"),
            metadata: format!("{site}{WELL_KNOWN}{path}"),
            sign_in,
        }
    }

    /// Returns the policy's settings of the resource, as data.
    pub(crate) fn outline(&self) -> Value {
        json!({"url": self.url, "sign_in": self.sign_in})
    }

    /// Returns the metadata, if the request is for it; else `None`. The caller needs no credential, since it reads here
    /// how to get one.
    pub(crate) fn describe(
        &self,
        head: &RequestHead<'_>,
        issuers: &[Issuer],
        cross_origin: Vec<ResponseHeader>,
    ) -> Option<LocalReply> {
        let is_asked = matches!(head.method, b"GET" | b"HEAD") && head.path == self.path.as_bytes();
        is_asked.then(|| {
            // An issuer may be named without a URL, and have several entries (RFC 9728 section 2).
            let mut servers: Vec<&str> = Vec::new();
            for url in issuers.iter().flat_map(Issuer::names).filter(|url| url.contains("://")) {
                if !servers.contains(&url) {
                    servers.push(url);
                }
            }
            let body = json!({
                "resource": self.url,
                "authorization_servers": servers,
                "bearer_methods_supported": ["header"],
            });
            let mut headers: Vec<ResponseHeader> = vec![
                ("content-type", "application/json".into()),
                ("cache-control", "max-age=300".into()),
                ("vary", "Origin".into()),
            ];
            headers.extend(cross_origin);
            LocalReply { status: 200, headers, body: body.to_string() }
        })
    }

    /// Adds the metadata's URL to a refusal (RFC 9728 section 5.1), or redirects a browser to the sign-in.
    pub(crate) fn guide(&self, fault: &CheckError<'_>, head: &RequestHead<'_>, reply: &mut LocalReply) {
        let is_without = fault.reason() == Reason::CredentialMissing;
        if let Some(sign_in) = self.sign_in.as_ref().filter(|_| is_without && navigates(head)) {
            reply.status = 302;
            reply.headers.push(("location", sign_in.clone().into()));
        }
        for (name, value) in &mut reply.headers {
            if *name == "www-authenticate" {
                *value = format!("{value}, resource_metadata=\"{}\"", self.metadata).into();
            }
        }
    }
}

/// Returns whether a browser opens a page for a person, as Fetch Metadata Request Headers say.
fn navigates(head: &RequestHead<'_>) -> bool {
    let is = |name, value: &[u8]| head.values(name).eq([value]);
    head.method == b"GET" && is("sec-fetch-mode", b"navigate") && is("sec-fetch-dest", b"document")
}
