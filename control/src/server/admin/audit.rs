//! Questions about the audit log, as query parameters.

use keyswap_core::base::UnixTime;
use serde::Deserialize;

use crate::registry::{AuditQuery, RegistryError, UsageQuery, now};

/// The query parameters of a question. Empty ones are ignored, as a form sends them.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    pub(super) subject: String,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) since: String,
    pub(super) until: String,
    /// The number of the page, from 1 on. Programs continue with `after`.
    pub(super) page: Option<u32>,
    /// The format of an export.
    pub(super) format: String,
    after: Option<i64>,
    limit: Option<u32>,
}

impl Asked {
    pub(super) fn query(&self) -> Result<AuditQuery, RegistryError> {
        let some = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(AuditQuery {
            subject: some(&self.subject),
            actor: some(&self.actor),
            action: some(&self.action),
            since: moment("since", &self.since)?,
            until: moment("until", &self.until)?,
            after: self.after,
            skip: 0,
            limit: self.limit,
        })
    }
}

fn moment(field: &'static str, text: &str) -> Result<Option<UnixTime>, RegistryError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let expected = "expected a day such as `2026-11-01`, a time with an offset, or a time ago such as `7d`";
    let moment = UsageQuery::moment(text, now());
    moment.map(Some).ok_or_else(|| RegistryError::Invalid { field, expected: expected.to_owned() })
}
