//! Shadow mode in a policy, which then only reports what it would have decided.

use super::reader::Fields;

/// The way in which a policy in shadow mode reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShadowPolicy {
    /// Set where the upstream gets the report, too, in a header.
    pub(crate) header: bool,
}

impl ShadowPolicy {
    /// Reads `mode` and `shadow`; `None` is a policy in force.
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let mode = fields.optional("mode");
        let is_shadow = mode.and_then(|node| node.choice(&[("enforce", false), ("shadow", true)]));
        let shadow = fields.optional("shadow");
        if let (Some(node), Some(false) | None) = (&shadow, is_shadow) {
            node.fail("this is for `mode: shadow`: remove it");
        }
        let header = shadow.and_then(|node| {
            let mut fields = node.fields()?;
            let header = fields.optional("header").and_then(|node| node.flag());
            fields.finish();
            header
        });
        is_shadow.filter(|is_shadow| *is_shadow).map(|_| Self { header: header.unwrap_or(false) })
    }
}
