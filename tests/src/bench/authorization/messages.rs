//! The used parts of Envoy's messages (`envoy.service.auth.v3`).

use std::collections::HashMap;

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<Attributes>,
}

#[derive(Clone, PartialEq, Message)]
struct Attributes {
    #[prost(message, optional, tag = "4")]
    request: Option<AttributesRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributesRequest {
    #[prost(message, optional, tag = "2")]
    http: Option<HttpRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpRequest {
    #[prost(map = "string, string", tag = "3")]
    headers: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<RpcStatus>,
    #[prost(message, optional, tag = "2")]
    denied: Option<Denied>,
    #[prost(message, optional, tag = "3")]
    admitted: Option<Admitted>,
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Denied {
    #[prost(message, optional, tag = "1")]
    status: Option<HttpStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Admitted {
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderOption>,
    #[prost(string, repeated, tag = "5")]
    headers_to_remove: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderOption {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(int32, tag = "3")]
    append_action: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl CheckRequest {
    /// Returns a header of the request to judge.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let http = self.attributes.as_ref()?.request.as_ref()?.http.as_ref()?;
        http.headers.get(name).map(String::as_str)
    }
}

impl CheckResponse {
    /// Returns a response that admits the request, with headers to set and to remove.
    pub(super) fn admit(set: &[(&'static str, String)], remove: &[&'static str]) -> Self {
        const OVERWRITE_IF_EXISTS_OR_ADD: i32 = 2;
        let headers = set.iter().map(|(name, value)| HeaderOption {
            header: Some(Header { key: (*name).to_owned(), value: value.clone() }),
            append_action: OVERWRITE_IF_EXISTS_OR_ADD,
        });
        let headers_to_remove = remove.iter().map(ToString::to_string).collect();
        let admitted = Admitted { headers: headers.collect(), headers_to_remove };
        Self { status: Some(RpcStatus::default()), denied: None, admitted: Some(admitted) }
    }

    /// Returns a response that refuses the request with this status.
    pub(super) fn refuse(code: i32) -> Self {
        const UNAUTHENTICATED: i32 = 16;
        let denied = Denied { status: Some(HttpStatus { code }) };
        Self { status: Some(RpcStatus { code: UNAUTHENTICATED }), denied: Some(denied), admitted: None }
    }
}
