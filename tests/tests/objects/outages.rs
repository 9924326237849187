//! The registry: while it is away, and when an administrator assigns objects.

use anyhow::{Result, ensure};
use keyswap_tests::{Kind, Request, clients::matrix::Provider, until};

use crate::bed::{Bed, Caller, NEVER, ensure_same, kind};

/// Returns requests that use a file and make nothing.
fn uses(kind: &Kind, caller: &Caller, id: &str) -> [Request; 3] {
    let path = format!("{}/{id}", kind.collection);
    let response = r#"{"model":"m","store":false,"input":[{"content":[{"file_id":"{}"}]}]}"#;
    [
        caller.get(kind, &path),
        caller.get(kind, &format!("{path}/content")),
        caller.post(kind, "/v1/responses", &response.replace("{}", id)),
    ]
}

#[test]
fn without_the_registry_known_objects_pass_and_foreign_and_unknown_ones_are_alike() -> Result<()> {
    let mut bed = Bed::start()?;
    let file = kind(Provider::OpenAi, "file")?;
    let never = format!("{}{NEVER}", file.begins);
    let id = bed.make(0, file, &bed.alice)?;
    let other = bed.make(0, file, &bed.bob)?;
    for request in uses(file, &bed.alice, &id) {
        bed.expect(1, &request, "200")?;
    }
    bed.expect(1, &bed.bob.get(file, &format!("{}/{id}", file.collection)), "404 object_not_found")?;
    bed.registry.stop()?;
    for plane in [0, 1] {
        for request in uses(file, &bed.alice, &id) {
            bed.expect(plane, &request, "200")?;
        }
        for (foreign, unknown) in uses(file, &bed.bob, &id).iter().zip(uses(file, &bed.bob, &never)) {
            let foreign = bed.expect(plane, foreign, "503 registry_unavailable")?;
            ensure_same(&foreign, &bed.expect(plane, &unknown, "503 registry_unavailable")?)?;
        }
    }
    let shown = bed.list(0, file, &bed.bob, "")?;
    ensure!(shown == [other.as_str()], "Bob sees {shown:?}");
    let shown = bed.list(1, file, &bed.bob, "")?;
    ensure!(shown.is_empty(), "Bob sees {shown:?}");
    Ok(())
}

#[test]
fn a_running_data_plane_follows_adoptions_and_transfers() -> Result<()> {
    let bed = Bed::start()?;
    for provider in [Provider::OpenAi, Provider::Anthropic, Provider::Gemini] {
        let file = kind(provider, "file")?;
        let name = match provider {
            Provider::Anthropic => "anthropic",
            Provider::Gemini | Provider::GeminiOpenAi => "gemini",
            Provider::OpenAi => "openai",
        };
        let id = bed.shelf.put(file);
        let path = format!("{}/{id}", file.collection);
        let (alices, bobs) = (bed.alice.get(file, &path), bed.bob.get(file, &path));
        let becomes = |alice: &str, bob: &str| {
            (0..2).try_for_each(|plane| {
                let get = |request| anyhow::Ok(bed.planes[plane].send(request)?.verdict());
                until("the change has come", || Ok(get(&alices)? == alice && get(&bobs)? == bob)).map(drop)
            })
        };
        becomes("404 object_not_found", "404 object_not_found")?;
        bed.object(&["adopt", name, &id, "--kind", "file", "--for", "token:alice"])?;
        becomes("200", "404 object_not_found")?;
        bed.object(&["transfer", name, &id, "--to", "token:bob"])?;
        becomes("404 object_not_found", "200")?;
        bed.object(&["forget", name, &id, "--yes"])?;
        becomes("404 object_not_found", "404 object_not_found")?;
    }
    Ok(())
}
