//! The calls to a registry: what is asked of it, and how.
//!
//! Its credential goes with every one of them, and nowhere else.

use std::borrow::Cow;
use std::time::Duration;

use zeroize::Zeroizing;

use super::memory::Memory;
use super::{Registry, Wanted, introspection};
use crate::fetch::{Fetch, FetchRequest, Subject};
use crate::policy::{Protocol, RegistryPolicy};
use crate::time::Moment;

/// The feed is asked to wait so long for a change; a connection that died is noticed after that.
const FEED_WAIT: Duration = Duration::from_secs(4);

impl Registry {
    pub(super) fn fetch(&self, state: &Memory, wanted: Wanted<'_>, now: Moment) -> Fetch {
        let timeout = self.policy.timeout;
        let request = if let (Protocol::Introspection { .. }, Wanted::Token(token, _)) =
            (&self.policy.protocol, wanted)
        {
            let fields = vec![
                (":method", "POST".to_owned()),
                ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ];
            self.request("", fields, Some(introspection::question(token)), timeout)
        } else {
            self.request(&wanted.path(), vec![(":method", "GET".to_owned())], None, timeout)
        };
        Fetch::new(self.key(wanted.subject()), request, state.asked(now))
    }

    pub(super) fn changes(&self, state: &Memory, now: Moment) -> Fetch {
        let path = match state.feed.position() {
            Some(position) if self.is_followed => {
                format!("/v1/changes?since={position}&wait={}", FEED_WAIT.as_secs())
            }
            Some(position) => format!("/v1/changes?since={position}"),
            None => "/v1/changes".to_owned(),
        };
        let wait = if self.is_followed { FEED_WAIT } else { Duration::ZERO };
        let timeout = wait + self.policy.timeout;
        let request = self.request(&path, vec![(":method", "GET".to_owned())], None, timeout);
        Fetch::new(self.key(Subject::Changes), request, state.asked(now))
    }

    pub(super) fn request(
        &self,
        path: &str,
        fields: Vec<(&'static str, String)>,
        body: Option<Zeroizing<Vec<u8>>>,
        timeout: Duration,
    ) -> FetchRequest {
        let mut headers: Vec<(Cow<'static, str>, Zeroizing<String>)> = vec![
            (":path".into(), format!("{}{path}", self.policy.url.path).into()),
            (":authority".into(), self.policy.url.authority.clone().into()),
            ("accept".into(), "application/json".to_owned().into()),
            ("authorization".into(), self.authorization.reveal()),
        ];
        // Pseudo-headers come first.
        for (name, value) in fields {
            let at = if name.starts_with(':') { 0 } else { headers.len() };
            headers.insert(at, (name.into(), value.into()));
        }
        let RegistryPolicy { cluster, url, .. } = &self.policy;
        FetchRequest { cluster: cluster.clone(), https: url.https, headers, body, timeout }
    }
}
