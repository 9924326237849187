//! Patterns of endpoints: sets of methods, and paths as a lenient server reads them.

use percent_encoding::percent_decode;

/// A set of methods. A WebSocket is a method of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Methods(u8);

pub(crate) const GET: Methods = Methods(1);
pub(crate) const POST: Methods = Methods(1 << 1);
pub(crate) const PUT: Methods = Methods(1 << 2);
pub(crate) const PATCH: Methods = Methods(1 << 3);
pub(crate) const DELETE: Methods = Methods(1 << 4);
pub(crate) const WEBSOCKET: Methods = Methods(1 << 5);
pub(crate) const ANY: Methods = Methods((1 << 6) - 1);

/// The names of the methods in a policy.
pub(crate) const METHOD_NAMES: [(&str, Methods); 6] = [
    ("GET", GET),
    ("POST", POST),
    ("PUT", PUT),
    ("PATCH", PATCH),
    ("DELETE", DELETE),
    ("WEBSOCKET", WEBSOCKET),
];

impl Methods {
    /// Returns the method of a request. HEAD asks for what GET does; OPTIONS asks about a path, whatever the method.
    pub(crate) fn of(method: &[u8], is_upgrade: bool) -> Self {
        match method {
            b"GET" if is_upgrade => WEBSOCKET,
            b"GET" | b"HEAD" => GET,
            b"POST" => POST,
            b"PUT" => PUT,
            b"PATCH" => PATCH,
            b"DELETE" => DELETE,
            b"OPTIONS" => ANY,
            _ => Self(0),
        }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Returns the path without a slash at the end.
pub(super) fn without_slash(path: &[u8]) -> &[u8] {
    path.strip_suffix(b"/").unwrap_or(path)
}

/// Returns the path without a version in front, such as `/v1` or `/v1beta2`. A base may have it already, some gateways
/// leave it out, and in no API does it change the class of an endpoint.
pub(super) fn without_version(path: &[u8]) -> &[u8] {
    below_version(path).unwrap_or(path)
}

/// Returns the path behind the version in front of it; `None` where there is none.
#[inline]
pub(super) fn below_version(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(b"/")?;
    let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    rest.split_at_checked(end).filter(|(version, _)| is_version(version)).map(|(_, below)| below)
}

/// Returns whether a segment is a version: `v`, a number, and behind it nothing, or `alpha` or `beta` and maybe a number.
fn is_version(segment: &[u8]) -> bool {
    let decoded = |at: usize| segment.get(at..).unwrap_or_default();
    let after_digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(b'v' | b'V') = segment.first() else { return false };
    let number = after_digits(decoded(1));
    let rest = decoded(1 + number);
    let stage = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (stage, revision) = rest.split_at_checked(stage).unwrap_or_default();
    number > 0
        && (rest.is_empty() || stage.eq_ignore_ascii_case(b"alpha") || stage.eq_ignore_ascii_case(b"beta"))
        && revision.iter().all(u8::is_ascii_digit)
}

/// Reads the path of a row; `None` where it is not written as [`Rows`] says.
pub(crate) fn read_row(text: &str) -> Option<&str> {
    let path = text.strip_prefix('/')?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && !matches!(part, "." | "..")
            && part.bytes().all(|byte| byte.is_ascii_graphic() && !b"{}%?#;\\\"*".contains(&byte))
    };
    let mut parts = path.strip_suffix('/').unwrap_or(path).split('/').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let holds = match part {
            "" => is_last && path.is_empty(),
            "{}" | "{:}" | "{model}" | "{model:}" => true,
            "{...}" | "{model...}" => is_last,
            _ => is_plain(verb(part).unwrap_or(part)),
        };
        if !holds {
            return None;
        }
    }
    let text = text.strip_suffix('/').unwrap_or(text);
    str::from_utf8(without_version(text.as_bytes())).ok()
}

/// Returns whether a row and a path may have the same first segment: nearly every row begins with another letter than the
/// path.
pub(super) fn begin_alike(row: &str, path: &[u8]) -> bool {
    let letter = |text: &[u8]| text.get(1).map_or(0, |byte| byte | 0x20);
    let (of_row, of_path) = (letter(row.as_bytes()), letter(path));
    of_row == of_path || of_row == b'{' || of_path == b'%'
}

/// Returns whether a row has a path.
pub(super) fn fits(row: &str, path: &[u8]) -> bool {
    // Nearly every path is spelled as its row.
    begin_alike(row, path) && (path == row.as_bytes() || fits_by_parts(row, path))
}

fn fits_by_parts(row: &str, path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/');
    for part in row.split('/') {
        if matches!(part, "{...}" | "{model...}") {
            return segments.all(|segment| colon(segment).is_none());
        }
        if !segments.next().is_some_and(|segment| has(part, segment)) {
            return false;
        }
    }
    segments.next().is_none()
}

/// Returns whether a path is the beginning of a row, segment by segment, and has more than what any row has.
pub(super) fn begins(row: &str, path: &[u8]) -> bool {
    let mut parts = row.split('/');
    let begins =
        path.split(|byte| *byte == b'/').all(|segment| parts.next().is_some_and(|part| has(part, segment)));
    begins && !path.is_empty() && !row.starts_with("/{")
}

