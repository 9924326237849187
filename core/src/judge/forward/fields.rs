//! The heads of messages, for hosts that write them: a request's fields to the upstream, and an answer's fields to the
//! caller.
//!
//! Envoy does most of this by itself, and `envoy/bootstrap.yaml` says the rest. Fields of a connection end there (RFC
//! 9110 section 7.6.1). Fields in which a proxy describes the caller are not for providers. Fields in which a provider
//! speaks for its own host are not for the caller.

use super::rewrite::Rewrite;
use crate::answer::{LocalReply, ResponseHeaders};
use crate::request::{HOP_BY_HOP, OF_PROXIES, RequestHead};
use crate::syntax::is_spelling_of;

/// A field: its name in any case, and its value.
pub type Field<'a> = (&'a [u8], &'a [u8]);

/// Other fields that are not forwarded: the authority is the upstream's, and the host has answered an expectation (RFC
/// 9110 section 10.1.1).
const NOT_SENT: [&str; 2] = ["expect", "host"];
/// Prefixes of fields in which proxies and hosts describe a request; Spin adds `spin-path-info` and its like.
const OF_PROXIES_PREFIXES: [&str; 3] = ["spin-", "x-envoy-", "x-forwarded-"];
/// Fields in which an upstream speaks for its own host.
const OF_UPSTREAM: [&str; 3] = ["alt-svc", "set-cookie", "strict-transport-security"];

/// Returns whether a reply with this status to this method has a body (RFC 9110 section 6.4.1). A reply without a body
/// may still state the length of one.
pub fn has_content(method: &[u8], status: u16) -> bool {
    method != b"HEAD" && !matches!(status, 100..200 | 204 | 304)
}

impl Rewrite<'_> {
    /// Returns the fields to send upstream, line by line, without `host`.
    pub fn fields<'r>(&'r self, head: &'r RequestHead<'_>) -> impl Iterator<Item = Field<'r>> {
        self.kept(head).chain(self.set.iter().map(|(name, value)| (name.as_bytes(), &**value)))
    }

    /// Returns those of them that the caller sent; the others are in `set`.
    pub fn kept<'r>(&'r self, head: &'r RequestHead<'_>) -> impl Iterator<Item = Field<'r>> {
        let is_upgrade = head.is_websocket_upgrade();
        let is_replaced =
            |name: &[u8]| self.set.iter().any(|(other, _)| name.eq_ignore_ascii_case(other.as_bytes()));
        let connection: Vec<&[u8]> = head.values("connection").collect();
        let kept = head.headers.iter().filter(move |header| {
            let is_its_upgrade = is_upgrade && is(header.name, "upgrade");
            let is_removed = self.remove.iter().any(|name| name.eq_ignore_ascii_case(header.name));
            let ends_here = is_of_connection(header.name, &connection) && !is_its_upgrade;
            let is_not_sent = NOT_SENT.iter().any(|name| is(header.name, name));
            let is_dropped = is_removed || ends_here || is_not_sent || is_of_proxies(header.name);
            !is_dropped && !is_replaced(header.name)
        });
        kept.map(|header| (header.name, header.value))
    }
}

impl ResponseHeaders {
    /// Returns the fields of the answer to the caller, line by line, made from those of an upstream's answer.
    pub fn fields<'r>(&'r self, answer: &'r [Field<'r>]) -> impl Iterator<Item = Field<'r>> {
        self.trailers(answer).chain(self.own())
    }

    /// Returns the trailers of the answer to the caller, made from those of an upstream's answer.
    pub fn trailers<'r>(&'r self, answer: &'r [Field<'r>]) -> impl Iterator<Item = Field<'r>> {
        answer.iter().zip(self.keeps(answer)).filter_map(|(line, is_kept)| is_kept.then_some(*line))
    }

    /// Returns for each line of an answer, in order, whether it goes on to the caller.
    pub fn keeps<'r>(&'r self, answer: &'r [Field<'r>]) -> impl Iterator<Item = bool> {
        let connection = answer.iter().filter(|(name, _)| is(name, "connection"));
        let connection: Vec<&[u8]> = connection.map(|(_, value)| *value).collect();
        let is_replaced = |name: &[u8]| self.set.iter().any(|(other, _)| is(name, other));
        answer.iter().map(move |(name, value)| {
            let is_of_upstream = OF_UPSTREAM.iter().chain(self.remove).any(|other| is(name, other));
            !(is_of_upstream
                || self.hides(name, value)
                || is_of_connection(name, &connection)
                || is_replaced(name))
        })
    }

    /// Returns the lines that are added to those of an answer.
    pub fn own(&self) -> impl Iterator<Item = Field<'_>> {
        self.set.iter().chain(&self.add).map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    }
}

impl LocalReply {
    /// Returns the fields of an answer that the host gives in an upstream's stead, line by line.
    pub fn fields<'r>(&'r self, response: &'r ResponseHeaders) -> impl Iterator<Item = Field<'r>> {
        let is_replaced = |name: &str| response.set.iter().any(|(other, _)| name == *other);
        let kept = self.headers.iter().filter(move |(name, _)| !is_replaced(name));
        let lines = kept.chain(&response.set).chain(&response.add);
        lines.map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    }
}

