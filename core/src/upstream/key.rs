//! One value of an upstream credential, in every form in which a request may carry it.
//!
//! A form is made when a request carries it first, and once, so that other requests copy no secret. Reading one asks for a
//! [`Grant`].

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

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
    bearer: OnceCell<Secret>,
    token: OnceCell<Secret>,
    query: OnceCell<Secret>,
}

impl Key {
    pub(crate) fn new(plain: Secret) -> Self {
        Self { plain, bearer: OnceCell::new(), token: OnceCell::new(), query: OnceCell::new() }
    }

    /// The bytes, for a caller that was verified and is in scope.
    pub(crate) fn reveal(&self, form: Form, proof: &Grant<'_>) -> &[u8] {
        self.form(form).reveal(proof)
    }

    fn form(&self, form: Form) -> &Secret {
        match form {
            Form::Plain => &self.plain,
            Form::Bearer => self.bearer.get_or_init(|| self.plain.with_scheme(BEARER)),
            Form::Token => self.token.get_or_init(|| self.plain.with_scheme(TOKEN)),
            Form::Query => self.query.get_or_init(|| self.plain.percent_encoded()),
        }
    }
}

/// A form of a key that a grant opened.
#[derive(Clone)]
pub struct OpenKey {
    key: Rc<Key>,
    form: Form,
}

impl OpenKey {
    pub(crate) fn new(key: &Rc<Key>, form: Form, _proof: &Grant<'_>) -> Self {
        Self { key: Rc::clone(key), form }
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
