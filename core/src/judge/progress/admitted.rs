//! Callers that were admitted, without what they presented.

use std::sync::Arc;

use crate::base::Digest;
use crate::identity::jwt::{Conditions, Email, IssuerRule, VerifiedIdentity};
use crate::identity::{Class, ModelGroups, Models, Principal};

/// A caller that was admitted, and the endpoint that it was admitted to.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    pub(crate) means: Means,
    pub(crate) principal: Principal,
    pub(crate) provider: String,
    /// The class that the scope has to open: that of the endpoint, or `mint` for the session of a brokered token.
    pub(crate) class: Class,
    /// The models that it could use, where a session goes on to name some.
    pub(crate) models: Option<UsableModels>,
    /// The id of the request in logs.
    pub(crate) request_id: Option<String>,
}

/// The models that a caller may use, with the groups that the policy declares.
#[derive(Clone, Debug)]
pub(crate) struct UsableModels {
    pub(crate) models: Models,
    pub(crate) groups: Arc<ModelGroups>,
}

impl UsableModels {
    /// Returns whether they are the same as these.
    pub(crate) fn are(&self, models: &Models, groups: &ModelGroups) -> bool {
        self.models.is_same(models) && (models.is_all() || *self.groups == *groups)
    }
}

/// The means by which a caller was verified.
#[derive(Clone, Debug)]
pub(crate) enum Means {
    /// A proxy token, by its digest.
    Token(Digest),
    /// An identity JWT, or a client certificate.
    Identity {
        /// The name of the issuer or the authority that vouched for it.
        issuer: String,
        /// The person, where the JWT names one.
        person: Option<Email>,
        /// The conditions of the rule that it was admitted by.
        rule: Conditions,
    },
}

impl Means {
    pub(crate) fn identity(rule: &IssuerRule, identity: &VerifiedIdentity) -> Self {
        Self::Identity {
            issuer: identity.issuer().to_owned(),
            person: identity.claimed_email().cloned(),
            rule: Arc::clone(&rule.when),
        }
    }
}
