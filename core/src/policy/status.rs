//! The callers that may see the status of a data plane, in a policy: none unless the policy names them.

use super::reader::Node;

/// The callers that may ask for the status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusPolicy {
    /// Allows callers on the same machine.
    pub(crate) loopback: bool,
    /// Allows tokens with [`StatusPolicy::SCOPE`] among their providers.
    pub(crate) tokens: bool,
}

impl StatusPolicy {
    /// The entry among a token's `providers` that allows the status.
    pub(crate) const SCOPE: &'static str = "keyswap-status";

    pub(super) fn read(node: &Node<'_>) -> Self {
        let mut status = Self::default();
        let allow = node.fields().and_then(|mut fields| {
            let allow = fields.required("allow");
            fields.finish();
            allow
        });
        let Some(allow) = allow else { return status };
        for item in allow.items() {
            match item.choice(&[("loopback", false), ("tokens", true)]) {
                Some(true) => status.tokens = true,
                Some(false) => status.loopback = true,
                None => {}
            }
        }
        if status == Self::default() {
            allow.fail("expected `loopback` or `tokens`; without `status` no caller may ask");
        }
        status
    }
}
