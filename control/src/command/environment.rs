//! The name of an environment, in the head of the dashboard.

/// Checks a name of 1 to 32 letters, digits, spaces, `-`, `_` or `.`.
pub(super) fn parse(text: &str) -> Result<String, String> {
    let is_name = (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -_.".contains(&byte));
    let expected = "expected 1 to 32 letters, digits, spaces, `-`, `_` or `.`";
    is_name.then(|| text.to_owned()).ok_or_else(|| expected.to_owned())
}
