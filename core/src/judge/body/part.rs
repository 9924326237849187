//! The requests that the body of a universal endpoint holds: each names a provider, an endpoint of it, and maybe a model.

use crate::answer::CheckError;
use crate::body::BodyError;
use crate::judge::admit::ModelRule;

/// The request under way, as far as it has come.
#[derive(Default)]
pub(super) struct Part {
    pub(super) provider: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) models: Vec<String>,
}

impl Part {
    /// Ends the request. Returns its models, with the provider in front; none where there is no request.
    ///
    /// # Errors
    /// A half that is missing, or an endpoint that is not open.
    pub(super) fn end(&mut self, models: &ModelRule) -> Result<Vec<String>, CheckError<'static>> {
        match std::mem::take(self) {
            Self { provider: None, endpoint: None, .. } => Ok(Vec::new()),
            Self { provider: Some(provider), endpoint: Some(endpoint), models: mut named } => {
                if let Some(in_path) = models.check_part(&provider, &endpoint)? {
                    named = vec![in_path];
                } else if named.is_empty() {
                    // The provider chooses one, which has no price.
                    named.push(String::new());
                }
                Ok(named.into_iter().map(|model| format!("{provider}/{model}")).collect())
            }
            _ => Err(CheckError::BodyInvalid(BodyError::NoEndpoint)),
        }
    }
}
