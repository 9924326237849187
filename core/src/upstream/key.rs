//! One value of an upstream credential, in every form in which a request may carry it.
//!
//! The forms are made once, when the value is learnt, so that a request copies no secret. Reading one asks for a
//! [`Grant`].

use std::fmt;
use std::sync::Arc;

use crate::grant::Grant;
use crate::provider::{BEARER, TOKEN};
use crate::secret::Secret;

/// How a request carries a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is, in a header of its own.
    Plain,
    /// `Bearer <key>`
    Bearer,
    /// `Token <key>`
    Token,
    /// Percent-encoded, in the query.
    Query,
}

/// A value of an upstream credential.
#[derive(Debug)]
pub(crate) struct Key {
    plain: Secret,
    bearer: Secret,
    token: Secret,
    query: Secret,
}

impl Key {
    pub(crate) fn new(secret: Secret) -> Self {
        Self {
            bearer: secret.with_scheme(BEARER),
            token: secret.with_scheme(TOKEN),
            query: secret.percent_encoded(),
            plain: secret,
        }
    }

    /// The bytes, for a caller that was verified and is in scope.
    pub(crate) fn reveal(&self, form: Form, proof: &Grant<'_>) -> &[u8] {
        self.form(form).reveal(proof)
    }

    fn form(&self, form: Form) -> &Secret {
        match form {
            Form::Plain => &self.plain,
            Form::Bearer => &self.bearer,
            Form::Token => &self.token,
            Form::Query => &self.query,
        }
    }
}

/// A form of a key that a grant opened.
#[derive(Clone)]
pub struct OpenKey {
    key: Arc<Key>,
    form: Form,
}

impl OpenKey {
    pub(crate) fn new(key: &Arc<Key>, form: Form, _proof: &Grant<'_>) -> Self {
        Self { key: Arc::clone(key), form }
    }

    /// The value of the header.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.key.form(self.form).opened(self)
    }
}

impl fmt::Debug for OpenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenKey(…)")
    }
}
