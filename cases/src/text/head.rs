//! Request heads as people write them down: a request line, header lines, and a body that is ignored.
//!
//! Lines may end in LF or CRLF, and the empty line at the end may be missing. An error names the line and repeats
//! nothing of it, because the line may hold the caller's token.

use std::fmt;

use httparse::{EMPTY_HEADER, Request, Status};
use keyswap_core::request::OwnedHead;

/// An error of the text of a request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The text is empty.
    Empty,
    /// The text ends within the request line.
    Partial,
    /// The line of this number cannot be read, for this reason.
    Line(usize, &'static str),
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("the request is empty: its first line is like `GET /v1/models HTTP/1.1`")
            }
            Self::Partial => f.write_str("the request ends within its first line"),
            Self::Line(number, reason) => write!(f, "line {number} of the request {reason}"),
        }
    }
}

impl std::error::Error for HeadError {}

/// Reads the text of a request head.
pub fn parse_head(text: &[u8]) -> Result<OwnedHead, HeadError> {
    if text.trim_ascii().is_empty() {
        return Err(HeadError::Empty);
    }
    // A text that already ends in an empty line gets a body, which is ignored.
    let text = [text, b"\r\n\r\n"].concat();
    let mut lines = vec![EMPTY_HEADER; ends_of_lines(&text).count()];
    let mut request = Request::new(&mut lines);
    match request.parse(&text) {
        Ok(Status::Complete(_)) => Ok(OwnedHead {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            authority: String::new(),
            scheme: String::new(),
            fields: request.headers.iter().map(|it| (it.name.to_owned(), it.value.to_vec())).collect(),
        }),
        Ok(Status::Partial) => Err(HeadError::Partial),
        Err(error) => Err(HeadError::Line(broken_line(&text), reason(error))),
    }
}

/// Returns the text up to the end of each line.
fn ends_of_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = |(at, byte): (usize, &u8)| (*byte == b'\n').then_some(at);
    text.iter().enumerate().filter_map(end).filter_map(|at| text.get(..=at))
}

/// Returns the number of the broken line: text that ends before it parses as far as it goes.
fn broken_line(text: &[u8]) -> usize {
    let beginnings: Vec<&[u8]> = ends_of_lines(text).collect();
    let parses = |text: &&[u8]| {
        let mut lines = vec![EMPTY_HEADER; beginnings.len()];
        Request::new(&mut lines).parse(text).is_ok()
    };
    beginnings.partition_point(parses) + 1
}

fn reason(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "is not a header: expected `name: value`",
        httparse::Error::HeaderValue => "has a control character in its value",
        httparse::Error::NewLine => "has a carriage return within it",
        _ => "is not a request line: expected one like `GET /v1/models HTTP/1.1`",
    }
}
