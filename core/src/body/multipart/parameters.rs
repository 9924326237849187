//! The parameters behind the value of a header of a form (RFC 9110 section 5.6.6).
//!
//! Readers disagree about backslashes, spaces and parameters that come twice: these are errors.

/// Splits a value into what stands in front of its parameters, and the parameters. `take` gets each, its name in lower
/// case, and returns `None` where the parameter must not be there.
pub(super) fn split<'v>(
    value: &'v str,
    take: &mut dyn FnMut(&str, &'v str) -> Option<()>,
) -> Option<&'v str> {
    let is_plain = |byte: u8| !matches!(byte, b'\\' | 0..=0x1f | 0x7f);
    if !value.bytes().all(is_plain) {
        return None;
    }
    let (first, mut rest) = match value.split_once(';') {
        Some((first, rest)) => (first, Some(rest)),
        None => (value, None),
    };
    while let Some(parameter) = rest {
        let (name, behind) = parameter.trim_start_matches(' ').split_once('=')?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return None;
        }
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => behind.split_at(behind.find([';', ' ']).unwrap_or(behind.len())),
        };
        if !behind.is_empty() && !behind.trim_start_matches(' ').starts_with(';') {
            return None;
        }
        take(&name.to_ascii_lowercase(), value)?;
        rest = behind.trim_start_matches(' ').strip_prefix(';');
    }
    Some(first.trim_matches(' '))
}

/// Returns whether a byte may stand in a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns the boundary that a content type names (RFC 2046 section 5.1.1).
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let mut boundary = None;
    let first = split(content_type, &mut |name, value| {
        (name == "boundary" && boundary.replace(value).is_none()).then_some(())
    })?;
    let is_form = first.eq_ignore_ascii_case("multipart/form-data");
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    boundary.filter(|text| is_form && (1..=70).contains(&text.len()) && text.bytes().all(is_allowed))
}
