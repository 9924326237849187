//! Channels of the data plane without TLS: an error, unless the entry says that its network is trusted.
//!
//! A registry, an agent and a key set answer with what decides over requests, and are asked with credentials. Without
//! TLS, anyone on the way reads and replaces both.

use super::reader::{Fields, Node};

const EXPOSED: &str = "expected `https://`: without TLS, others on the network could read and replace what is sent; \
                       where a mesh encrypts it, say `plaintext: trusted_network`";

/// The member `plaintext` of an entry.
#[derive(Default)]
pub(super) struct Plaintext<'d>(Option<Node<'d>>);

impl<'d> Plaintext<'d> {
    pub(super) fn read(fields: &mut Fields<'d>) -> Self {
        Self(fields.optional("plaintext"))
    }

    pub(super) fn is_said(&self) -> bool {
        self.0.is_some()
    }

    /// Checks that the member stands where the address is exposed, and nowhere else: left over, it would cover a later
    /// change of the address. `url` is the place of the address.
    pub(super) fn check(&self, url: Option<&Node<'_>>, is_exposed: bool) {
        match (&self.0, is_exposed) {
            (Some(node), true) => _ = node.choice(&[("trusted_network", ())]),
            (Some(node), false) => {
                node.fail("the address has TLS or does not leave the machine: remove this");
            }
            (None, true) => _ = url.map(|node| node.fail(EXPOSED)),
            (None, false) => {}
        }
    }
}