fn is(name: &[u8], other: &str) -> bool {
    name.eq_ignore_ascii_case(other.as_bytes())
}

/// Returns whether the field belongs to the connection; `options` are the values of `connection`.
fn is_of_connection(name: &[u8], options: &[&[u8]]) -> bool {
    let names = |list: &&[u8]| {
        list.split(|byte| *byte == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(name))
    };
    HOP_BY_HOP.iter().any(|other| is(name, other)) || options.iter().any(names)
}

fn is_of_proxies(name: &[u8]) -> bool {
    let begins =
        |prefix: &&str| name.get(..prefix.len()).is_some_and(|beginning| is_spelling_of(beginning, prefix));
    OF_PROXIES.iter().any(|other| is_spelling_of(name, other)) || OF_PROXIES_PREFIXES.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Hidden;
    use crate::judge::forward::FieldValue;
    use crate::request::Header;

    fn sent(
        remove: &[&'static [u8]],
        set: &[(&'static str, &'static str)],
        lines: &[(&str, &str)],
    ) -> Vec<String> {
        let set = set.iter().map(|(name, value)| (*name, FieldValue::from(value.as_bytes()))).collect();
        let rewrite = Rewrite { authority: "a", https: true, path: Vec::new(), remove: remove.to_vec(), set };
        let headers: Vec<Header<'_>> = lines
            .iter()
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        let head = RequestHead::new(b"GET", b"/", &headers);
        rewrite.fields(&head).map(line).collect()
    }

    fn line((name, value): Field<'_>) -> String {
        format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    }

    #[test]
    fn what_ends_at_this_connection_and_what_proxies_say_is_not_sent_on() {
        let lines = [
            ("Host", "keyswap"),
            ("Connection", "close, X-Hop"),
            ("connection", "x-hop-too"),
            ("x-hop", "1"),
            ("X-Hop-Too", "1"),
            ("Keep-Alive", "5"),
            ("TE", "trailers"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "x"),
            ("Proxy-Connection", "x"),
            ("Expect", "100-continue"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("x_forwarded_host", "a"),
            ("X-Envoy-Upstream-Rq-Timeout-Ms", "1"),
            ("Forwarded", "for=1.2.3.4"),
            ("Via", "1.1 a"),
            ("X.Real.IP", "1.2.3.4"),
            ("CF-Connecting-IP", "1.2.3.4"),
            ("spin-client-addr", "1.2.3.4:5"),
            ("Spin-Path-Info", "/v1"),
            ("spinner", "stays"),
            ("Content-Length", "7"),
            ("x-forwarded", "stays"),
            ("Accept", "a"),
            ("accept", "b"),
        ];
        let expect = ["spinner: stays", "Content-Length: 7", "x-forwarded: stays", "Accept: a", "accept: b"];
        assert_eq!(sent(&[], &[], &lines), expect);
    }

    #[test]
    fn what_the_rewrite_says_takes_the_place_of_what_was_there() {
        let lines = [("Authorization", "Bearer ptk"), ("X-Api-Key", "ptk"), ("x-api-key", "ptk"), ("a", "1")];
        let found = sent(&[b"Authorization"], &[("x-api-key", "sk")], &lines);
        assert_eq!(found, ["a: 1", "x-api-key: sk"]);
    }

    #[test]
    fn an_upgrade_says_that_it_is_one() {
        let lines = [("Connection", "Upgrade, X-Hop"), ("Upgrade", "websocket"), ("X-Hop", "1")];
        assert_eq!(
            sent(&[], &[("connection", "upgrade")], &lines),
            ["Upgrade: websocket", "connection: upgrade"]
        );
    }

    #[test]
    fn an_answer_loses_what_is_about_the_upstreams_own_host() {
        let headers = ResponseHeaders {
            remove: &["access-control-allow-origin"],
            set: vec![("ratelimit", "r".into())],
            add: vec![("vary", "Origin".into())],
            hidden: Hidden { limits: true, ..Hidden::default() },
        };
        let answer: [(&str, &str); 13] = [
            ("X-RateLimit-Remaining-Tokens", "9"),
            ("Set-Cookie", "a=b"),
            ("Alt-Svc", "h3"),
            ("Strict-Transport-Security", "max-age=1"),
            ("Connection", "keep-alive, x-hop"),
            ("X-Hop", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Access-Control-Allow-Origin", "https://a"),
            ("RateLimit", "upstream's"),
            ("Vary", "Accept"),
            ("Server", "s"),
            ("Content-Length", "7"),
            ("x-request-id", "i"),
        ];
        let answer: Vec<Field<'_>> =
            answer.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let expect = [
            "Vary: Accept",
            "Server: s",
            "Content-Length: 7",
            "x-request-id: i",
            "ratelimit: r",
            "vary: Origin",
        ];
        assert_eq!(headers.fields(&answer).map(line).collect::<Vec<_>>(), expect);
    }
}
