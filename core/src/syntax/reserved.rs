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
    places: u16,
    hash: u8,
}

const HEADER: u16 = 1;
/// A parameter of the query.
const QUERY: u16 = 2;
/// A subprotocol that begins with the name and a dot.
const SUBPROTOCOL: u16 = 4;

/// Headers that are read of every request, each as a bit.
pub(crate) mod read {
    pub(crate) const X_API_KEY: u16 = 1 << 3;
    pub(crate) const X_GOOG_API_KEY: u16 = 1 << 4;
    pub(crate) const API_KEY: u16 = 1 << 5;
    pub(crate) const AUTHORIZATION: u16 = 1 << 6;
    pub(crate) const SUBPROTOCOL: u16 = 1 << 7;
    pub(crate) const UPGRADE: u16 = 1 << 8;
    pub(crate) const ORIGIN: u16 = 1 << 9;
    pub(crate) const ANTHROPIC_VERSION: u16 = 1 << 10;
    pub(crate) const XI_API_KEY: u16 = 1 << 11;
    /// No header: set where the request has a query.
    pub(crate) const QUERY: u16 = 1 << 12;
}

const fn row(name: &'static str, places: u16) -> Row {
    Row { name, places, hash: hash(name.as_bytes()) }
}

const ROWS: [Row; 76] = by_hash([
    // Credentials.
    row("authorization", HEADER | QUERY | SUBPROTOCOL | read::AUTHORIZATION),
    row("proxy-authorization", HEADER),
    row("cookie", HEADER),
    row("api-key", HEADER | QUERY | SUBPROTOCOL | read::API_KEY),
    row("apikey", HEADER | QUERY),
    row("x-api-key", HEADER | QUERY | read::X_API_KEY),
    row("key", QUERY),
    row("$key", QUERY),
    row("token", QUERY),
    row("access-token", QUERY | SUBPROTOCOL),
    row("$access-token", QUERY),
    row("auth-token", QUERY),
    row("bearer-token", QUERY),
    row("oauth-token", QUERY),
    row("client-secret", QUERY),
    row("x-forwarded-access-token", HEADER),
    row("x-goog-api-key", HEADER | QUERY | read::X_GOOG_API_KEY),
    row("x-goog-iam-authorization-token", HEADER),
    row("xi-api-key", HEADER | QUERY | SUBPROTOCOL | read::XI_API_KEY),
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
    row("$quotauser", QUERY),
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
    // Headers in which a browser tells of its page. Its access ends here, and some providers refuse requests of pages.
    row("origin", HEADER | read::ORIGIN),
    row("referer", HEADER),
    row("sec-fetch-dest", HEADER),
    row("sec-fetch-mode", HEADER),
    row("sec-fetch-site", HEADER),
    row("sec-fetch-storage-access", HEADER),
    row("sec-fetch-user", HEADER),
    row("access-control-request-headers", HEADER),
    row("access-control-request-method", HEADER),
    // The parts that an answer of Google's APIs has: without them it does not tell its usage.
    row("x-goog-fieldmask", HEADER),
    // The older names of two of the Cloudflare AI Gateway's controls.
    row("cf-cache-ttl", HEADER),
    row("cf-skip-cache", HEADER),
    // Headers that are read, and that are not reserved.
    row("anthropic-version", read::ANTHROPIC_VERSION),
    row("sec-websocket-protocol", read::SUBPROTOCOL),
    row("upgrade", read::UPGRADE),
]);

/// The number of hashes that a name may have: many more than there are rows, so that nearly every name of every request has
/// one that no row has.
const HASHES: usize = 256;

/// For each hash, the place of its first row; [`NONE`] where no row has it.
const FIRST: [u8; HASHES] = first(&ROWS);
const NONE: u8 = u8::MAX;

/// The last letters that names of headers in the table have, by the length of the name: one bit each, by the letter's lowest
/// bits. Nearly every name of every request has a length and a last letter that no row has.
const LAST_LETTERS: [u32; 32] = last_letters(&ROWS);

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn last_letters<const N: usize>(rows: &[Row; N]) -> [u32; 32] {
    let mut letters = [0; 32];
    let mut at = 0;
    while at < N {
        let Row { name, places, .. } = rows[at];
        if places & !(QUERY | SUBPROTOCOL) != 0 {
            // A longer name would have no place of its own.
            assert!(name.len() < letters.len());
            letters[name.len()] |= 1 << (name.as_bytes()[name.len() - 1] & 0x1f);
        }
        at += 1;
    }
    letters
}

