//! Header fields that concern one hop of a message, or the proxies that it passed.

/// Fields that end at a connection (RFC 9110 section 7.6.1).
pub(crate) const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Fields in which proxies describe the caller that they forward for. Fields that begin with `x-forwarded-` or
/// `x-envoy-` do so, too.
pub(crate) const OF_PROXIES: [&str; 8] = [
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-real-ip",
];
