//! Envoy's `ext_authz`, with a minimal authorization server.

use std::rc::Rc;

use anyhow::{Result, ensure};

use super::{
    native::{authorization, judges, requests},
    parts::{EXT_AUTHZ_GRPC, EXT_AUTHZ_HTTP, GATEWAY, envoy},
    proof::Job,
    running::Running,
};
use crate::bench::{
    authorization::{Authorization, Rules},
    load::Loader,
    stage::{CF_AIG_TOKEN, EMAIL, LABEL, OPENAI_API_KEY, Stage},
};

pub(super) fn grpc(stage: &Stage, workers: u32) -> Result<Running> {
    asking(stage, workers, EXT_AUTHZ_GRPC, Authorization::grpc)
}

pub(super) fn http(stage: &Stage, workers: u32) -> Result<Running> {
    asking(stage, workers, EXT_AUTHZ_HTTP, Authorization::http)
}

fn asking(
    stage: &Stage,
    workers: u32,
    part: &str,
    start: fn(&Loader, Rules) -> Result<Authorization>,
) -> Result<Running> {
    let rules = Rules {
        admitted: authorization(),
        set: vec![
            ("authorization", format!("Bearer {OPENAI_API_KEY}")),
            ("cf-aig-authorization", format!("Bearer {CF_AIG_TOKEN}")),
            ("cf-aig-metadata", format!(r#"{{"user_id":"{EMAIL}","token":"{LABEL}"}}"#)),
        ],
        remove: vec!["x-api-key", "x-goog-api-key", "api-key", "cookie"],
    };
    let server = start(&stage.loader, rules)?;
    let listens_at = server.address.port().to_string();
    let envoy = envoy(stage, workers, &[GATEWAY, part], &[("AUTHORIZATION_PORT", &listens_at)])?;
    let own = Rc::clone(&envoy);
    let proof = move |stage: &Stage| {
        let before = server.admitted();
        judges(stage, &own, Job::Metadata)?;
        let asked = server.admitted() - before;
        ensure!(asked == 1, "the server has let {asked} requests through instead of one");
        Ok(())
    };
    Ok(Running::new(envoy, requests(), proof))
}
