//! The fields of a form: pairs of names and values. A name may occur more than once.

use axum::extract::{FromRef, FromRequest, Request};

use maud::{Markup, html};

use super::layout::PageError;
use super::rate_limit;
use crate::registry::{RateLimit, RegistryError, Status};
use crate::server::extract::{Form, Patience};

/// The fields of a form.
#[derive(Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Fields
where
    Patience: FromRef<S>,
{
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        Ok(Form::from_request(request, state).await.map(|Form(fields)| Self(fields))?)
    }
}

impl Fields {
    /// Returns the value of a field, empty if the field is absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Returns the value of a field, `None` if the field is absent or blank.
    pub(super) fn some(&self, name: &str) -> Option<String> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Returns all values of a field, such as of ticked boxes.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a field, split at commas and spaces.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let parts = self.text(name).split(|char: char| char == ',' || char.is_whitespace());
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// Returns the rate limit, `None` if all its fields are blank. Other invalid values are an error.
    pub(super) fn rate_limit(&self) -> Result<Option<RateLimit>, RegistryError> {
        let [requests, tokens, per] = rate_limit::NAMES.map(|name| self.text(name).trim());
        if requests.is_empty() && tokens.is_empty() && per.is_empty() {
            return Ok(None);
        }
        // 0 is not a valid limit, so a text that is not a number is refused.
        let number = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap_or(0));
        RateLimit::parse(number(requests), number(tokens), per).map(Some)
    }

    /// Returns the version that the form was filled from, `None` without one. A text that is no number is no version of
    /// anything.
    pub(super) fn version(&self) -> Option<i64> {
        self.some("version").map(|text| text.parse().unwrap_or(-1))
    }

    /// Returns the status that the pressed button sets.
    pub(super) fn status(&self) -> Status {
        if self.text("status") == "active" { Status::Active } else { Status::Disabled }
    }
}

/// Returns the input that names the version from which a form was filled.
pub(super) fn version_input(version: i64) -> Markup {
    html! { input type="hidden" name="version" value=(version); }
}
