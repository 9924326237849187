//! The head of a request as `wasi:http` shows it.

use keyswap_core::request::OwnedHead;
use wasip2::http::types::{IncomingRequest, Method, Scheme};

pub(super) fn head(request: &IncomingRequest) -> OwnedHead {
    let mut fields = request.headers().entries();
    // `wasi:http` 0.2 keeps `upgrade` to itself. The key that goes with it (RFC 6455 section 4.1) tells that it was there.
    let has = |name: &str| fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    if has("sec-websocket-key") && !has("upgrade") {
        fields.push(("upgrade".to_owned(), b"websocket".to_vec()));
    }
    OwnedHead {
        method: name(request.method()),
        target: request.path_with_query().unwrap_or_default(),
        authority: request.authority().unwrap_or_default(),
        scheme: request.scheme().map(scheme).unwrap_or_default(),
        fields,
    }
}

fn scheme(scheme: Scheme) -> String {
    match scheme {
        Scheme::Http => "http".to_owned(),
        Scheme::Https => "https".to_owned(),
        Scheme::Other(name) => name,
    }
}

fn name(method: Method) -> String {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => return name,
    }
    .to_owned()
}

pub(super) fn method(name: &[u8]) -> Method {
    match name {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"POST" => Method::Post,
        b"PUT" => Method::Put,
        b"DELETE" => Method::Delete,
        b"OPTIONS" => Method::Options,
        b"PATCH" => Method::Patch,
        other => Method::Other(String::from_utf8_lossy(other).into_owned()),
    }
}
