//! The completeness of suites: every host can run every case, and a case compares all members of the outcome.

use anyhow::{Context as _, Result, ensure};
use keyswap_cases::{Case, Reply, Suite};

/// Checks a suite. A missing part of an outcome, or a suite that only the engine without a host can run, is an error.
pub(super) fn check(suite: &Suite) -> Result<()> {
    ensure!(suite.about.is_some() && suite.env.is_some() && suite.policy.is_some(), "a part is missing");
    ensure!(suite.at.is_none(), "hosts have no time of their own");
    suite.cases.iter().try_for_each(|case| check_case(case).with_context(|| case.name.clone()))
}

fn check_case(case: &Case) -> Result<()> {
    let is_real = case.at.is_none()
        && case.identity.is_none()
        && case.certificate.is_none()
        && case.request.labels().is_empty();
    ensure!(is_real, "hosts have no time of their own and take no generated tokens or keys");
    if let Some(forward) = &case.forward {
        let is_whole = forward.authority.is_some() && forward.target.is_some() && forward.headers.is_some();
        ensure!(is_whole, "`forward` leaves something open");
    }
    if let Some(answer) = &case.answer {
        let is_whole = answer.status.is_some() && answer.headers.is_some() && answer.body.is_some();
        ensure!(is_whole, "`answer` leaves something open");
    }
    let has_whole_replies = case.reply.iter().chain(&case.without_upgrades).all(is_whole);
    ensure!(has_whole_replies, "a refusal leaves something open");
    Ok(())
}

fn is_whole(reply: &Reply) -> bool {
    reply.status.is_some() && reply.reason.is_some() && reply.dialect.is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check_document(case: &Value, more: &Value) -> Result<()> {
        let mut document = json!({"about": "", "env": {}, "policy": {}, "cases": [case]});
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        check(&Suite::read(document)?)
    }

    #[test]
    fn a_case_that_leaves_something_open_is_none_of_the_corpus() {
        let request = json!({"method": "GET", "target": "/"});
        let forward = json!({"authority": "a", "target": "/", "headers": {}});
        let whole = [
            json!({"name": "", "request": request, "forward": forward}),
            json!({"name": "", "request": request, "answer": {"status": 200, "headers": {}, "body": ""}}),
            json!({"name": "", "request": request, "reply": {"status": 401, "reason": "r", "dialect": "d"}}),
            json!({
                "name": "", "request": request, "forward": forward,
                "without_upgrades": {"status": 501, "reason": "r", "dialect": "d"},
            }),
        ];
        for case in &whole {
            check_document(case, &json!({})).unwrap();
            for outcome in ["forward", "answer", "reply", "without_upgrades"] {
                let members = case.get(outcome).and_then(Value::as_object);
                for member in members.into_iter().flat_map(|it| it.keys()) {
                    let mut open = case.clone();
                    open[outcome].as_object_mut().unwrap().remove(member);
                    check_document(&open, &json!({})).expect_err(member);
                }
            }
        }
        for (member, value) in [
            ("at", json!("2027-01-01T00:00:00Z")),
            ("identity", json!({"issuer": "id"})),
            ("certificate", json!({"dns_name": "a"})),
            ("request", json!("GET /?key={{token:alice}} HTTP/1.1")),
        ] {
            let mut unreal = whole[0].clone();
            unreal[member] = value;
            check_document(&unreal, &json!({})).expect_err(member);
        }
        for more in [json!({"at": "2027-01-01T00:00:00Z"}), json!({"env": null}), json!({"about": null})] {
            check_document(&whole[0], &more).unwrap_err();
        }
    }
}
