//! Lists of names, stored as JSON in a column.

use crate::registry::record::error::RegistryError;

pub(super) fn to_json(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

pub(super) fn from_json(text: &str) -> Result<Vec<String>, RegistryError> {
    serde_json::from_str(text).map_err(|_| RegistryError::Corrupt("list of names"))
}
