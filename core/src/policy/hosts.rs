//! The hosts that a policy is for. A gateway that serves others, too, has requests that are no business of the policy.

use super::reader::{Node, read_texts};
use crate::syntax::{host_of, is_host};

/// The hosts that a policy is for: names, and suffixes of names with a dot in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    /// Reads a list of names. `*.example.com` stands for every name below `example.com`.
    #[inline(never)]
    pub(super) fn read(node: &Node<'_>) -> Self {
        let names = read_texts(node, "host");
        for item in node.items() {
            if item.text().is_some_and(|name| !is_named(name)) {
                item.fail("expected a host in lower case without a port, such as `llm.example.com` or `*.example.com`");
            }
        }
        Self(names)
    }

    /// Tells whether the authority of a request names one of these hosts, at any port.
    pub(crate) fn has(&self, authority: &[u8]) -> bool {
        let host = host_of(authority);
        // A name with a dot at its end is the same name (RFC 3986 section 3.2.2).
        let host = host.strip_suffix(b".").unwrap_or(host);
        self.0.iter().any(|name| match name.strip_prefix('*') {
            Some(suffix) => {
                let below = host.len().checked_sub(suffix.len()).filter(|length| *length > 0);
                below
                    .and_then(|at| host.get(at..))
                    .is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
            }
            None => host.eq_ignore_ascii_case(name.as_bytes()),
        })
    }

    /// Returns the names, as the policy has them.
    pub(super) fn names(&self) -> &[String] {
        &self.0
    }
}

fn is_named(name: &str) -> bool {
    is_host(name.strip_prefix("*.").unwrap_or(name)) && !name.bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::reader::Errors;
    use super::*;

    fn read(names: &[&str]) -> (Hosts, usize) {
        let (value, errors) = (json!(names), Errors::default());
        let hosts = Hosts::read(&Node::root(&value, &errors));
        (hosts, errors.into_inner().len())
    }

    #[test]
    fn a_host_is_one_of_those_named_in_any_case_and_at_any_port() {
        let (hosts, errors) = read(&["llm.example.com", "*.ai.example.com", "[::1]", "10.0.0.1"]);
        let (hosts, is_of) = (hosts, |hosts: &Hosts, authority: &str| hosts.has(authority.as_bytes()));
        assert_eq!(errors, 0);
        for (authority, expect) in [
            ("llm.example.com", true),
            ("LLM.Example.com", true),
            ("llm.example.com:8443", true),
            ("llm.example.com.", true),
            ("llm.example.com.:443", true),
            ("a.ai.example.com", true),
            ("a.b.AI.example.com:1", true),
            ("[::1]:8443", true),
            ("[::1]", true),
            ("10.0.0.1:80", true),
            ("ai.example.com", false),
            (".ai.example.com", false),
            ("evil-ai.example.com", false),
            ("llm.example.com.evil.example", false),
            ("xllm.example.com", false),
            ("user@llm.example.com", false),
            ("llm.example.com:x", false),
            ("llm.example.com..", false),
            ("[::2]", false),
            ("", false),
            (":443", false),
        ] {
            assert_eq!(is_of(&hosts, authority), expect, "{authority}");
        }
    }

    #[test]
    fn a_name_that_is_no_host_is_an_error() {
        for name in [
            "LLM.example.com",
            "llm.example.com:443",
            "https://llm.example.com",
            "*",
            "*.",
            "a.*.example.com",
            "a..b",
            ".a",
            "a.",
            "[::g]",
            "a b",
            "*llm.example.com",
        ] {
            assert_eq!(read(&[name]).1, 1, "{name}");
        }
        assert_eq!(read(&[]).1, 1);
    }
}