/// Returns whether a part of a row has this segment.
fn has(part: &str, segment: &[u8]) -> bool {
    match part {
        "{}" | "{model}" => !segment.is_empty() && colon(segment).is_none(),
        "{:}" | "{model:}" => !segment.is_empty(),
        _ => match verb(part) {
            Some(verb) => colon(segment).is_some_and(|(before, after)| !before.is_empty() && is(verb, after)),
            None => is(part, segment),
        },
    }
}

/// Returns the verb of a part that ends in one.
fn verb(part: &str) -> Option<&str> {
    part.strip_prefix("{}:").or_else(|| part.strip_prefix("{model}:"))
}

/// Returns whether a part of a row is one of the model: it is marked, or it is a namespace of Workers AI (`@cf`).
fn is_of_model(part: &str) -> bool {
    part.starts_with("{model") || part.starts_with('@')
}

/// Returns the model in a path that fits a row, still encoded: the segments that the row marks, without a verb behind
/// them. `None` where the row marks none.
pub(super) fn model_in<'p>(row: &str, path: &'p [u8]) -> Option<&'p [u8]> {
    let mut rest = path;
    let mut from: Option<&[u8]> = None;
    let mut parts = row.split('/').peekable();
    while let Some(part) = parts.next() {
        if is_of_model(part) {
            from = from.or(Some(rest));
        }
        let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (segment, behind) = rest.split_at_checked(length)?;
        let is_last = parts.peek().is_none_or(|part| !is_of_model(part));
        if let Some(from) = from.filter(|_| is_last) {
            let end = match part {
                "{model...}" => rest.len(),
                _ if verb(part).is_some() => colon(segment)?.0.len(),
                _ => segment.len(),
            };
            let before = from.len().checked_sub(rest.len())?;
            return from.get(..before.checked_add(end)?).filter(|model| !model.is_empty());
        }
        rest = behind.strip_prefix(b"/").unwrap_or(behind);
    }
    None
}

/// Returns whether a segment is this text, in any case and however it is escaped.
pub(super) fn is(text: &str, segment: &[u8]) -> bool {
    if segment.contains(&b'%') {
        let decoded = percent_decode(segment).map(|byte| byte.to_ascii_lowercase());
        return decoded.eq(text.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    segment.eq_ignore_ascii_case(text.as_bytes())
}

/// Returns the parts of a segment before and after its first colon, raw or escaped.
fn colon(segment: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = segment.iter().position(|byte| matches!(byte, b':' | b'%'))?;
    let (before, rest) = segment.split_at_checked(at)?;
    match rest {
        [b':', after @ ..] | [b'%', b'3', b'a' | b'A', after @ ..] => Some((before, after)),
        [_, after @ ..] => colon(after).map(|(_, after)| (before, after)),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_in_a_path_is_what_the_row_marks() {
        for (row, path, model) in [
            ("/models/{model}:generate", "/models/gemini-2.5-pro:generate", Some("gemini-2.5-pro")),
            ("/models/{model}:generate", "/models/a%3Agenerate", Some("a")),
            ("/models/{model:}", "/models/ft:a:b", Some("ft:a:b")),
            ("/{model}/chat/completions", "/my-gpt/chat/completions", Some("my-gpt")),
            (
                "/models/{model}/{model:}/predictions",
                "/models/meta/llama:8b/predictions",
                Some("meta/llama:8b"),
            ),
            ("/run/{model...}", "/run/@cf/meta/llama", Some("@cf/meta/llama")),
            ("/run/{model...}", "/run", None),
            ("/@cf/{model...}", "/@cf/meta/llama", Some("@cf/meta/llama")),
            ("/files/{}", "/files/a", None),
        ] {
            let found = model_in(row, path.as_bytes());
            assert_eq!(found, model.map(str::as_bytes), "{row} {path}");
            assert!(fits(row, path.as_bytes()), "{row} {path}");
        }
    }

    #[test]
    fn the_path_of_a_row_is_read_strictly() {
        for (text, row) in [
            ("/v1/files/{}/content", Some("/files/{}/content")),
            ("/files/{...}", Some("/files/{...}")),
            ("/v1beta/models/{}:generate", Some("/models/{}:generate")),
            ("/models/{:}/", Some("/models/{:}")),
            ("/models/{model}:generate", Some("/models/{model}:generate")),
            ("/models/{model}/{model:}/run", Some("/models/{model}/{model:}/run")),
            ("/run/{model...}", Some("/run/{model...}")),
            ("/run/{model...}/a", None),
            ("/models/{name}:run", None),
            ("/", Some("")),
            ("/v1", Some("")),
            ("", None),
            ("files", None),
            ("/files//a", None),
            ("//", None),
            ("/{...}/a", None),
            ("/files/{id}", None),
            ("/files/a{}", None),
            ("/files/*", None),
            ("/files/%61", None),
            ("/files?a=b", None),
            ("/../files", None),
            ("/{}:", None),
        ] {
            assert_eq!(read_row(text), row, "{text}");
        }
    }
}
