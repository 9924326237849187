//! Policies, and the other documents that a data plane starts with.

use keyswap_core::base::UnixTime;
use keyswap_core::host::MemoryStore;
use keyswap_core::policy::{Configuration, Policy};
use serde_json::{Value, json};

use super::driver::{Plane, at};

/// Reads a document. One that holds is the same however it is written, has no unknown member, and can be run.
pub(super) fn policy(data: &[u8]) {
    let _ = Configuration::from_json(data);
    let Ok(policy) = Policy::from_json(data) else { return };
    let mut document: Value = serde_json::from_slice(data).expect("a policy is JSON");
    let written = serde_json::to_vec_pretty(&document).expect("it can be written");
    let again = Policy::from_json(&written).expect("white space changes nothing");
    assert_eq!(policy.sha256(), again.sha256());
    assert_eq!(policy.outline(), again.outline());
    let _ = policy.lint(UnixTime(0));

    document["unknown"] = json!(null);
    assert!(Policy::from_json(document.to_string().as_bytes()).is_err(), "an unknown member is an error");
    if let Some(plane) = Plane::try_new(data, false).filter(|_| !policy.is_shadow()) {
        let _ = plane.ask(&MemoryStore::default(), at(0), &|_| (0, b""));
    }
}
