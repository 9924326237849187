//! Parameters of a query that carry credentials or choose accounts; `key` among them is an auth slot of Google's APIs.
//!
//! A parameter is found in every spelling (`KEY`, `k%65y`, after `&` or `;`). Its removal changes no other byte: no
//! decoding and encoding again, no sorting, no change of `%20` to `+`.

use percent_encoding::percent_decode;

use super::reserved::is_reserved_parameter;
use super::spelling::normal_byte;

/// The auth slot of Google's APIs.
pub(crate) const KEY: &str = "key";
/// The id of an upload at Google's APIs, whose parts come in requests of their own.
pub(crate) const UPLOAD_ID: &str = "upload_id";

/// System parameters of Google's APIs that leave out parts of an answer, or write it in another form.
const SHAPES: [&str; 5] = ["fields", "$fields", "callback", "$callback", "$alt"];

/// Returns the values of a parameter, still encoded, in order.
pub(crate) fn values<'q>(query: &'q [u8], own: &'static str) -> impl Iterator<Item = &'q [u8]> {
    parameters(query)
        .filter(move |(_, parameter)| is_named(parameter, own))
        .map(|(_, parameter)| value(parameter))
}

/// Returns the values of the parameters of these names, in any spelling, still encoded, in order.
pub(crate) fn values_in_any_spelling<'q>(
    query: &'q [u8],
    names: &'static [&'static str],
) -> impl Iterator<Item = &'q [u8]> {
    let is_it =
        |parameter: &[u8], own: &str| percent_decode(name(parameter)).map(normal_byte).eq(own.bytes());
    parameters(query)
        .filter(move |(_, parameter)| names.iter().any(|own| is_it(parameter, own)))
        .map(|(_, parameter)| value(parameter))
}

/// Returns the names and values of all parameters, still encoded, in order.
pub(crate) fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    parameters(query).map(|(_, parameter)| (name(parameter), value(parameter)))
}

/// Returns the query without the parameters of this name; `None` where nothing is left of it.
pub(crate) fn without_all(query: &[u8], own: &str) -> Option<Vec<u8>> {
    without(query, |parameter| is_named(parameter, own))
}

/// Returns whether a parameter is reserved, see [`super::reserved`].
pub(crate) fn has_reserved(query: &[u8]) -> bool {
    parameters(query).any(|(_, parameter)| is_reserved_parameter(name(parameter)))
}

/// Returns the query without its reserved parameters; `None` where nothing is left of it.
pub(crate) fn without_reserved(query: &[u8]) -> Option<Vec<u8>> {
    without(query, |parameter| is_reserved_parameter(name(parameter)))
}

/// Returns whether a parameter chooses the parts or the form of an answer, so that it may not tell its usage.
pub(crate) fn has_shape(query: &[u8]) -> bool {
    parameters(query).any(|(_, parameter)| is_shape(parameter))
}

/// Returns the query without those parameters; `None` where nothing is left of it.
pub(crate) fn without_shape(query: &[u8]) -> Option<Vec<u8>> {
    without(query, is_shape)
}

fn is_shape(parameter: &[u8]) -> bool {
    let is_read = || matches!(value(parameter), b"json" | b"sse");
    SHAPES.iter().any(|own| is_named(parameter, own)) || (is_named(parameter, "alt") && !is_read())
}

/// Returns the query with this parameter in place of all of its exact name.
pub(crate) fn with(query: Option<&[u8]>, own: &str, value: &str) -> Vec<u8> {
    let is_own = |parameter: &[u8]| percent_decode(name(parameter)).eq(own.bytes());
    let mut with = query.and_then(|query| without(query, is_own)).unwrap_or_default();
    if !with.is_empty() {
        with.push(b'&');
    }
    with.extend_from_slice(&[own.as_bytes(), b"=", value.as_bytes()].concat());
    with
}

fn without(query: &[u8], goes: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(query.len());
    let mut any = false;
    for (separator, parameter) in parameters(query).filter(|(_, parameter)| !goes(parameter)) {
        if any {
            kept.extend(separator);
        }
        kept.extend_from_slice(parameter);
        any = true;
    }
    any.then_some(kept)
}

