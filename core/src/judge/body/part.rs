//! The requests that the body of a universal endpoint holds: each names a provider, and an endpoint of it.

use crate::answer::CheckError;
use crate::body::BodyError;
use crate::judge::admit::ModelRule;

/// The request under way, as far as it is judged. Each has one provider and one endpoint, in any order.
pub(super) enum Part {
    /// Both have come, or none.
    Whole,
    Provider(String),
    Endpoint(String),
}

impl Part {
    /// Takes the next half, and checks the request that it completes.
    pub(super) fn take(&mut self, models: &ModelRule, half: Self) -> Result<(), CheckError<'static>> {
        if !models.is_universal() {
            return Ok(());
        }
        match (std::mem::replace(self, Self::Whole), half) {
            (Self::Whole, half) => {
                *self = half;
                Ok(())
            }
            (Self::Provider(name), Self::Endpoint(path)) | (Self::Endpoint(path), Self::Provider(name)) => {
                models.check_part(&name, &path)
            }
            _ => Err(CheckError::BodyInvalid(BodyError::NoEndpoint)),
        }
    }

    /// Checks that no half is left over.
    pub(super) fn check_whole(&self) -> Result<(), CheckError<'static>> {
        let is_whole = matches!(self, Self::Whole);
        is_whole.then_some(()).ok_or(CheckError::BodyInvalid(BodyError::NoEndpoint))
    }
}
