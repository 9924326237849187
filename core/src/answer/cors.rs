//! Cross-origin resource sharing by the Fetch standard: the pages that may call from a browser, and the answer headers
//! that they may read.
//!
//! Credentials in the standard's sense (cookies) are never allowed. So every origin is allowed unless the policy lists
//! origins.

use std::borrow::Cow;

use super::reply::{LocalReply, ResponseHeader, ResponseHeaders};
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
            Self::These(origins) => origins.iter().any(|allowed| allowed.as_bytes() == origin),
        }
    }
}

/// The headers that the SDKs of browsers need to see, Google's address for an upload among them.
const EXPOSED: &str = "x-goog-upload-url, x-goog-upload-status, x-goog-upload-chunk-granularity, x-keyswap-reason, \
                       retry-after, ratelimit, ratelimit-policy";
/// The headers by which an upstream grants access to pages. These headers are about the upstream's own host, so they
/// never reach a page that may not call here.
const UPSTREAMS: &[&str] = &[
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
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

/// Returns the headers that are added to every reply to a request with an origin; none for an origin that is not
/// allowed.
///
/// The values replace the upstream's own, which are about another host.
pub(crate) fn headers(origins: &Origins, head: &RequestHead<'_>) -> Vec<ResponseHeader> {
    let Some(origin) = origin(head).filter(|origin| origins.allow(origin.as_bytes())) else {
        return Vec::new();
    };
    vec![
        ("access-control-allow-origin", Cow::Owned(origin.to_owned())),
        ("access-control-expose-headers", Cow::Borrowed(EXPOSED)),
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
    response.add.push(("vary", Cow::Borrowed("Origin")));
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
        answer.push(("access-control-allow-methods", Cow::Borrowed(METHODS_OF_PAGES)));
        answer.push(("access-control-allow-headers", asked_headers(head)));
        answer.push(("access-control-max-age", Cow::Borrowed(MAX_AGE)));
    }
    answer.push(("vary", Cow::Borrowed("Origin, Access-Control-Request-Headers")));
    Some(LocalReply { status: 204, headers: answer, body: String::new() })
}

/// Returns the header names that the browser asks for, where they are a plain list; else `*`.
fn asked_headers(head: &RequestHead<'_>) -> Cow<'static, str> {
    let is_list = |text: &&str| {
        (1..=4096).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, ".contains(&byte))
    };
    let asked =
        head.values("access-control-request-headers").next().and_then(|value| str::from_utf8(value).ok());
    asked.filter(is_list).map_or(Cow::Borrowed("*"), |text| Cow::Owned(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::reason::METHODS;

    #[test]
    fn pages_may_use_the_methods_that_are_forwarded() {
        let methods: Vec<&str> = METHODS.into_iter().filter(|method| *method != "HEAD").collect();
        assert_eq!(methods.join(", "), METHODS_OF_PAGES);
    }
}
