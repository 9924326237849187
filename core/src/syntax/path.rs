//! The request target: split once, judged strictly, and then both matched and forwarded from the same bytes.
//!
//! Account and gateway are pinned in front of the client's path, so nothing in that path may climb out of it.
//!
//! A target that two parsers could read differently is refused, not normalised: dot segments, empty segments, encoded
//! slashes, double encoding, fragments, absolute-form targets. RFC 9112 section 3.2, RFC 3986 sections 3.3 and 6.2.2.

use std::fmt;

/// A request target in origin form, free of ambiguity: `/path?query`.
#[derive(Clone, Copy)]
pub(crate) struct RequestPath<'a> {
    /// The path, beginning with `/`.
    pub(crate) path: &'a [u8],
    /// The query without its `?`: data of the client, passed byte for byte.
    pub(crate) query: Option<&'a [u8]>,
}

/// An error of a request target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// The target is empty.
    Missing,
    /// Not `/…`: an absolute URI, an authority or `*`.
    NotOriginForm,
    /// A `#`: a fragment is never sent.
    Fragment,
    /// A control character, a space, a backslash, or (in the path) a byte outside ASCII.
    ForbiddenByte,
    /// A `%` that is not followed by two hexadecimal digits.
    BrokenEscape,
    /// An escape that some decoders read as part of the path's structure. It stands for a backslash, dot, percent sign, `?`,
    /// `#`, `;`, a control character, or a byte that no UTF-8 has.
    AmbiguousEscape,
    /// An escape that stands for a slash, where no id of a model stands.
    EncodedSlash,
    /// A `.` or `..` segment.
    DotSegment,
    /// An empty segment: `//`.
    EmptySegment,
    /// A `;`: path parameters are read differently by different servers.
    PathParameter,
}

impl std::error::Error for PathError {}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is no path",
            Self::NotOriginForm => "the path does not begin with `/`",
            Self::Fragment => "the path has a fragment (`#`)",
            Self::ForbiddenByte => "the path has a character that no path may have",
            Self::BrokenEscape => "the path has a `%` without two hexadecimal digits",
            Self::AmbiguousEscape => "the path has an escape that could be read as part of its structure",
            Self::EncodedSlash => "the path has an encoded slash outside of a model's id",
            Self::DotSegment => "the path has a `.` or `..` segment",
            Self::EmptySegment => "the path has an empty segment (`//`)",
            Self::PathParameter => "the path has a `;`",
        })
    }
}

impl<'a> RequestPath<'a> {
    /// The path `/`, which names no provider.
    pub(crate) const ROOT: Self = Self { path: b"/", query: None };

    /// Parses a target.
    #[inline]
    pub(crate) fn parse(target: &'a [u8]) -> Result<Self, PathError> {
        Self::parse_with(target, false)
    }

    /// Parses a target that may have encoded slashes. Its caller has to judge where they stand.
    pub(crate) fn parse_with_slashes(target: &'a [u8]) -> Result<Self, PathError> {
        Self::parse_with(target, true)
    }

    #[inline]
    fn parse_with(target: &'a [u8], with_slashes: bool) -> Result<Self, PathError> {
        match target.first() {
            None => return Err(PathError::Missing),
            Some(b'/') => {}
            Some(_) => return Err(PathError::NotOriginForm),
        }
        let (path, query) = match target.split_at_checked(plain_length(target)) {
            Some((path, [])) => (path, None),
            Some((path, [b'?', query @ ..])) => (path, Some(query)),
            _ => {
                let mut halves = target.splitn(2, |byte| *byte == b'?');
                let path = halves.next().unwrap_or_default();
                judge_path(path, with_slashes)?;
                (path, halves.next())
            }
        };
        query.map_or(Ok(()), judge_query)?;
        Ok(Self { path, query })
    }

    /// Returns the path as `/segment` and what follows it, which is empty or begins with `/`.
    pub(crate) fn split_first_segment(&self) -> (&'a [u8], &'a [u8]) {
        let segment = self.path.strip_prefix(b"/").unwrap_or(self.path);
        let end = segment.iter().position(|byte| *byte == b'/').unwrap_or(segment.len());
        segment.split_at_checked(end).unwrap_or((segment, b""))
    }

    /// Returns whether the path is `prefix` or lies below it, compared by whole segments.
    #[inline]
    pub(crate) fn is_under(&self, prefix: &str) -> bool {
        let prefix = prefix.as_bytes();
        // The last byte rules out nearly every other path.
        self.path.get(prefix.len().wrapping_sub(1)) == prefix.last()
            && self.path.strip_prefix(prefix).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    }
}

/// Returns the byte that `%XY` stands for.
fn unescape(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// The bytes of which most paths consist; slash and dot count by what stands in front of them.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < plain.len() {
        #[allow(
            clippy::indexing_slicing,
            clippy::cast_possible_truncation,
            reason = "evaluated by the compiler"
        )]
        {
            plain[byte] =
                matches!(byte as u8, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b':' | b'@');
        }
        byte += 1;
    }
    plain
};

/// Returns the length of the path at the beginning that has plain bytes only, and no segment that is empty or begins with
/// a dot.
fn plain_length(target: &[u8]) -> usize {
    let mut before = 0;
    let is_odd = |byte: &u8| {
        let is_plain = PLAIN.get(usize::from(*byte)) == Some(&true);
        let is_odd = !is_plain && (before == b'/' || !matches!(byte, b'/' | b'.'));
        before = *byte;
        is_odd
    };
    target.iter().position(is_odd).unwrap_or(target.len())
}

