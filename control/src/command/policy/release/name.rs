//! The name of a policy in arguments.

use keyswap_core::syntax::is_plain_name;

/// Checks the name of a policy, before anything is signed with it.
pub(super) fn parse(text: &str) -> Result<String, &'static str> {
    if is_plain_name(text) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 64 letters, digits, `-` or `_`")
    }
}
