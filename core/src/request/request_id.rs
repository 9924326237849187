//! The id of a request in logs.

use super::head::RequestHead;

/// Returns the value of `x-request-id` where it is a UUID, the form that Envoy gives it; `None` for text that a client
/// chose freely.
pub(crate) fn request_id<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    let id = head.values("x-request-id").next()?;
    let is_uuid = id.len() == 36 && id.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    str::from_utf8(id).ok().filter(|_| is_uuid)
}
