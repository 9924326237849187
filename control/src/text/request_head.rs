//! Request heads as people write them down: a request line, header lines, and a body that is not looked at.
//!
//! Lines may end in LF or CRLF, and the empty line at the end may be missing. An error names the line and repeats
//! nothing of it: it may hold the caller's token.

use anyhow::{anyhow, bail};
use httparse::{EMPTY_HEADER, Error, Request, Status};
use keyswap_core::request::{Header, RequestHead};

/// The text of a request head.
pub(crate) struct HeadText(Vec<u8>);

/// A request head in parts.
pub(crate) struct ParsedHead<'a> {
    method: &'a [u8],
    path: &'a [u8],
    headers: Vec<Header<'a>>,
}

impl HeadText {
    pub(crate) fn new(mut text: Vec<u8>) -> Self {
        // What already ends in an empty line gets a body, which is not looked at.
        text.extend_from_slice(b"\r\n\r\n");
        Self(text)
    }

    pub(crate) fn parse(&self) -> anyhow::Result<ParsedHead<'_>> {
        if self.0.trim_ascii().is_empty() {
            bail!("the request is empty: its first line is like `GET /v1/models HTTP/1.1`");
        }
        let mut lines = vec![EMPTY_HEADER; self.lines().count()];
        let mut request = Request::new(&mut lines);
        match request.parse(&self.0) {
            Ok(Status::Complete(_)) => Ok(ParsedHead {
                method: request.method.unwrap_or_default().as_bytes(),
                path: request.path.unwrap_or_default().as_bytes(),
                headers: request.headers.iter().map(header).collect(),
            }),
            Ok(Status::Partial) => bail!("the request ends within its first line"),
            Err(error) => Err(anyhow!("line {} of the request {}", self.line_of_error(), words(error))),
        }
    }

    /// Returns the text up to the end of each line.
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let end = |(at, byte): (usize, &u8)| (*byte == b'\n').then_some(at);
        self.0.iter().enumerate().filter_map(end).filter_map(|at| self.0.get(..=at))
    }

    /// Returns the number of the broken line: text that ends before it parses as far as it goes.
    fn line_of_error(&self) -> usize {
        let beginnings: Vec<&[u8]> = self.lines().collect();
        let parses = |text: &&[u8]| {
            let mut lines = vec![EMPTY_HEADER; beginnings.len()];
            Request::new(&mut lines).parse(text).is_ok()
        };
        beginnings.partition_point(parses) + 1
    }
}

impl ParsedHead<'_> {
    pub(crate) fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: self.method,
            path: self.path,
            authority: b"",
            headers: &self.headers,
            peer: || None,
        }
    }
}

fn header<'a>(header: &httparse::Header<'a>) -> Header<'a> {
    Header { name: header.name.as_bytes(), value: header.value }
}

fn words(error: Error) -> &'static str {
    match error {
        Error::HeaderName => "is not a header: expected `name: value`",
        Error::HeaderValue => "has a control character in its value",
        Error::NewLine => "has a carriage return within it",
        _ => "is not a request line: expected one like `GET /v1/models HTTP/1.1`",
    }
}
