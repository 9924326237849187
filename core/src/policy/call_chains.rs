//! Credentials that stand in the calls for others, such as a federated token in the call for the token of a service
//! account.
//!
//! Such a credential comes from one service and goes to the next one only: no provider may use it. A call in which one
//! caller's credential stands is made for that caller.

use super::agent_call::CallText;
use super::credentials::{CredentialPolicy, Source};
use super::document::Policy;
use super::http_source::{HttpSource, Subject};
use super::reader::Errors;

/// The most calls before the one for a credential, one after the other. A chain that leads back to itself has more.
const MAX_CALLS_BEFORE: usize = 3;

impl CredentialPolicy {
    /// Returns the source of a credential that may stand in a call; `None` where it has not one `http` source.
    pub(crate) fn in_call(&self, name: &str) -> Option<&HttpSource> {
        match self.chain(name)? {
            [Source::Http(source)] => Some(source),
            _ => None,
        }
    }

    /// Tells whether the credential stands in the call for another one.
    pub(crate) fn is_in_calls(&self, name: &str) -> bool {
        let mut sources = self.chains().flat_map(|(_, chain)| chain);
        sources.any(|source| match source {
            Source::Http(source) => source.credentials_in_call().any(|other| other == name),
            _ => false,
        })
    }

    /// Returns the fault of a call for the credentials that stand in it, and for the callers that it is made for.
    fn fault_of_call(&self, source: &HttpSource) -> Option<String> {
        if let Some(name) = source.credentials_in_call().find(|name| self.in_call(name).is_none()) {
            return Some(format!(
                "`{name}` cannot stand in a call: expected a credential whose only source is `http`"
            ));
        }
        let mut calls = vec![source];
        for _ in 0..=MAX_CALLS_BEFORE {
            calls = self.calls_before(&calls);
        }
        if !calls.is_empty() {
            return Some("more than 3 calls come before this one, or it comes before itself".to_owned());
        }
        self.fault_of_subject(source).map(str::to_owned)
    }

    /// Returns the sources of the credentials that stand in any of the calls, each once.
    fn calls_before(&self, calls: &[&HttpSource]) -> Vec<&HttpSource> {
        let mut before: Vec<&HttpSource> = Vec::new();
        for name in calls.iter().flat_map(|source| source.credentials_in_call()) {
            let is_new = |source: &&HttpSource| !before.iter().any(|other| std::ptr::eq(*other, *source));
            if let Some(source) = self.in_call(name).filter(is_new) {
                before.push(source);
            }
        }
        before
    }

    /// Returns the fault of a value that would be given to callers whom it is not for, or fetched for each without need.
    fn fault_of_subject(&self, source: &HttpSource) -> Option<&'static str> {
        let texts = source.body.iter().flat_map(|body| body.texts());
        let is_callers = |name: &str| self.in_call(name).is_some_and(|it| it.subject == Subject::Caller);
        let is_in_call =
            texts.into_iter().any(CallText::is_of_caller) || source.credentials_in_call().any(is_callers);
        let is_in_answer = source.expected.iter().any(|(_, text)| text.is_of_caller());
        match source.subject {
            Subject::DataPlane if is_in_call || is_in_answer => {
                Some("the call is made for one caller: say so with `subject: caller`")
            }
            Subject::Caller if !is_in_call => {
                Some("nothing in the call names the caller: put `{caller: jwt}` into `form` or `json`")
            }
            _ => None,
        }
    }
}

impl Policy {
    /// Checks the calls for credentials.
    pub(super) fn check_calls(&self, errors: &Errors) {
        for (name, chain) in self.credentials.chains() {
            for (index, source) in chain.iter().enumerate() {
                let Source::Http(source) = source else { continue };
                if let Some(message) = self.credentials.fault_of_call(source) {
                    errors.add(format!("credentials.{name}[{index}].http"), message);
                }
            }
            if self.credentials.is_in_calls(name) && self.goes_upstream(name) {
                errors.add(
                    format!("credentials.{name}"),
                    "this credential stands in a call to a service, so no provider may use it: name another",
                );
            }
        }
    }

    fn goes_upstream(&self, name: &str) -> bool {
        let is_of_gateway = self.gateway.as_ref().is_some_and(|gateway| gateway.credential == name);
        let mut providers = self.providers.iter().filter(|provider| self.needs_key(provider));
        is_of_gateway || providers.any(|provider| provider.keys.names().any(|key| key == name))
    }
}
