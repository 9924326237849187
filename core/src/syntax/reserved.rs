//! Names of credentials, accounts and methods in requests that are not the client's to send upstream: one table for
//! headers, the query and WebSocket subprotocols.
//!
//! The policy's credential says who pays, and as whom a request goes. A name that chooses another account, project or
//! quota for that credential is removed in every place where servers read it, and so is another credential.
//!
//! A name is recognised in any case, and with `_` or `.` for `-`, since servers exist that read `X_API_KEY` and
//! `x-api-key` as one.

use percent_encoding::percent_decode;

use super::spelling::{is_spelling_of, normal_byte};

/// A name, and the places in which a server may read it.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    places: u8,
}

const HEADER: u8 = 1;
/// A parameter of the query.
const QUERY: u8 = 2;
/// A subprotocol that begins with the name and a dot.
const SUBPROTOCOL: u8 = 4;

const fn row(name: &'static str, places: u8) -> Row {
    Row { name, places }
}

const ROWS: [Row; 56] = by_length([
    // Credentials.
    row("authorization", HEADER | QUERY),
    row("proxy-authorization", HEADER),
    row("cookie", HEADER),
    row("api-key", HEADER | QUERY),
    row("x-api-key", HEADER | QUERY),
    row("key", QUERY),
    row("token", QUERY),
    row("access-token", QUERY),
    row("oauth-token", QUERY),
    row("x-forwarded-access-token", HEADER),
    row("x-goog-api-key", HEADER | QUERY),
    row("x-goog-iam-authorization-token", HEADER),
    row("xi-api-key", HEADER | QUERY | SUBPROTOCOL),
    row("single-use-token", QUERY),
    row("fal-api-key", SUBPROTOCOL),
    row("openai-insecure-api-key", SUBPROTOCOL),
    row("xai-client-secret", SUBPROTOCOL),
    row("cf-aig-authorization", SUBPROTOCOL),
    row("x-auth-email", HEADER),
    row("x-auth-key", HEADER),
    row("x-auth-user-service-key", HEADER),
    row("ocp-apim-subscription-key", HEADER),
    row("subscription-key", QUERY),
    row("mgmt-user-token", HEADER),
    row("x-vercel-oidc-token", HEADER),
    row("ai-gateway-auth", SUBPROTOCOL),
    row("ai-gateway-auth-method", HEADER),
    // Which of an account's stored credentials a connector uses (Mistral).
    row("x-credentials-name", HEADER),
    // Accounts: who pays, and whose quota is used.
    row("openai-organization", HEADER | QUERY | SUBPROTOCOL),
    row("openai-project", HEADER | QUERY | SUBPROTOCOL),
    row("anthropic-organization-id", HEADER),
    row("anthropic-workspace-id", HEADER),
    row("anthropic-user-profile-id", HEADER),
    row("x-goog-user-project", HEADER | QUERY),
    row("x-goog-quota-user", HEADER),
    row("$userproject", QUERY),
    row("quotauser", QUERY),
    row("userip", QUERY),
    row("x-hf-bill-to", HEADER),
    row("x-fireworks-account-id", HEADER),
    row("x-dg-project-id", HEADER),
    row("workspace-id", QUERY),
    row("ai-gateway-team", SUBPROTOCOL),
    row("x-vercel-ai-gateway-team", HEADER),
    row("ai-o11y-project-id", HEADER),
    // Headers and parameters that some servers read in place of the method, the path or other headers.
    row("x-original-url", HEADER),
    row("x-rewrite-url", HEADER),
    row("x-http-method", HEADER),
    row("x-http-method-override", HEADER),
    row("x-method-override", HEADER),
    row("$httpheaders", QUERY),
    row("$httpmethod", QUERY),
    row("httpheaders", QUERY),
    row("httpmethod", QUERY),
    // The older names of two of the Cloudflare AI Gateway's controls.
    row("cf-cache-ttl", HEADER),
    row("cf-skip-cache", HEADER),
]);

/// The longest name that is in the table, in bytes.
const MAX_NAME_BYTES: usize = 32;

/// For each length, the place of its first row. The length alone rules out nearly every name of every request.
const STARTS: [usize; MAX_NAME_BYTES + 2] = starts(&ROWS);

