//! Gemini's resumable uploads: the start goes through Keyswap, the bytes go to the URL in its answer.
//!
//! The URL is the stand-in's own address, so tests see the requests that a client sends past Keyswap.

use std::net::SocketAddr;

use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};
use serde_json::json;

use super::{
    answer::{Answer, Content},
    received::Received,
};

/// The part of a URL that identifies a running upload.
const SESSION: &str = "upload_id=standin";

/// Returns the answer to either request of an upload, `None` for other requests.
pub(super) fn answer(request: &Received, address: SocketAddr) -> Option<Answer> {
    let path = request.path();
    if !path.starts_with("/upload/") {
        return None;
    }
    if !request.target.contains(SESSION) {
        let url = format!("https://{address}{path}?{SESSION}&upload_protocol=resumable");
        let mut headers = status("active");
        headers.insert(HeaderName::from_static("x-goog-upload-url"), url.parse().ok()?);
        let granularity = HeaderName::from_static("x-goog-upload-chunk-granularity");
        headers.insert(granularity, HeaderValue::from_static("262144"));
        return Some(Answer { status: 200, headers, content: Content::Json(json!({})) });
    }
    let file = json!({
        "name": "files/standin",
        "uri": format!("https://generativelanguage.googleapis.com/v1beta/files/standin?bytes={}", request.body.len()),
        "sizeBytes": request.body.len().to_string(),
        "state": "ACTIVE",
    });
    let content = Content::Json(json!({"file": file}));
    Some(Answer { status: 200, headers: status("final"), content })
}

fn status(status: &'static str) -> HeaderMap {
    let name = HeaderName::from_static("x-goog-upload-status");
    HeaderMap::from_iter([(name, HeaderValue::from_static(status))])
}
