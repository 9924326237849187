//! Text from outside: YAML and JSON documents, and the mask over a request's credentials.

pub(crate) mod fit;
pub(crate) mod mask;
pub(crate) mod object;
pub(crate) mod yaml;
