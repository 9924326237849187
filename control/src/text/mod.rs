//! Texts that come from outside: YAML and JSON documents, and the mask over the credentials of a request.

pub(crate) mod mask;
pub(crate) mod object;
pub(crate) mod yaml;
