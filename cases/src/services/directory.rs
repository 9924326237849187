//! All services of a file of cases. Only the target of a request tells which service it is for, so that one server can
//! be all of them.

use keyswap_core::base::Moment;

use super::answer::ServiceAnswer;
use super::registry::Registry;
use crate::format::{Served, Suite};

/// The services of a file of cases. Each value counts limits of its own.
pub struct Services {
    fetched: Vec<(String, ServiceAnswer)>,
    registry: Registry,
}

impl Services {
    /// Returns the services of a file, at which no budget was spent yet.
    pub fn of(suite: &Suite) -> Self {
        let answer = |it: &Served| {
            let answer = ServiceAnswer { status: it.status.unwrap_or(200), body: it.body.clone() };
            (it.target.clone(), answer)
        };
        let fetched = suite.fetched.iter().flatten().map(answer).collect();
        Self { fetched, registry: Registry::of(&suite.registry, &suite.objects) }
    }

    /// Returns the answer to a request at this time; `None` where the file does not say.
    pub fn answer(&self, target: &str, body: &[u8], now: Moment) -> Option<ServiceAnswer> {
        self.fetched(target).or_else(|| self.registry(target, body, now))
    }

    /// Returns the answer that `fetched` has for a target.
    pub(crate) fn fetched(&self, target: &str) -> Option<ServiceAnswer> {
        self.fetched.iter().find(|(of, _)| of == target).map(|(_, answer)| answer.clone())
    }

    /// Returns the registry's answer; `None` where the target is none of the registry's.
    pub(crate) fn registry(&self, target: &str, body: &[u8], now: Moment) -> Option<ServiceAnswer> {
        self.registry.answer(target, body, now)
    }
}

#[cfg(test)]
mod tests {
    use keyswap_core::base::Digest;
    use serde_json::json;

    use super::*;

    #[test]
    fn services_are_told_apart_by_the_target() {
        let suite = Suite::read(json!({
            "registry": [
                {"token": "ptk_alice", "record": {"label": "alice"}},
                {"token": "ptk_odd", "status": 500, "body": "oops"},
                {"email": "P+q.~@example.com", "record": {"label": "P"}},
            ],
            "fetched": [{"target": "/v1/limits?own", "body": "mine"}],
            "cases": [],
        }))
        .unwrap();
        let services = Services::of(&suite);
        let [alice, odd, other] = ["ptk_alice", "ptk_odd", "x"].map(|it| Digest::of(it.as_bytes()).to_hex());
        let one = json!({"sha256": alice, "requests": 1, "per": "60s"}).to_string();
        let record = json!({"label": "alice", "sha256": alice}).to_string();
        let person = json!({"email": "p+q.~@example.com", "label": "P"}).to_string();
        let now = Moment(1_800_000_000_000_000_000);
        for (target, body, expect) in [
            (format!("/base/v1/tokens/{alice}"), "", Some((200, record.as_str()))),
            (format!("/v1/tokens/{odd}"), "", Some((500, "oops"))),
            (format!("/v1/tokens/{other}"), "", Some((404, r#"{"code":"unknown_token"}"#))),
            ("/v1/principals/p%2Bq.%7E%40example.com".to_owned(), "", Some((200, person.as_str()))),
            ("/v1/principals/r".to_owned(), "", Some((404, r#"{"code":"unknown_user"}"#))),
            ("/v1/limits?own".to_owned(), &one, Some((200, "mine"))),
            ("/v1/limits".to_owned(), "{}", None),
            (
                "/v1/changes?since=1".to_owned(),
                "",
                Some((200, r#"{"changes":[],"history":"00000000000000aa","reset":false,"sequence":0}"#)),
            ),
            ("/v1/other".to_owned(), "", None),
            ("/credential".to_owned(), "", None),
        ] {
            let answer = services.answer(&target, body.as_bytes(), now);
            let answer = answer.as_ref().map(|it| (it.status, it.body.as_str()));
            assert_eq!(answer, expect, "{target}");
        }
        let allowed = || {
            let answer = services.answer("/v1/limits", one.as_bytes(), now).unwrap();
            serde_json::from_str::<serde_json::Value>(&answer.body).unwrap()["allowed"].clone()
        };
        assert_eq!([allowed(), allowed()], [json!(true), json!(false)]);
    }
}
