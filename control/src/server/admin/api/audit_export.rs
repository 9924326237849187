//! `GET /admin/api/audit/export`: the audit log as a file, in CSV or as a JSON document a line.
//!
//! Entries are read in parts while the client takes them, so the memory of an export does not grow with the log. The
//! export ends with the entries that were there when it began. An error on the way breaks the transfer off, so that no
//! client takes a part for the whole.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::export::{AuditFormat, audit};
use crate::registry::{AuditQuery, RegistryError};
use crate::server::admin::audit::Asked;
use crate::server::admin::gate::{AdminState, Permit, op};
use crate::server::extract::Parameters;
use crate::server::problem::Problem;

/// The most entries of an export: about a quarter of a gigabyte.
const MAX_ENTRIES: i64 = 1_000_000;

/// The entries of one part.
const PART: u32 = 1000;

/// An export on its way.
pub(super) struct Export(Response);

impl Export {
    /// Returns the media types of exports.
    pub(super) fn media_types() -> impl Iterator<Item = &'static str> {
        AuditFormat::ALL.into_iter().map(AuditFormat::content_type)
    }
}

impl IntoResponse for Export {
    fn into_response(self) -> Response {
        self.0
    }
}

pub(super) async fn export(
    permit: Permit<op::ReadAudit>,
    Extract(state): Extract<AdminState>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Export, Problem> {
    let Some(format) = AuditFormat::from_name(&asked.format) else {
        let detail = "invalid format: expected csv or ndjson";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail));
    };
    let Ok(turn) = state.exports().try_acquire_owned() else {
        let detail = "other exports are running: try again when they have ended";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail));
    };
    let query = asked.query()?;
    if permit.count_audit(&query).await? > MAX_ENTRIES {
        let detail = "there are more than 1000000 entries: choose a shorter time with `since` and `until`";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_entries", detail));
    }
    permit.note_export(format.name()).await?;
    let (sender, parts) = mpsc::channel(1);
    tokio::spawn(produce(permit, query, format, sender, turn));
    let headers = [
        (header::CONTENT_TYPE, format.content_type().to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"audit.{}\"", format.name())),
    ];
    Ok(Export((headers, Body::new(Parts(parts))).into_response()))
}

/// Reads the parts of an export, as long as the client takes them. The turn is held until the end.
async fn produce(
    permit: Permit<op::ReadAudit>,
    mut query: AuditQuery,
    format: AuditFormat,
    sender: mpsc::Sender<Result<Bytes, RegistryError>>,
    _turn: OwnedSemaphorePermit,
) {
    let mut is_first = true;
    loop {
        let entries = match permit.audit_entries(&query, PART).await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(%error, "an export of the audit log broke off");
                let _ = sender.send(Err(error)).await;
                return;
            }
        };
        let text = audit(format, &entries, is_first);
        if !text.is_empty() && sender.send(Ok(Bytes::from(text))).await.is_err() {
            return;
        }
        is_first = false;
        match entries.last() {
            Some(last) if entries.len() == PART as usize => query.after = Some(last.id),
            _ => return,
        }
    }
}

/// The parts of an export, as the body of an answer.
struct Parts(mpsc::Receiver<Result<Bytes, RegistryError>>);

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = RegistryError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RegistryError>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| part.map(Frame::data)))
    }
}
