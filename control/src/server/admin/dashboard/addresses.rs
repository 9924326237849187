//! The paths of pages.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::registry::Token;

/// The path of the page of API keys.
pub(super) const API_KEYS: &str = "/admin/api-keys";

/// Returns the path of a token's page.
pub(super) fn of_token(token: &Token) -> String {
    format!("/admin/tokens/{}", token.digest.to_hex())
}

/// Returns the path of a user's page.
pub(super) fn of_user(email: &str) -> String {
    format!("/admin/users/{}", utf8_percent_encode(email, NON_ALPHANUMERIC))
}

/// Returns the path of the page with all that an address owns.
pub(super) fn of_owner(email: &str) -> String {
    format!("/admin/offboard?email={}", utf8_percent_encode(email, NON_ALPHANUMERIC))
}
