//! Answers that the component gives itself.

use keyswap_core::answer::{LocalReply, ResponseHeaders};
use keyswap_core::judge::{Field, has_content};
use keyswap_core::request::OwnedHead;
use wasip2::http::types::{ErrorCode, Fields, HeaderError, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::OutputStream;

/// Answers a request.
pub(super) fn send(out: ResponseOutparam, reply: &LocalReply, head: &OwnedHead) {
    send_with(out, reply, &ResponseHeaders::default(), head);
}

/// Answers a request, with the headers that an upstream's answer was to have.
pub(super) fn send_with(
    out: ResponseOutparam,
    reply: &LocalReply,
    headers: &ResponseHeaders,
    head: &OwnedHead,
) {
    send_lines(out, reply.status, reply.fields(headers), &reply.body, head);
}

/// Answers a request with these lines and this body.
pub(super) fn send_lines<'f>(
    out: ResponseOutparam,
    status: u16,
    lines: impl Iterator<Item = Field<'f>>,
    text: &str,
    head: &OwnedHead,
) {
    let mut lines = copies(lines);
    if !text.is_empty() {
        lines.push(("content-length".to_owned(), text.len().to_string().into_bytes()));
    }
    let response = OutgoingResponse::new(accepted_fields(&lines));
    if response.set_status_code(status).is_err() {
        return give_up(out);
    }
    // An answer without a body still states how long one would be (RFC 9110 section 8.6).
    let has_body = !text.is_empty() && has_content(head.method.as_bytes(), status);
    let body = if has_body { response.body().ok() } else { None };
    ResponseOutparam::set(out, Ok(response));
    if let Some(body) = body {
        // A caller that has left needs no answer.
        let written = body.write().map(|sink| write(&sink, text.as_bytes()));
        if written == Ok(Ok(())) {
            let _ = OutgoingBody::finish(body, None);
        }
    }
}

/// Ends a request without an answer: the host makes one.
pub(super) fn give_up(out: ResponseOutparam) {
    ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
}

/// Returns fields with all of these lines; an error where the host refuses one.
pub(super) fn fields<'f>(lines: impl Iterator<Item = Field<'f>>) -> Result<Fields, HeaderError> {
    Fields::from_list(&copies(lines))
}

/// Returns fields with those of these lines that the host takes. A caller can do without a line of an answer that the
/// host refuses.
pub(super) fn accepted_fields(lines: &[Line]) -> Fields {
    Fields::from_list(lines).unwrap_or_else(|_| {
        let fields = Fields::new();
        for (name, value) in lines {
            let _ = fields.append(name, value);
        }
        fields
    })
}

/// A line as the host gives and takes it.
pub(super) type Line = (String, Vec<u8>);

/// Copies lines into the form that the host takes. Names come from hosts and from policies, and are text.
pub(super) fn copies<'f>(lines: impl Iterator<Item = Field<'f>>) -> Vec<Line> {
    lines.map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.to_vec())).collect()
}

/// The error of a sink that takes no more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

/// Writes all bytes, and waits where the other side is slow.
pub(super) fn write(sink: &OutputStream, mut bytes: &[u8]) -> Result<(), Closed> {
    while !bytes.is_empty() {
        let budget = sink.check_write().map_err(|_| Closed)?;
        let size = usize::try_from(budget).unwrap_or(usize::MAX).min(bytes.len());
        let Some((now, later)) = bytes.split_at_checked(size) else { return Err(Closed) };
        if now.is_empty() {
            sink.subscribe().block();
        } else {
            sink.write(now).map_err(|_| Closed)?;
        }
        bytes = later;
    }
    Ok(())
}