/// Returns each parameter with the separator in front of it, which the first has not.
fn parameters(query: &[u8]) -> impl Iterator<Item = (Option<u8>, &[u8])> {
    let mut rest = Some((None, query));
    std::iter::from_fn(move || {
        let (separator, text) = rest?;
        let end = text.iter().position(|byte| matches!(byte, b'&' | b';'));
        let (parameter, tail) = end.and_then(|end| text.split_at_checked(end)).unwrap_or((text, b""));
        rest = tail.split_first().map(|(next, tail)| (Some(*next), tail));
        Some((separator, parameter))
    })
}

/// Returns whether a parameter has this name, whatever its case and escapes.
fn is_named(parameter: &[u8], own: &str) -> bool {
    percent_decode(name(parameter)).map(|byte| byte.to_ascii_lowercase()).eq(own.bytes())
}

fn name(parameter: &[u8]) -> &[u8] {
    parameter.split(|byte| *byte == b'=').next().unwrap_or_default()
}

fn value(parameter: &[u8]) -> &[u8] {
    parameter.iter().position(|byte| *byte == b'=').and_then(|at| parameter.get(at + 1..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_has_all_its_parts_in_a_form_that_is_read() {
        for (query, expect) in [
            ("fields=candidates&alt=sse", Some("alt=sse")),
            ("alt=json&F%69elds=a", Some("alt=json")),
            ("alt=proto", None),
            ("alt=media&$alt=json", None),
            ("%24fields=a&callback=f&$callback=f&a=1", Some("a=1")),
            ("alt=sse&model=m&field=1", Some("alt=sse&model=m&field=1")),
        ] {
            assert_eq!(without_shape(query.as_bytes()).as_deref(), expect.map(str::as_bytes), "{query}");
            assert_eq!(has_shape(query.as_bytes()), expect != Some(query), "{query}");
        }
    }

    #[test]
    fn every_spelling_goes_and_every_other_byte_stays() {
        for (query, expect) in [
            ("key=t", None),
            ("key", None),
            ("key=", None),
            ("alt=sse&key=t", Some("alt=sse")),
            ("key=t&alt=sse", Some("alt=sse")),
            ("a=1&key=t&b=2", Some("a=1&b=2")),
            ("a=1;key=t;b=2", Some("a=1;b=2")),
            ("a=1;key=t&b=2", Some("a=1&b=2")),
            ("k%65y=t&a=%20+b", Some("a=%20+b")),
            ("KEY=t&Key=u&%6bey=v", None),
            ("a=%6&key=t&%zz", Some("a=%6&%zz")),
            ("&&key=t&&", Some("&&&")),
            ("keys=1&akey=2&key%20=3&key[]=4", Some("keys=1&akey=2&key%20=3&key[]=4")),
            ("a=key=t", Some("a=key=t")),
            ("", Some("")),
        ] {
            assert_eq!(without_all(query.as_bytes(), KEY).as_deref(), expect.map(str::as_bytes), "{query}");
        }
    }

    #[test]
    fn a_reserved_parameter_goes_in_every_spelling() {
        let query = b"API_KEY=a&model=m&api%5fkey=b&api_keys=c;api_key&openai-project=p&QuotaUser=1&%24httpMethod=GET";
        assert_eq!(without_reserved(query).as_deref(), Some(&b"model=m&api_keys=c"[..]));
        assert!(has_reserved(query) && !has_reserved(b"model=m&api_keys=c&a=api_key"));
        assert_eq!(without_reserved(b"access_token=t"), None);
    }

    #[test]
    fn values_are_found_in_order() {
        let query = b"key=a&x=y&k%65y=b%20;key";
        assert_eq!(values(query, KEY).collect::<Vec<_>>(), [&b"a"[..], b"b%20", b""]);
    }

    proptest! {
        #[test]
        fn a_query_without_a_key_is_untouched(query in "[a-jl-zA-JL-Z0-9%=&;+._~-]{0,60}") {
            prop_assume!(values(query.as_bytes(), KEY).next().is_none());
            prop_assert_eq!(without_all(query.as_bytes(), KEY), Some(query.into_bytes()));
        }

        #[test]
        fn no_key_is_left_and_the_rest_is_in_order(parts in prop::collection::vec("(key|k%65y|KEY|a|b%20)(=[a-z%0-9+]{0,5})?", 0..8)) {
            let kept: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !is_named(part.as_bytes(), KEY)).collect();
            let expect = (!kept.is_empty() || parts.is_empty()).then(|| kept.join("&").into_bytes());
            prop_assert_eq!(without_all(parts.join("&").as_bytes(), KEY), expect);
        }
    }
}
