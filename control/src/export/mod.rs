//! Usage for other programs: CSV, FOCUS for programs that compare bills, and the names of OpenTelemetry.

mod csv;
mod focus;
mod gen_ai;
mod summary;

pub(crate) use focus::focus;
pub(crate) use gen_ai::provider_name;
pub(crate) use summary::summary;
