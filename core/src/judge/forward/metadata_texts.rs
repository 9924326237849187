//! The values of `cf-aig-metadata` of callers in use: each is written once a caller.
//!
//! A text is kept with the record that it was written of, and found for that very record only. A record that was read anew
//! has its text written anew, so a changed label or owner holds at once.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::identity::CallerRecord;
use crate::provider::{Claim, metadata};

/// The number of places. A caller that finds its place taken takes it over.
const PLACES: usize = 256;

/// The texts of one engine.
#[derive(Default)]
pub(crate) struct MetadataTexts(RefCell<Vec<Option<Kept>>>);

struct Kept {
    /// The record, which stays here: while it does, no other record has its address.
    record: Arc<CallerRecord>,
    text: Option<Rc<str>>,
}

impl MetadataTexts {
    /// Returns the text of a caller; `None` where no member has a value.
    pub(super) fn of(&self, members: &[(String, Claim)], record: &Arc<CallerRecord>) -> Option<Rc<str>> {
        if members.is_empty() {
            return None;
        }
        let write = || metadata::render(members, record).map(Rc::from);
        let Ok(mut all) = self.0.try_borrow_mut() else { return write() };
        if all.is_empty() {
            all.resize_with(PLACES, || None);
        }
        let [first, ..] = *record.digest.bytes();
        let Some(place) = all.get_mut(usize::from(first)) else { return write() };
        match place {
            Some(kept) if Arc::ptr_eq(&kept.record, record) => kept.text.clone(),
            _ => {
                let text = write();
                *place = Some(Kept { record: Arc::clone(record), text: text.clone() });
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;
    use crate::identity::{CallerKind, Models, Scope, TokenStatus};

    fn record(digest: Digest, label: &str) -> Arc<CallerRecord> {
        Arc::new(CallerRecord {
            kind: CallerKind::Token,
            digest,
            holder: digest,
            label: label.to_owned(),
            owner: None,
            team: None,
            status: TokenStatus::Active,
            scope: Scope::default(),
            models: Models::all(),
            expires_at: None,
            rate_limit: None,
            ended_sessions: Vec::new(),
            certificate: None,
            budget: None,
        })
    }

    #[test]
    fn a_text_is_the_very_records_also_where_others_have_its_place() {
        let members = [("token".to_owned(), Claim::Label)];
        let texts = MetadataTexts::default();
        let digest = |end: u8| Digest::from_hex(&format!("ab{:062x}", u32::from(end))).unwrap();
        let records: Vec<_> =
            (0..4).map(|number| record(digest(number % 2), &format!("label-{number}"))).collect();
        for round in 0..8 {
            // Each twice in a row: written, then found.
            let record = &records[round / 2];
            let expect = format!(r#"{{"token":"{}"}}"#, record.label);
            assert_eq!(texts.of(&members, record).as_deref(), Some(expect.as_str()));
        }
        assert!(texts.0.borrow().iter().flatten().count() == 1);
        assert_eq!(texts.of(&[("team".to_owned(), Claim::Team)], &record(digest(9), "l")), None);
        assert_eq!(texts.of(&[], &records[0]), None);
    }
}
