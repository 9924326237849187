//! Cross-origin resource sharing by the Fetch standard: the pages that may call from a browser, and the answer headers
//! that they may read.
//!
//! A page may always use a token that it was given, so every origin is allowed unless the policy lists origins. An
//! identity that the browser sends by itself (a cookie) is another matter. Forms, uploads and sockets of any page
//! carry one, and no answer header holds them up. Such an identity counts only for pages that are named, or our own.

use super::reply::{LocalReply, ResponseHeader, ResponseHeaders};
use super::text::HeaderText;
use crate::request::RequestHead;

/// The origins that may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origins {
    Any,
    These(Vec<String>),
}

impl Origins {
    fn allow(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::These(_) => self.lists(origin),
        }
    }

    /// Returns whether the policy names this origin; `*` names none.
    fn lists(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => false,
            Self::These(origins) => origins.iter().any(|listed| listed.as_bytes() == origin),
        }
    }
}

/// The headers that a page sees: all that its caller may see, since no page sends credentials that a browser adds (Fetch
/// standard, section 3.3.5). A browser that takes the asterisk for a name needs those for which SDKs look: the place of what was
/// made, ids of requests, advice on retries, Google's address for an upload, and limits.
const EXPOSED: &str = "*, location, operation-location, request-id, x-request-id, apim-request-id, dg-request-id, cf-aig-log-id, \
                       x-goog-upload-url, x-goog-upload-status, x-goog-upload-chunk-granularity, x-keyswap-reason, \
                       retry-after, retry-after-ms, x-should-retry, ratelimit, ratelimit-policy, \
                       x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens";
/// The headers by which an upstream grants access to pages. These headers are about the upstream's own host, so they
/// never reach a page that may not call here.
const UPSTREAMS: &[&str] = &[
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
];
/// The seconds for which a browser caches the answer to a preflight.
const MAX_AGE: &str = "86400";

/// The methods that are forwarded, without `HEAD`, which a page may always use.
const METHODS_OF_PAGES: &str = "GET, POST, PUT, PATCH, DELETE, OPTIONS";

/// Returns the origin of a request that has exactly one, as a value that may stand in an answer.
fn origin<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    let mut origins = head.values("origin");
    let origin = str::from_utf8(origins.next()?).ok()?;
    let is_plain = (1..=256).contains(&origin.len())
        && origin.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    (is_plain && origins.next().is_none()).then_some(origin)
}

/// Returns whether a request may use an identity that browsers send by themselves: it comes from a page that the policy
/// lists, from a page of this very host, or from no page. A WebSocket comes from a page that the policy lists: its answers
/// can be read by the page that opened it, whatever CORS says.
///
/// `Origin` tells the page (RFC 6454 section 7), and `Sec-Fetch-Site` its relation to this host (Fetch Metadata Request
/// Headers). Browsers send neither with some requests, but `Origin` with every WebSocket (RFC 6455 section 4.1).
pub(crate) fn may_use_identity(origins: &Origins, head: &RequestHead<'_>) -> bool {
    let is_near =
        || head.values("sec-fetch-site").all(|site| matches!(site.trim_ascii(), b"same-origin" | b"none"));
    let origin = origin(head);
    let is_listed = origin.is_some_and(|origin| origins.lists(origin.as_bytes()));
    let is_own = || match origin {
        Some(origin) => is_own(origin, head.authority),
        None => head.values("origin").next().is_none(),
    };
    is_listed || (!head.is_websocket_upgrade() && is_own() && is_near())
}

/// Returns whether an origin is that of the request itself. The scheme is not compared: the host may stand behind a
/// proxy that ends TLS.
fn is_own(origin: &str, authority: &[u8]) -> bool {
    let https = origin.strip_prefix("https://").map(|host| (host, ":443"));
    let Some((host, port)) = https.or_else(|| origin.strip_prefix("http://").map(|host| (host, ":80")))
    else {
        return false;
    };
    let without_port = |authority| str::strip_suffix(authority, port).unwrap_or(authority);
    let authority = str::from_utf8(authority).unwrap_or_default();
    !host.is_empty() && without_port(host).eq_ignore_ascii_case(without_port(authority))
}

/// Returns the headers that are added to every reply to a request with an origin; none for an origin that is not
/// allowed.
///
/// The values replace the upstream's own, which are about another host.
pub(crate) fn headers(origins: &Origins, head: &RequestHead<'_>) -> Vec<ResponseHeader> {
    let Some(origin) = origin(head).filter(|origin| origins.allow(origin.as_bytes())) else {
        return Vec::new();
    };
    vec![
        ("access-control-allow-origin", origin.to_owned().into()),
        ("access-control-expose-headers", EXPOSED.into()),
    ]
}

/// Writes into the answer which pages may see it, where the request has an origin. `Vary` is added for a refused origin
/// too, since the answer depends on the origin either way.
pub(crate) fn apply(origins: &Origins, head: &RequestHead<'_>, response: &mut ResponseHeaders) {
    if head.values("origin").next().is_none() {
        return;
    }
    response.set.extend(headers(origins, head));
    response.remove = UPSTREAMS;
    response.add.push(("vary", "Origin".into()));
}