/// Returns the hash of a name, the same for all spellings.
#[allow(clippy::cast_possible_truncation, reason = "the low bits of a length are enough")]
#[inline]
const fn hash(name: &[u8]) -> u8 {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return 0 };
    // The factors keep the names of common headers apart from the table's. Letters become those of lower case. No name in the table begins or ends with a mark that has several spellings.
    let ends = (*first | 0x20).wrapping_mul(19).wrapping_add((*last | 0x20).wrapping_mul(51));
    ends.wrapping_add((name.len() as u8).wrapping_mul(29))
}

/// Sorts rows by the hashes of their names.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn by_hash<const N: usize>(mut rows: [Row; N]) -> [Row; N] {
    let mut end = 1;
    while end < N {
        let mut at = end;
        while at > 0 && rows[at].hash < rows[at - 1].hash {
            let lower = rows[at - 1];
            rows[at - 1] = rows[at];
            rows[at] = lower;
            at -= 1;
        }
        end += 1;
    }
    rows
}

#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "evaluated by the compiler")]
const fn first<const N: usize>(rows: &[Row; N]) -> [u8; HASHES] {
    assert!(N < NONE as usize);
    let mut first = [NONE; HASHES];
    let mut at = N;
    while at > 0 {
        at -= 1;
        first[rows[at].hash as usize] = at as u8;
    }
    first
}

/// Returns the row of a name, in any spelling; `None` where the table has none.
fn find(name: &[u8]) -> Option<&'static Row> {
    let hash = hash(name);
    let first = FIRST.get(usize::from(hash)).filter(|first| **first != NONE)?;
    let rows = ROWS.get(usize::from(*first)..)?.iter();
    rows.take_while(|row| row.hash == hash).find(|row| is_spelling_of(name, row.name))
}

/// Names of headers that begin so are reserved, too: identities that a service might trust, and controls of gateways.
const PREFIXES: [&str; 3] = ["cf-aig-", "cf-access-", "x-keyswap-"];

/// Returns whether a name begins with one of the prefixes, in any spelling.
fn has_prefix(name: &[u8]) -> bool {
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| is_spelling_of(start, prefix));
    may_have_prefix(name) && PREFIXES.into_iter().any(begins)
}

/// Returns whether a name may begin with one of the prefixes. Many headers begin with `x-`, and few go on as these do.
#[inline]
fn may_have_prefix(name: &[u8]) -> bool {
    let [first, second, third, ..] = name else { return false };
    match first | 0x20 {
        b'c' => second | 0x20 == b'f',
        b'x' => third | 0x20 == b'k',
        _ => false,
    }
}

/// Facts about the name of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderName {
    /// Set where the header is removed from every forwarded request, whatever it holds.
    pub(crate) is_reserved: bool,
    /// The bit of a header that is read, see [`read`]; 0 for any other.
    pub(crate) read: u16,
}

impl HeaderName {
    /// Returns whether a name may be reserved or read. Nearly every other name is seen not to be.
    #[inline]
    pub(crate) fn is_noted(name: &[u8]) -> bool {
        let Some(last) = name.last() else { return false };
        let letters = LAST_LETTERS.get(name.len()).copied().unwrap_or_default();
        letters.wrapping_shr(u32::from(*last)) & 1 == 1 || may_have_prefix(name)
    }

    /// Looks a name up, in any spelling.
    pub(crate) fn of(name: &[u8]) -> Self {
        let places = find(name).map_or(0, |row| row.places);
        Self {
            is_reserved: places & HEADER != 0 || has_prefix(name),
            read: places & !(HEADER | QUERY | SUBPROTOCOL),
        }
    }
}

/// Returns whether the name of a parameter is reserved, in any spelling and with any escapes.
pub(super) fn is_reserved_parameter(name: &[u8]) -> bool {
    if !name.contains(&b'%') {
        return find(name).is_some_and(|row| row.places & QUERY != 0);
    }
    let is_name = |row: &&Row| percent_decode(name).map(normal_byte).eq(row.name.bytes());
    ROWS.iter().find(is_name).is_some_and(|row| row.places & QUERY != 0)
}

