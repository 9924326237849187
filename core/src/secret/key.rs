//! One value of an upstream credential, in every form in which a request may carry it.
//!
//! Each form is made once, for the first request that carries it, so that other requests copy no secret. Opening one
//! takes a [`Proof`].

use std::cell::OnceCell;
use std::rc::Rc;

use super::proof::Proof;
use super::sealed::Secret;

/// The schemes of `Authorization` in which providers take a key.
pub(crate) const BEARER: &str = "Bearer";
pub(crate) const TOKEN: &str = "Token";

/// The form in which a request carries a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The plain value, in a header of its own.
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

    /// Tells whether this is the key of the secret.
    pub(crate) fn is_of(&self, secret: &Secret) -> bool {
        self.plain.is(secret)
    }

    /// Returns the bytes, for a request that was admitted.
    pub(crate) fn reveal(&self, form: Form, proof: &impl Proof) -> &[u8] {
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

/// A form of a key that a grant opened. An open key is a proof itself, since only a proof makes one.
#[derive(Clone)]
pub struct OpenKey {
    key: Rc<Key>,
    form: Form,
}

impl Proof for OpenKey {}

impl OpenKey {
    pub(crate) fn new(key: &Rc<Key>, form: Form, _proof: &impl Proof) -> Self {
        Self { key: Rc::clone(key), form }
    }

    /// Returns the value of the header.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.key.reveal(self.form, self)
    }
}