/// Answers a preflight: `OPTIONS` with an origin and the method that is asked for. Returns `None` for any other
/// request.
///
/// Browsers send preflights without credentials, so no caller is authenticated.
pub(crate) fn preflight(origins: &Origins, head: &RequestHead<'_>) -> Option<LocalReply> {
    if head.method != b"OPTIONS" {
        return None;
    }
    head.values("access-control-request-method").next()?;
    head.values("origin").next()?;
    let mut answer = headers(origins, head);
    answer.retain(|(name, _)| *name != "access-control-expose-headers");
    if !answer.is_empty() {
        answer.push(("access-control-allow-methods", METHODS_OF_PAGES.into()));
        answer.push(("access-control-allow-headers", asked_headers(head)));
        answer.push(("access-control-max-age", MAX_AGE.into()));
        answer.extend(private_network(origins, head));
    }
    answer.push(("vary", "Origin, Access-Control-Request-Headers".into()));
    Some(LocalReply { status: 204, headers: answer, body: String::new() })
}

/// Returns the header by which a page of the internet may call into a private network (Private Network Access). The header is
/// for pages that the policy lists.
fn private_network(origins: &Origins, head: &RequestHead<'_>) -> Option<ResponseHeader> {
    const ASKS: &[u8] = b"access-control-request-private-network";
    let Origins::These(_) = origins else { return None };
    // Few names are as long.
    let mut asks = head.headers.iter().filter(|header| header.name.len() == ASKS.len());
    let is_asked = asks.any(|header| header.name.eq_ignore_ascii_case(ASKS) && header.value == b"true");
    is_asked.then(|| ("access-control-allow-private-network", "true".into()))
}

/// Returns the header names that the browser asks for, where they are a plain list; else `*`.
fn asked_headers(head: &RequestHead<'_>) -> HeaderText {
    let is_list = |text: &&str| {
        (1..=4096).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, ".contains(&byte))
    };
    let asked =
        head.values("access-control-request-headers").next().and_then(|value| str::from_utf8(value).ok());
    asked.filter(is_list).map_or("*".into(), |text| text.to_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::reason::METHODS;
    use crate::request::Header;

    fn may_use(origins: &Origins, authority: &str, lines: &[(&str, &str)]) -> bool {
        let headers: Vec<Header<'_>> = lines
            .iter()
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        let head = RequestHead::new(b"POST", b"/", &headers);
        may_use_identity(origins, &RequestHead { authority: authority.as_bytes(), ..head })
    }

    #[test]
    fn an_identity_of_browsers_is_for_pages_that_are_listed_for_ones_own_and_for_none() {
        let (any, app) = (Origins::Any, Origins::These(vec!["https://app.example".to_owned()]));
        let websocket = ("upgrade", "websocket");
        // In a policy that lists `https://app.example`, and in one that lists none.
        for (lines, if_listed, if_any) in [
            (&[][..], true, true),
            (&[("origin", "https://app.example")], true, false),
            (&[("Origin", "https://app.example"), ("sec-fetch-site", "cross-site")], true, false),
            (&[("origin", "https://llm.example")], true, true),
            (&[("origin", "http://llm.example")], true, true),
            (&[("origin", "https://LLM.example")], true, true),
            (&[("origin", "https://llm.example:443")], true, true),
            (&[("origin", "https://llm.example"), ("sec-fetch-site", "same-origin")], true, true),
            (&[("origin", "https://llm.example"), ("sec-fetch-site", "same-site")], false, false),
            (&[("origin", "https://llm.example:80")], false, false),
            (&[("origin", "https://llm.example:8443")], false, false),
            (&[("origin", "https://llm.example.evil.example")], false, false),
            (&[("origin", "https://evil.example")], false, false),
            (&[("origin", "https://evil.example"), ("sec-fetch-site", "none")], false, false),
            (&[("origin", "https://app.example.evil.example")], false, false),
            (&[("origin", "https://")], false, false),
            (&[("origin", "llm.example")], false, false),
            (&[("origin", "null")], false, false),
            (&[("origin", "*")], false, false),
            (&[("origin", "")], false, false),
            (&[("origin", "https://app.example"), ("origin", "https://app.example")], false, false),
            (&[("origin", "https://app.example, https://evil.example")], false, false),
            (&[("sec-fetch-site", "same-origin")], true, true),
            (&[("sec-fetch-site", "none")], true, true),
            (&[("sec-fetch-site", "same-site")], false, false),
            (&[("Sec-Fetch-Site", "cross-site")], false, false),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false, false),
            (&[("sec-fetch-site", "")], false, false),
            (&[websocket], false, false),
            (&[websocket, ("sec-fetch-site", "same-origin")], false, false),
            (&[websocket, ("origin", "https://app.example")], true, false),
            (&[websocket, ("origin", "https://llm.example")], false, false),
            (&[websocket, ("origin", "https://evil.example")], false, false),
        ] {
            assert_eq!(may_use(&app, "llm.example", lines), if_listed, "listed: {lines:?}");
            assert_eq!(may_use(&any, "llm.example", lines), if_any, "any: {lines:?}");
        }
        // A host that cannot tell the authority has no pages of its own.
        assert!(!may_use(&app, "", &[("origin", "https://llm.example")]));
        assert!(may_use(&any, "llm.example:8443", &[("origin", "https://llm.example:8443")]));
        assert!(may_use(&any, "llm.example:443", &[("origin", "https://llm.example")]));
    }

    #[test]
    fn pages_may_use_the_methods_that_are_forwarded() {
        let methods: Vec<&str> = METHODS.into_iter().filter(|method| *method != "HEAD").collect();
        assert_eq!(methods.join(", "), METHODS_OF_PAGES);
    }
}
