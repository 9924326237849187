//! Usage and the audit log for other programs: CSV, FOCUS for programs that compare bills, and the names of OpenTelemetry.

mod audit;
mod csv;
mod focus;
mod gen_ai;
mod summary;

pub(crate) use audit::{AuditFormat, audit};
pub(crate) use focus::focus;
pub(crate) use gen_ai::provider_name;
pub(crate) use summary::summary;