fn judge_path(path: &[u8], with_slashes: bool) -> Result<(), PathError> {
    let mut rest = path;
    loop {
        rest = match rest {
            [] => break,
            [b'%', high, low, tail @ ..] => match unescape(*high, *low).ok_or(PathError::BrokenEscape)? {
                b'/' if with_slashes => tail,
                b'/' => return Err(PathError::EncodedSlash),
                b'\\' | b'.' | b'%' | b'?' | b'#' | b';' | 0..=0x1f | 0x7f => {
                    return Err(PathError::AmbiguousEscape);
                }
                // No UTF-8 has these bytes; lenient decoders read `%C0%AE` as a dot.
                0xc0 | 0xc1 | 0xf5.. => return Err(PathError::AmbiguousEscape),
                _ => tail,
            },
            [b'%', ..] => return Err(PathError::BrokenEscape),
            [b'#', ..] => return Err(PathError::Fragment),
            [b';', ..] => return Err(PathError::PathParameter),
            [b'\\', ..] => return Err(PathError::ForbiddenByte),
            [byte, tail @ ..] if byte.is_ascii_graphic() => tail,
            _ => return Err(PathError::ForbiddenByte),
        }
    }
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            b"." | b".." => return Err(PathError::DotSegment),
            b"" if segments.peek().is_some() => return Err(PathError::EmptySegment),
            _ => {}
        }
    }
    Ok(())
}

fn judge_query(query: &[u8]) -> Result<(), PathError> {
    for byte in query {
        match byte {
            b'#' => return Err(PathError::Fragment),
            0..=b' ' | 0x7f => return Err(PathError::ForbiddenByte),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        for (target, fault) in [
            ("", PathError::Missing),
            ("*", PathError::NotOriginForm),
            ("https://api.openai.com/v1/models", PathError::NotOriginForm),
            ("gateway.ai.cloudflare.com:443", PathError::NotOriginForm),
            ("//evil.example/v1", PathError::EmptySegment),
            ("/v1//models", PathError::EmptySegment),
            ("/v1/../v2", PathError::DotSegment),
            ("/v1/..", PathError::DotSegment),
            ("/./v1", PathError::DotSegment),
            ("/v1/%2e%2e/x", PathError::AmbiguousEscape),
            ("/v1/.%2E/x", PathError::AmbiguousEscape),
            ("/v1%2fmodels", PathError::EncodedSlash),
            ("/v1%5Cmodels", PathError::AmbiguousEscape),
            ("/v1%252fmodels", PathError::AmbiguousEscape),
            ("/v1%00", PathError::AmbiguousEscape),
            ("/v1/%c0%ae%c0%ae/x", PathError::AmbiguousEscape),
            ("/v1/x%3fkey=t", PathError::AmbiguousEscape),
            ("/v1/x%23", PathError::AmbiguousEscape),
            ("/v1/x%3B", PathError::AmbiguousEscape),
            ("/v1/x%FF", PathError::AmbiguousEscape),
            ("/v1%0d%0ax: y", PathError::AmbiguousEscape),
            ("/v1\\models", PathError::ForbiddenByte),
            ("/v1/a b", PathError::ForbiddenByte),
            ("/v1/\u{e9}", PathError::ForbiddenByte),
            ("/v1/%", PathError::BrokenEscape),
            ("/v1/%4", PathError::BrokenEscape),
            ("/v1/%zz", PathError::BrokenEscape),
            ("/v1;a=b/models", PathError::PathParameter),
            ("/v1#x", PathError::Fragment),
            ("/v1?a=b#x", PathError::Fragment),
            ("/v1?a b", PathError::ForbiddenByte),
            ("/v1?a\r\nx: y", PathError::ForbiddenByte),
        ] {
            assert_eq!(RequestPath::parse(target.as_bytes()).err(), Some(fault), "{target}");
        }
    }

    #[test]
    fn ordinary_targets_are_split_at_the_first_question_mark() {
        for (target, path, query) in [
            ("/", "/", None),
            ("/v1/models", "/v1/models", None),
            ("/v1/models/", "/v1/models/", None),
            (
                "/v1beta/models/gemini-2.5:generateContent?alt=sse",
                "/v1beta/models/gemini-2.5:generateContent",
                Some("alt=sse"),
            ),
            ("/a?", "/a", Some("")),
            ("/a?b=?c&d=..//%2e", "/a", Some("b=?c&d=..//%2e")),
            ("/a/%C3%A9", "/a/%C3%A9", None),
            ("/a/...", "/a/...", None),
        ] {
            let parsed = RequestPath::parse(target.as_bytes()).unwrap();
            assert_eq!((parsed.path, parsed.query), (path.as_bytes(), query.map(str::as_bytes)), "{target}");
        }
    }

    #[test]
    fn prefixes_match_whole_segments() {
        let under =
            |path: &'static str, prefix| RequestPath::parse(path.as_bytes()).unwrap().is_under(prefix);
        assert!(under("/v1/messages", "/v1/messages"));
        assert!(under("/v1/messages/batches", "/v1/messages"));
        assert!(!under("/v1/messages-admin", "/v1/messages"));
    }
}
