//! The rule on the body of one request: whether it is read, what it must say, and whether its usage is metered.

use std::rc::Rc;

use super::models::ModelRule;
use super::objects::ObjectRule;
use super::target::RequestTraits;
use crate::answer::CheckError;
use crate::base::bytes::has_end;
use crate::body::{BodyError, RequestBody, RequestForm, media_type};
use crate::identity::Class;
use crate::provider::limits::OutputLimits;
use crate::provider::model::TargetModels;
use crate::request::RequestHead;
use crate::upstream::Upstream;

/// The rule on the body of a request, whose target is judged already.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub(crate) struct BodyRule {
    /// The rule on the models that the request names.
    pub(crate) models: Option<ModelRule>,
    /// Set where the body must name a model.
    pub(crate) needs_model: bool,
    /// The metering of the request, if its usage is metered.
    pub(crate) metering: Option<Metered>,
    /// The models in the target.
    pub(crate) target_models: Vec<String>,
    /// Set where one of those computes, whatever the body says.
    pub(crate) is_settled: bool,
    /// Set where the answer is a list of models.
    pub(crate) is_list: bool,
    /// The rule on objects, where they are judged.
    pub(crate) objects: Option<Rc<ObjectRule>>,
    limits: OutputLimits,
    is_upgrade: bool,
    has_body: bool,
    /// Set where the endpoint takes a file as it is.
    takes_bytes: bool,
}

/// The metering of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Metered {
    /// Set where a stream is asked for its usage.
    pub(crate) asks_usage: bool,
    /// Set where a budget depends on what the body says, so that a body that cannot be read is refused.
    pub(crate) is_strict: bool,
}

/// A body that has not come yet.
pub(crate) struct UnreadBody {
    pub(crate) scanner: RequestBody,
    /// Set where the head says that it is no text, of a request that need not name a model.
    pub(crate) may_be_binary: bool,
}

/// The form of the bodies of a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyForm {
    /// One body each.
    Body,
    /// The messages of a WebSocket.
    Messages,
}

/// Types of media that are no text.
const BINARY: [&str; 3] = ["audio", "video", "image"];

