//! The rule on the body of one request: whether it is read, and what it must say.

use super::models::ModelRule;
use super::target::RequestTraits;
use crate::answer::CheckError;
use crate::identity::Class;
use crate::provider::model::TargetModels;
use crate::request::RequestHead;

/// The rule on the body of a request, whose target is judged already.
#[derive(Clone)]
pub(crate) struct BodyRule {
    pub(crate) models: ModelRule,
    /// Set where the body must name a model.
    pub(crate) needs_model: bool,
}

/// Media types of bodies that no endpoint reads as anything else, and that name no model.
const BINARY: [&[u8]; 4] = [b"audio/", b"video/", b"image/", b"application/octet-stream"];

impl BodyRule {
    /// Judges the models in the target, and returns the rule on the body; `None` where the body is not read.
    ///
    /// # Errors
    /// A model that is not allowed, and a request without a model that has no body to name one in.
    pub(super) fn of(
        rule: Option<ModelRule>,
        target: &TargetModels,
        class: Class,
        traits: &RequestTraits<'_>,
    ) -> Result<Option<Self>, CheckError<'static>> {
        let Some(models) = rule else { return Ok(None) };
        models.check_endpoint()?;
        target.models.iter().try_for_each(|model| models.check_model(model))?;
        let computes = match class {
            Class::Inference | Class::Batches | Class::FineTuning | Class::Mint => true,
            Class::Stateful => target.is_stored,
            Class::Models | Class::Files | Class::Admin => false,
        };
        let needs_model = computes && !target.is_named && (traits.is_upgrade || traits.method == b"POST");
        let has_body =
            matches!(traits.method, b"POST" | b"PUT" | b"PATCH" | b"DELETE") && class != Class::Files;
        match () {
            // Frames are not read: a model that they name is the one of the target, or none.
            () if traits.is_upgrade && needs_model => Err(CheckError::ModelMissing),
            () if traits.is_upgrade || !has_body => Ok(None),
            () => Ok(Some(Self { models, needs_model })),
        }
    }

    /// Checks that the body can be read. Returns `false` where there is nothing in it to be read.
    ///
    /// # Errors
    /// A body in a form in which no model can be found, although upstream may find one.
    pub(crate) fn reads(&self, head: &RequestHead<'_>) -> Result<bool, CheckError<'static>> {
        let is_identity = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"identity");
        if !head.values("content-encoding").all(is_identity) {
            return Err(CheckError::BodyUnreadable);
        }
        let mut types = head.values("content-type");
        let begins = |value: &[u8], with: &[u8]| {
            value.trim_ascii_start().get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
        };
        match (types.next(), types.next()) {
            (Some(_), Some(_)) => Err(CheckError::BodyUnreadable),
            (Some(value), None) if begins(value, b"multipart/") => Err(CheckError::BodyUnreadable),
            (Some(value), None) if !self.needs_model && BINARY.iter().any(|it| begins(value, it)) => {
                Ok(false)
            }
            _ => Ok(true),
        }
    }
}
