//! The names in a body, as far as it has come: each is checked as it comes, and those that count later are kept.

use super::part::Part;
use crate::answer::CheckError;
use crate::base::Digest;
use crate::body::{BodyError, Named};
use crate::judge::admit::BodyRule;

/// The most models of a body whose usage is metered.
const MAX_MODELS: usize = 64;
/// The most objects that one body names: a long conversation names each of its items.
const MAX_OBJECTS: usize = 500;

/// The names that a body has told so far.
pub(super) struct Names {
    /// The models, where the usage of the request is metered.
    pub(super) models: Vec<String>,
    /// Set once something has come that says which model computes.
    pub(super) any: bool,
    part: Part,
    /// Set where the body asks to keep the conversation under the id of the answer.
    pub(super) keeps: bool,
    pub(super) objects: Vec<Digest>,
    /// The objects that a file in the body names, and the first error of noting them.
    in_file: Vec<Digest>,
    file_error: Option<CheckError<'static>>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self {
            models: Vec::new(),
            any: false,
            part: Part::default(),
            keeps: false,
            objects: Vec::new(),
            in_file: Vec::new(),
            file_error: None,
        }
    }

    /// Checks a name, and keeps it where it counts later.
    pub(super) fn take(&mut self, named: Named<'_>, rule: &BodyRule) -> Result<(), CheckError<'static>> {
        match named {
            Named::Object(id) => note(&mut self.objects, rule, id),
            Named::InFile(id) => {
                self.file_error = self.file_error.or(note(&mut self.in_file, rule, id).err());
                Ok(())
            }
            Named::UnreadFile => Err(CheckError::ObjectsUnkept),
            Named::Keeps => {
                self.keeps = true;
                Ok(())
            }
            Named::Model(name) => self.take_model(name, rule),
            Named::Provider(name) => {
                self.any = true;
                self.part.provider = Some(name.to_owned());
                rule.models.as_ref().map_or(Ok(()), |models| models.check_provider(name))
            }
            Named::Endpoint(path) => {
                self.part.endpoint = Some(path.to_owned());
                Ok(())
            }
            Named::End => self.end_part(rule),
        }
    }

    fn take_model(&mut self, name: &str, rule: &BodyRule) -> Result<(), CheckError<'static>> {
        if let Some(models) = &rule.models {
            models.check_model(name)?;
            if models.is_universal() {
                // It is one of a request among others, or computes nothing.
                if self.part.models.len() >= MAX_MODELS {
                    return Err(CheckError::BodyInvalid(BodyError::ManyModels));
                }
                self.part.models.push(name.to_owned());
                return Ok(());
            }
        }
        self.any = true;
        self.note_model(name, rule)
    }

    fn note_model(&mut self, name: &str, rule: &BodyRule) -> Result<(), CheckError<'static>> {
        if rule.metering.is_none() || self.models.iter().any(|known| known == name) {
            return Ok(());
        }
        if self.models.len() >= MAX_MODELS {
            return Err(CheckError::BodyInvalid(BodyError::ManyModels));
        }
        self.models.push(name.to_owned());
        Ok(())
    }

    /// Ends a message, or a request among others in the body.
    pub(super) fn end_part(&mut self, rule: &BodyRule) -> Result<(), CheckError<'static>> {
        let Some(models) = rule.models.as_ref().filter(|models| models.is_universal()) else { return Ok(()) };
        let named = self.part.end(models)?;
        named.iter().try_for_each(|model| self.note_model(model, rule))
    }

    /// Counts the objects of a file, which is that of a batch.
    pub(super) fn take_file(&mut self) -> Result<(), CheckError<'static>> {
        self.file_error.take().map_or(Ok(()), Err)?;
        let in_file = std::mem::take(&mut self.in_file);
        in_file.into_iter().try_for_each(|digest| hold(&mut self.objects, digest))
    }
}

/// Notes an object that a body names.
fn note(objects: &mut Vec<Digest>, rule: &BodyRule, id: &[u8]) -> Result<(), CheckError<'static>> {
    rule.objects.as_ref().map_or(Ok(()), |rule| hold(objects, rule.digest(id)))
}

fn hold(objects: &mut Vec<Digest>, digest: Digest) -> Result<(), CheckError<'static>> {
    if !objects.contains(&digest) {
        if objects.len() >= MAX_OBJECTS {
            return Err(CheckError::BodyInvalid(BodyError::ManyObjects));
        }
        objects.push(digest);
    }
    Ok(())
}