impl BodyRule {
    /// Judges the models in the target, and returns the rule on the body; `None` where there is none.
    ///
    /// # Errors
    /// A model that is not allowed.
    pub(super) fn of(
        models: Option<ModelRule>,
        objects: Option<ObjectRule>,
        target: &TargetModels,
        class: Class,
        traits: &RequestTraits<'_>,
        upstream: &Upstream,
    ) -> Result<Option<Self>, CheckError<'static>> {
        if let Some(models) = &models {
            models.check_endpoint()?;
            target.models.iter().try_for_each(|model| match class {
                Class::Models => models.check_shown(model),
                _ => models.check_model(model),
            })?;
        }
        let computes = match class {
            Class::Inference | Class::Batches | Class::FineTuning | Class::Mint => true,
            Class::Stateful => target.is_stored,
            Class::Models | Class::Files | Class::Admin => false,
        };
        let is_asked = traits.is_upgrade || traits.method == b"POST";
        let is_metered = class == Class::Inference && is_asked && !target.counts_tokens;
        let metering = traits.metering.filter(|_| is_metered);
        let metering = metering.map(|(policy, is_strict)| Metered {
            asks_usage: policy.asks_usage && target.is_chat && upstream.tells_usage_if_asked,
            is_strict,
        });
        if models.is_none() && metering.is_none() && objects.is_none() {
            return Ok(None);
        }
        let needs_model = models.is_some() && computes && !target.is_named && is_asked;
        // There the query names the model, whatever the body says.
        if needs_model && target.takes_bytes {
            return Err(CheckError::ModelMissing);
        }
        Ok(Some(Self {
            needs_model,
            metering,
            target_models: target.models.clone(),
            is_settled: target.is_settled,
            is_list: class == Class::Models
                && models.as_ref().is_some_and(ModelRule::restricts)
                && !target.is_in_path
                && traits.method == b"GET",
            takes_bytes: target.takes_bytes,
            limits: target.limits,
            is_upgrade: traits.is_upgrade,
            has_body: traits.is_upgrade
                || (matches!(traits.method, b"POST" | b"PUT" | b"PATCH" | b"DELETE")
                    && (class != Class::Files || objects.is_some())),
            objects: objects.map(Rc::new),
            // A file is no request: what it says of models counts once a batch is made of it.
            models: models.filter(|_| class != Class::Files),
        }))
    }

    /// Returns the form of the bodies.
    pub(crate) fn form(&self) -> BodyForm {
        if self.is_upgrade { BodyForm::Messages } else { BodyForm::Body }
    }

    /// Returns whether a stream of the answer is asked for its usage, so that bytes may be added to the request.
    pub(crate) fn asks_usage(&self) -> bool {
        self.metering.is_some_and(|metering| metering.asks_usage)
    }

    /// Returns whether the answer is read, so that it must come as it is.
    pub(crate) fn reads_answer(&self) -> bool {
        let objects = self.objects.as_ref();
        self.metering.is_some()
            || self.is_list
            || objects.is_some_and(|objects| objects.reads_answer || objects.lists.is_some())
    }

    /// Returns whether a body that cannot be read is refused.
    pub(crate) fn is_strict(&self, head: &RequestHead<'_>) -> bool {
        self.models.is_some()
            || self.metering.is_some_and(|metering| metering.is_strict)
            || self.objects.as_ref().is_some_and(|objects| !(objects.takes_file && has_file(head)))
    }

    /// Returns the scanner of the body; `None` where there is nothing in it to be read.
    ///
    /// # Errors
    /// A body in a form in which no model can be found, although upstream may find one.
    pub(crate) fn scanner(&self, head: &RequestHead<'_>) -> Result<Option<UnreadBody>, CheckError<'static>> {
        match self.read(head) {
            Err(_) if !self.is_strict(head) => Ok(None),
            read => read,
        }
    }

    fn read(&self, head: &RequestHead<'_>) -> Result<Option<UnreadBody>, CheckError<'static>> {
        let objects = self.objects.as_ref().map(|objects| objects.sought());
        let made = |form| match RequestBody::telling(form, self.asks_usage(), objects, self.limits) {
            // Where a budget must count, a caller cannot choose that it does not.
            Ok(body) if self.metering.is_some_and(|metering| metering.is_strict) => {
                Ok(Some(UnreadBody { scanner: body.overruling(), may_be_binary: false }))
            }
            Ok(scanner) => Ok(Some(UnreadBody { scanner, may_be_binary: false })),
            Err(error @ BodyError::Form(_)) => Err(CheckError::BodyInvalid(error)),
            Err(_) => Err(CheckError::BodyUnreadable),
        };
        if self.is_upgrade {
            return made(RequestForm::Messages);
        }
        if !self.has_body {
            return Ok(None);
        }
        let is_identity = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"identity");
        if !head.values("content-encoding").all(is_identity) {
            return Err(CheckError::BodyUnreadable);
        }
        let mut types = head.values("content-type");
        let (value, another) = (types.next().unwrap_or_default(), types.next());
        let value = str::from_utf8(value).ok().filter(|_| another.is_none());
        let value = value.ok_or(CheckError::BodyUnreadable)?.trim();
        let begins = |with: &str| value.get(..with.len()).is_some_and(|it| it.eq_ignore_ascii_case(with));
        if begins("multipart/") {
            return made(RequestForm::Parts(value));
        }
        let may_be_binary = !self.needs_model && is_binary(media_type(value));
        if self.takes_bytes && may_be_binary {
            return Ok(None);
        }
        let unread = made(RequestForm::Json)?;
        Ok(unread.map(|unread| UnreadBody { may_be_binary, ..unread }))
    }
}

/// Returns whether the body is said to be neither JSON nor a form: a file, in which nothing is named.
fn has_file(head: &RequestHead<'_>) -> bool {
    // Google's SDK for Node says that each part of a file is JSON.
    let command = |value: &[u8]| value.trim_ascii().to_ascii_lowercase().starts_with(b"upload");
    if head.values("x-goog-upload-command").any(command) {
        return true;
    }
    let value = head.values("content-type").next().and_then(|value| str::from_utf8(value).ok());
    let media_type = media_type(value.unwrap_or_default());
    let is_form = media_type.is_empty() || media_type.eq_ignore_ascii_case("multipart/form-data");
    !is_form && !is_json(media_type)
}

/// Returns whether a type is that of sound, pictures or unknown bytes. A server may read such a body as JSON all the same.
fn is_binary(media_type: &str) -> bool {
    let (kind, _) = media_type.split_once('/').unwrap_or_default();
    let is_kind = BINARY.iter().any(|binary| kind.eq_ignore_ascii_case(binary));
    (is_kind || media_type.eq_ignore_ascii_case("application/octet-stream")) && !is_json(media_type)
}

fn is_json(media_type: &str) -> bool {
    has_end(media_type.as_bytes(), b"json")
}