/// Sorts rows by the lengths of their names.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn by_length<const N: usize>(mut rows: [Row; N]) -> [Row; N] {
    let mut end = 1;
    while end < N {
        let mut at = end;
        while at > 0 && rows[at].name.len() < rows[at - 1].name.len() {
            let lower = rows[at - 1];
            rows[at - 1] = rows[at];
            rows[at] = lower;
            at -= 1;
        }
        end += 1;
    }
    rows
}

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn starts<const N: usize>(rows: &[Row; N]) -> [usize; MAX_NAME_BYTES + 2] {
    let mut starts = [0; MAX_NAME_BYTES + 2];
    let mut length = 0;
    while length < starts.len() {
        let mut at = 0;
        while at < N && rows[at].name.len() < length {
            at += 1;
        }
        starts[length] = at;
        length += 1;
    }
    starts
}

/// Returns the rows of names with this length.
fn rows(length: usize) -> &'static [Row] {
    let of_length = STARTS.get(length).zip(STARTS.get(length.saturating_add(1)));
    of_length.and_then(|(start, end)| ROWS.get(*start..*end)).unwrap_or_default()
}

/// Returns whether the name of a header is reserved, in any spelling.
pub(crate) fn is_reserved_header(name: &[u8]) -> bool {
    rows(name.len()).iter().any(|row| row.places & HEADER != 0 && is_spelling_of(name, row.name))
}

/// Returns whether the name of a parameter is reserved, in any spelling and with any escapes.
pub(super) fn is_reserved_parameter(name: &[u8]) -> bool {
    let is_plain = !name.contains(&b'%');
    let is_name = |row: &Row| {
        if is_plain {
            is_spelling_of(name, row.name)
        } else {
            percent_decode(name).map(normal_byte).eq(row.name.bytes())
        }
    };
    let candidates = if is_plain { rows(name.len()) } else { &ROWS[..] };
    candidates.iter().any(|row| row.places & QUERY != 0 && is_name(row))
}

/// Returns whether a reserved name and a dot stand anywhere in a subprotocol: quotes and odd separators hide none.
pub(super) fn is_reserved_subprotocol(entry: &[u8]) -> bool {
    let is_at = |part: &[u8], name: &str| {
        part.split_at_checked(name.len())
            .is_some_and(|(start, rest)| rest == b"." && start.eq_ignore_ascii_case(name.as_bytes()))
    };
    let has = |row: &Row| entry.windows(row.name.len().saturating_add(1)).any(|part| is_at(part, row.name));
    ROWS.iter().any(|row| row.places & SUBPROTOCOL != 0 && has(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_length_and_stands_in_the_table_once() {
        for row in &ROWS {
            assert!(row.name.len() <= MAX_NAME_BYTES, "{}", row.name);
            let same = rows(row.name.len()).iter().filter(|other| other.name == row.name);
            assert_eq!(same.count(), 1, "{}", row.name);
            assert!(row.name.bytes().all(|byte| normal_byte(byte) == byte), "{}", row.name);
        }
        assert!(rows(0).is_empty() && rows(MAX_NAME_BYTES + 1).is_empty() && rows(usize::MAX).is_empty());
    }

    #[test]
    fn a_name_is_reserved_in_its_places_in_every_spelling() {
        for row in &ROWS {
            let (loud, odd) = (row.name.to_ascii_uppercase(), row.name.replace('-', "_"));
            let escaped = hex::encode(row.name)
                .as_bytes()
                .chunks(2)
                .fold(String::new(), |text, byte| text + "%" + str::from_utf8(byte).unwrap());
            for name in [row.name, &loud, &odd] {
                assert_eq!(is_reserved_header(name.as_bytes()), row.places & HEADER != 0, "{name}");
                assert_eq!(is_reserved_parameter(name.as_bytes()), row.places & QUERY != 0, "{name}");
            }
            assert_eq!(is_reserved_parameter(escaped.as_bytes()), row.places & QUERY != 0, "{escaped}");
            let entry = format!("a \"{loud}.x\"");
            assert!(row.places & SUBPROTOCOL == 0 || is_reserved_subprotocol(entry.as_bytes()), "{entry}");
        }
    }

    #[test]
    fn other_names_pass() {
        for name in ["", "alt", "api-version", "keys", "akey", "pagetoken", "max-tokens", "%zz", "model"] {
            assert!(!is_reserved_parameter(name.as_bytes()), "{name}");
        }
        for name in
            ["", "realtime", "openai-beta.realtime-v1", "openai-organization", "openai-organizations.x"]
        {
            assert!(!is_reserved_subprotocol(name.as_bytes()), "{name}");
        }
        for name in
            ["content-type", "openai-beta", "anthropic-version", "anthropic-beta", "x-goog-api-client"]
        {
            assert!(!is_reserved_header(name.as_bytes()), "{name}");
        }
    }
}