/// Returns whether a reserved name and a dot stand anywhere in a subprotocol: quotes and odd separators hide none.
pub(super) fn is_reserved_subprotocol(entry: &[u8]) -> bool {
    let is_at = |part: &[u8], name: &str| {
        part.split_at_checked(name.len())
            .is_some_and(|(start, rest)| rest == b"." && is_spelling_of(start, name))
    };
    let has = |row: &Row| entry.windows(row.name.len().saturating_add(1)).any(|part| is_at(part, row.name));
    ROWS.iter().any(|row| row.places & SUBPROTOCOL != 0 && has(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_in_every_spelling_and_stands_in_the_table_once() {
        for row in &ROWS {
            assert_eq!(ROWS.iter().filter(|other| other.name == row.name).count(), 1, "{}", row.name);
            assert!(row.name.bytes().all(|byte| normal_byte(byte) == byte), "{}", row.name);
            for name in [
                row.name.to_owned(),
                row.name.to_ascii_uppercase(),
                row.name.replace('-', "."),
                row.name.replace('-', "_"),
            ] {
                assert_eq!(find(name.as_bytes()).map(|found| found.name), Some(row.name), "{name}");
            }
        }
        assert!(find(b"").is_none() && find(&[b'x'; 1000]).is_none());
    }

    #[test]
    fn the_prefixes_are_found_by_the_letters_that_are_looked_at() {
        for prefix in PREFIXES {
            for name in [format!("{prefix}a"), prefix.to_ascii_uppercase(), prefix.replace('-', "_")] {
                assert!(HeaderName::of(name.as_bytes()).is_reserved, "{name}");
            }
        }
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
                let is_reserved = row.places & HEADER != 0 || has_prefix(row.name.as_bytes());
                assert_eq!(HeaderName::of(name.as_bytes()).is_reserved, is_reserved, "{name}");
                assert_eq!(is_reserved_parameter(name.as_bytes()), row.places & QUERY != 0, "{name}");
            }
            assert_eq!(is_reserved_parameter(escaped.as_bytes()), row.places & QUERY != 0, "{escaped}");
            let entry = format!("a \"{loud}.x\"");
            assert!(row.places & SUBPROTOCOL == 0 || is_reserved_subprotocol(entry.as_bytes()), "{entry}");
            let plain = format!("{}.x", row.name);
            let has_other = |other: &Row| other.places & SUBPROTOCOL != 0 && row.name.ends_with(other.name);
            assert_eq!(is_reserved_subprotocol(plain.as_bytes()), ROWS.iter().any(has_other), "{plain}");
        }
    }

    #[test]
    fn every_name_that_is_reserved_or_read_is_noted_in_every_spelling_and_common_names_are_not() {
        for row in &ROWS {
            let loud = row.name.to_ascii_uppercase();
            for name in [row.name, &loud, &loud.replace('-', "_"), &row.name.replace('-', ".")] {
                let found = HeaderName::of(name.as_bytes());
                assert!(
                    HeaderName::is_noted(name.as_bytes()) || (!found.is_reserved && found.read == 0),
                    "{name}"
                );
            }
        }
        for prefix in PREFIXES {
            for name in
                [format!("{prefix}a"), prefix.to_ascii_uppercase(), prefix.replace('-', "_") + "some-more"]
            {
                assert!(HeaderName::is_noted(name.as_bytes()), "{name}");
            }
        }
        let long = "x".repeat(1000);
        for name in [
            "",
            "accept",
            "accept-encoding",
            "connection",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-request-id",
            "x-stainless-arch",
            "x-stainless-async",
            "x-stainless-lang",
            "x-stainless-os",
            "x-stainless-package-version",
            "x-stainless-raw-response",
            "x-stainless-read-timeout",
            "x-stainless-retry-count",
            "x-stainless-runtime",
            "x-stainless-runtime-version",
            "anthropic-beta",
            "openai-beta",
            "traceparent",
            &long,
        ] {
            assert!(!HeaderName::is_noted(name.as_bytes()), "{name}");
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
            assert!(!HeaderName::of(name.as_bytes()).is_reserved, "{name}");
        }
    }
}
