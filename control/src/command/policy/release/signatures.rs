//! Words for signatures: those that are there, and those that are missing.

use crate::command::terminal::output::visible;
use crate::registry::{Progress, SignerKeys};

/// Returns the words for revisions that too few of the known keys have signed.
pub(super) fn unsigned(name: &str, revisions: &[i64], required: usize) -> String {
    let numbers: Vec<String> = revisions.iter().map(i64::to_string).collect();
    let (noun, verb) = if revisions.len() == 1 { ("revision", "is") } else { ("revisions", "are") };
    let keys = match required {
        1 => "none of your keys".to_owned(),
        _ => format!("fewer than {required} of your keys"),
    };
    format!("{noun} {} of `{}` {verb} signed by {keys}", numbers.join(", "), visible(name))
}

/// Returns the words for the signatures of a proposal, and for the keys whose signatures it lacks.
pub(super) fn missing(signed_by: &[String], required: usize, keys: &SignerKeys) -> String {
    let others: Vec<&str> =
        keys.kids().into_iter().filter(|kid| !signed_by.iter().any(|signer| signer == kid)).collect();
    let others = if others.is_empty() {
        "another registered key".to_owned()
    } else {
        format!("of {}", visible(&others.join(", ")))
    };
    let count = required.saturating_sub(signed_by.len());
    format!(
        "signed by {}; {count} of {required} signatures missing, {others}",
        visible(&signed_by.join(", "))
    )
}

/// Returns the words for what waits for signatures.
pub(super) fn waiting<T>(what: &str, proposal: &Progress<T>, keys: &SignerKeys) -> String {
    format!("{what} is proposed: {}", missing(&proposal.signed_by, proposal.required, keys))
}
