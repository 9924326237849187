//! The parts of an upstream's answers that a policy passes on to callers.

use super::reader::Node;

/// The headers about the account behind a credential that callers may see: none unless the policy says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswersPolicy {
    /// Passes the limits of the account, and the rest of them.
    pub(crate) limits: bool,
    /// Passes the names of the account: organisation, project, team.
    pub(crate) account: bool,
}

impl AnswersPolicy {
    pub(super) fn read(node: &Node<'_>) -> Self {
        let mut answers = Self::default();
        let pass = node.fields().and_then(|mut fields| {
            let pass = fields.required("pass");
            fields.finish();
            pass
        });
        for item in pass.iter().flat_map(Node::items) {
            let is_twice = match item.choice(&[("limits", false), ("account", true)]) {
                Some(false) => std::mem::replace(&mut answers.limits, true),
                Some(true) => std::mem::replace(&mut answers.account, true),
                None => false,
            };
            if is_twice {
                item.fail("this stands twice in the list");
            }
        }
        answers
    }
}
