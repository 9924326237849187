//! The calls to an agent: the policy's template with its values filled in.

use std::rc::Rc;

use percent_encoding::utf8_percent_encode;
use zeroize::Zeroizing;

use crate::host::Environment;
use crate::identity::jwt;
use crate::policy::{CallBody, CallJson, CallSecret, CallText, HttpSource, PolicyError};
use crate::provider::AuthStyle;
use crate::secret::ServiceSecret;
use crate::services::fetch::FetchRequest;
use crate::syntax::FORM;

/// The room that a JSON body gets, in bytes: more than any has but by a long JWT.
const MAX_BODY_BYTES: usize = 32 * 1024;

/// The calls to one agent, with the data plane's own secrets.
pub(super) struct Calls {
    pub(super) source: HttpSource,
    /// The secrets in the order of [`HttpSource::secrets`]; `None` for one that another agent gives.
    secrets: Vec<Option<Rc<ServiceSecret>>>,
}

impl Calls {
    /// Looks up the secrets. `path` is the source's place in the policy.
    ///
    /// # Errors
    /// A variable that is not set, or unusable.
    pub(super) fn new(
        source: &HttpSource,
        path: &str,
        environment: &dyn Environment,
    ) -> Result<Self, PolicyError> {
        let secret = |(field, secret): (&str, &CallSecret)| match secret {
            CallSecret::Variable(variable) => {
                variable.require(&format!("{path}.http.{field}"), environment).map(|it| Some(Rc::new(it)))
            }
            CallSecret::Credential(_) => Ok(None),
        };
        let secrets = source.secrets().map(secret).collect::<Result<_, _>>()?;
        Ok(Self { source: source.clone(), secrets })
    }

    /// Returns the call for everyone, or for the caller with this verified JWT. `fetched` are the secrets that other agents
    /// gave. Returns `None` where the call needs a claim that the JWT does not have.
    pub(super) fn request(
        &self,
        caller: Option<&[u8]>,
        fetched: &[Rc<ServiceSecret>],
    ) -> Option<FetchRequest> {
        let HttpSource { endpoint, cluster, headers, timeout, method, value, .. } = &self.source;
        let path = endpoint.path.clone();
        // Some services answer in XML to whoever would read another thing than JSON.
        let accepted = if value.is_some() { "application/json" } else { "application/json, text/plain" };
        let mut request = FetchRequest::get(cluster, endpoint.https, &endpoint.authority, path, *timeout)
            .with_method(method.name())
            .header("accept", accepted);
        for (name, value) in headers {
            request = request.header(name.clone(), value);
        }
        let mut values = Values { secrets: self.secrets.iter(), fetched: fetched.iter(), caller };
        if let Some((_, style)) = &self.source.credential {
            let secret = values.secret()?;
            request = match style {
                AuthStyle::Authorization(scheme) => {
                    request.credential("authorization", &secret.with_scheme(scheme))
                }
                AuthStyle::Header(name) => request.credential(name.clone(), secret),
            };
        }
        match &self.source.body {
            None => Some(request),
            Some(CallBody::Form(members)) => {
                let body = values.form(members)?;
                Some(request.with_body("application/x-www-form-urlencoded", body))
            }
            Some(CallBody::Json(json)) => {
                let mut body = Zeroizing::new(Vec::with_capacity(MAX_BODY_BYTES));
                values.write(json, &mut body)?;
                Some(request.with_body("application/json", body))
            }
        }
    }

    /// Returns the texts that must stand at places of the answer to a call for this caller; `None` where the JWT does not
    /// have one of them.
    pub(super) fn expected(&self, caller: Option<&[u8]>) -> Option<Vec<(String, String)>> {
        let mut values = Values { secrets: [].iter(), fetched: [].iter(), caller };
        let expected = self.source.expected.iter();
        expected.map(|(pointer, text)| Some((pointer.clone(), values.of(text)?.to_string()))).collect()
    }
}

/// The values of one call.
struct Values<'a> {
    /// The secrets that were not used yet: each stands in the call once.
    secrets: std::slice::Iter<'a, Option<Rc<ServiceSecret>>>,
    fetched: std::slice::Iter<'a, Rc<ServiceSecret>>,
    caller: Option<&'a [u8]>,
}

impl<'a> Values<'a> {
    fn secret(&mut self) -> Option<&'a ServiceSecret> {
        match self.secrets.next()? {
            Some(secret) => Some(secret),
            None => self.fetched.next().map(Rc::as_ref),
        }
    }

    fn of(&mut self, text: &CallText) -> Option<Zeroizing<String>> {
        match text {
            CallText::Literal(text) => Some(text.clone().into()),
            CallText::Secret(_) => self.secret().map(ServiceSecret::reveal),
            CallText::CallerJwt => Some(std::str::from_utf8(self.caller?).ok()?.to_owned().into()),
            CallText::CallerClaim(name) => jwt::text_of(self.caller?, name).map(Zeroizing::new),
        }
    }

    /// Returns a form (<https://url.spec.whatwg.org/#urlencoded-serializing>). Its buffer grows before a text is written, so
    /// that no copy of a secret is left behind.
    fn form(&mut self, members: &[(String, CallText)]) -> Option<Zeroizing<Vec<u8>>> {
        let mut texts = Vec::new();
        for (name, text) in members {
            texts.push((name, self.of(text)?));
        }
        let length = texts.iter().map(|(name, text)| (name.len() + text.len()) * 3 + 2).sum();
        let mut body = Zeroizing::new(Vec::with_capacity(length));
        for (index, (name, text)) in texts.iter().enumerate() {
            if index > 0 {
                body.push(b'&');
            }
            utf8_percent_encode(name, FORM).for_each(|part| body.extend_from_slice(part.as_bytes()));
            body.push(b'=');
            utf8_percent_encode(text, FORM).for_each(|part| body.extend_from_slice(part.as_bytes()));
        }
        Some(body)
    }

    /// Writes a JSON document.
    fn write(&mut self, json: &CallJson, body: &mut Vec<u8>) -> Option<()> {
        match json {
            CallJson::Text(text) => serde_json::to_writer(&mut *body, self.of(text)?.as_str()).ok()?,
            CallJson::Constant(value) => serde_json::to_writer(&mut *body, value).ok()?,
            CallJson::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    body.push(if index == 0 { b'[' } else { b',' });
                    self.write(item, body)?;
                }
                body.extend_from_slice(if items.is_empty() { b"[]" } else { b"]" });
            }
            CallJson::Object(members) => {
                for (index, (name, value)) in members.iter().enumerate() {
                    body.push(if index == 0 { b'{' } else { b',' });
                    serde_json::to_writer(&mut *body, name).ok()?;
                    body.push(b':');
                    self.write(value, body)?;
                }
                body.extend_from_slice(if members.is_empty() { b"{}" } else { b"}" });
            }
        }
        Some(())
    }
}
