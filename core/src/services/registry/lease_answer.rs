//! The registry's answer to a call for slices of budgets. An answer that is not whole grants nothing.

use std::time::Duration;

use serde_json::Value;

use super::record::MAX_BYTES;
use crate::base::UnixTime;
use crate::limit::{Granted, Lease, Unit};
use crate::syntax::json;

/// The longest id of a lease, in bytes.
const MAX_ID_BYTES: usize = 64;
/// The longest time of a lease, in seconds: a data plane that died keeps its slice for no longer.
const MAX_LEASE_SECONDS: u64 = 3600;

/// Reads the answer about each of the subjects, in their order. Returns `None` unless the answer is about all of them and
/// no other.
pub(super) fn read(body: &[u8], subjects: &[&str]) -> Option<Vec<Granted>> {
    if body.len() > MAX_BYTES {
        return None;
    }
    let answer = json::parse(body).ok()?;
    let entries = answer.get("leases")?.as_array()?;
    if entries.len() != subjects.len() {
        return None;
    }
    let of = |subject: &&str| {
        let is_own = |entry: &&Value| entry.get("subject").and_then(Value::as_str) == Some(*subject);
        read_entry(entries.iter().find(is_own)?)
    };
    subjects.iter().map(of).collect()
}

fn read_entry(entry: &Value) -> Option<Granted> {
    let number = |name: &str| entry.get(name)?.as_u64();
    let expires_in = number("expires_in").filter(|seconds| (1..=MAX_LEASE_SECONDS).contains(seconds))?;
    let expires_in = Duration::from_secs(expires_in);
    let (id, unit) = (entry.get("id")?, entry.get("unit")?);
    if id.is_null() && unit.is_null() {
        return Some(Granted { lease: None, expires_in });
    }
    let id = id.as_str().filter(|id| {
        (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
    })?;
    let unit = Unit::ALL.iter().find(|(name, _)| unit.as_str() == Some(*name)).map(|(_, unit)| *unit)?;
    let resets_at = UnixTime::from_rfc3339(entry.get("resets_at")?.as_str()?)?;
    Some(Granted {
        lease: Some(Lease {
            id: id.to_owned(),
            unit,
            limit: number("limit")?,
            granted: number("granted")?,
            remaining: number("remaining")?,
            resets_at: u64::try_from(resets_at.0).ok()?,
        }),
        expires_in,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: &str = r#"{"subject":"token:a","id":"x","unit":"usd","limit":10,"granted":5,"remaining":7,"resets_at":"2026-12-01T00:00:00Z","expires_in":60,"new":1}"#;
    const NONE: &str = r#"{"subject":"owner:b@c.d","id":null,"unit":null,"expires_in":60}"#;

    fn of(entries: &[&str], subjects: &[&str]) -> Option<Vec<Granted>> {
        read(format!(r#"{{"leases":[{}]}}"#, entries.join(",")).as_bytes(), subjects)
    }

    #[test]
    fn an_answer_is_about_every_subject_whatever_their_order() {
        let lease = Lease {
            id: "x".to_owned(),
            unit: Unit::Usd,
            limit: 10,
            granted: 5,
            remaining: 7,
            resets_at: 1_796_083_200,
        };
        let expires_in = Duration::from_mins(1);
        let expect = vec![Granted { lease: Some(lease), expires_in }, Granted { lease: None, expires_in }];
        assert_eq!(of(&[LEASE, NONE], &["token:a", "owner:b@c.d"]), Some(expect.clone()));
        assert_eq!(of(&[NONE, LEASE], &["token:a", "owner:b@c.d"]), Some(expect));
        for subjects in [&["token:a"][..], &["token:a", "owner:x"], &["token:a", "owner:b@c.d", "team:x"]] {
            assert_eq!(of(&[LEASE, NONE], subjects), None);
        }
        assert_eq!(of(&[LEASE, LEASE], &["token:a", "owner:b@c.d"]), None);
    }

    #[test]
    fn anything_else_grants_nothing() {
        let long = "x".repeat(65);
        for (from, to) in [
            (r#""id":"x""#, r#""id":null"#.to_owned()),
            (r#""id":"x""#, r#""id":"""#.to_owned()),
            (r#""id":"x""#, r#""id":"a b""#.to_owned()),
            (r#""id":"x""#, format!(r#""id":"{long}""#)),
            (r#""unit":"usd""#, r#""unit":"eur""#.to_owned()),
            (r#""unit":"usd""#, r#""unit":null"#.to_owned()),
            (r#""granted":5"#, r#""granted":-5"#.to_owned()),
            (r#""granted":5"#, r#""granted":5.5"#.to_owned()),
            (r#""granted":5"#, r#""granted":"5""#.to_owned()),
            (r#""granted":5"#, r#""granted":5,"granted":6"#.to_owned()),
            (r#""limit":10,"#, String::new()),
            (r#""remaining":7"#, r#""left":7"#.to_owned()),
            ("2026-12-01T00:00:00Z", "2026-12-01".to_owned()),
            ("2026-12-01T00:00:00Z", "1926-12-01T00:00:00Z".to_owned()),
            (r#""expires_in":60"#, r#""expires_in":0"#.to_owned()),
            (r#""expires_in":60"#, r#""expires_in":3601"#.to_owned()),
            ("token:a", "token:b".to_owned()),
        ] {
            let entry = LEASE.replace(from, &to);
            assert_ne!(entry, LEASE, "{from}");
            assert_eq!(of(&[&entry], &["token:a"]), None, "{entry}");
        }
        for body in ["", "{}", "[]", "<html>", r#"{"leases":{}}"#, r#"{"leases":[1]}"#, r#"{"leases":[]}"#] {
            assert_eq!(read(body.as_bytes(), &["token:a"]), None, "{body}");
        }
        let padded = format!(r#"{{"leases":[{LEASE}]}}{}"#, " ".repeat(MAX_BYTES));
        assert_eq!(read(padded.as_bytes(), &["token:a"]), None);
    }
}
