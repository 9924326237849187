//! The registry: while it is away, and when an administrator assigns objects.

use anyhow::{Result, ensure};
use keyswap_tests::{KINDS, Kind, Request, clients::matrix::Provider, until};

use crate::bed::{Bed, Caller, Hosts, NEVER, ensure_same, kind, name};

const AWAY: &str = "503 registry_unavailable";

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

/// An object of each kind, with a caller that did not make it: one alone would have guessed too often.
struct Made {
    kind: &'static Kind,
    id: String,
    other: Caller,
}

/// Makes an object of each kind, which both data planes know afterwards, as they know the callers.
fn make_all(bed: &Bed) -> Result<Vec<Made>> {
    let make = |kind: &'static Kind| {
        let id = bed.make(0, kind, &bed.alice)?;
        let other = Caller::new(&bed.registry, &format!("{:?}-{}", kind.provider, kind.name))?;
        for plane in [0, 1] {
            bed.expect(plane, &bed.alice.get(kind, &format!("{}/{id}", kind.collection)), "200")?;
            bed.list(plane, kind, &other, "")?;
        }
        Ok(Made { kind, id, other })
    };
    let all = KINDS.iter().map(make).collect::<Result<Vec<_>>>()?;
    // The first answer of the feed has a data plane forget what it knew before.
    for Made { kind, id, .. } in &all {
        for plane in [0, 1] {
            bed.expect(plane, &bed.alice.get(kind, &format!("{}/{id}", kind.collection)), "200")?;
        }
    }
    Ok(all)
}

fn check_away(bed: &Bed, Made { kind, id, other }: &Made) -> Result<()> {
    let path = format!("{}/{id}", kind.collection);
    let never = format!("{}{NEVER}", kind.begins);
    let delete =
        |caller: &Caller, id: &str| caller.send(kind, "DELETE", &format!("{}/{id}", kind.collection));
    for plane in [0, 1] {
        for request in bed.alice.verbs(kind, id) {
            bed.expect(plane, &request, "200")?;
        }
        let (foreign, unknown) = (other.requests(kind, id), other.requests(kind, &never));
        let foreign = foreign.into_iter().chain([delete(other, id)]);
        for (foreign, unknown) in foreign.zip(unknown.into_iter().chain([delete(other, &never)])) {
            ensure_same(&bed.expect(plane, &foreign, AWAY)?, &bed.expect(plane, &unknown, AWAY)?)?;
        }
        let shown = bed.list(plane, kind, other, "")?;
        ensure!(shown.is_empty(), "another caller sees {shown:?}");
        let shown = bed.list(plane, kind, &bed.alice, "")?;
        ensure!(shown == [id.as_str()], "Alice sees {shown:?}");
    }
    ensure!(bed.shelf.has(id), "the object is gone");
    bed.expect(1, &bed.alice.send(kind, "DELETE", &path), "200")?;
    ensure!(!bed.shelf.has(id), "the object is still there");
    Ok(())
}

#[test]
fn without_the_registry_every_kind_is_open_to_its_caller_and_closed_to_others() -> Result<()> {
    let mut failures = Vec::new();
    // Each instance of the component knows what it was asked itself, and Wasmtime chooses among several.
    for hosts in [Hosts::Envoys, Hosts::PythonAndHono] {
        let mut bed = Bed::on(hosts)?;
        let made = make_all(&bed)?;
        bed.registry.stop()?;
        failures.extend(made.iter().filter_map(|made| {
            let failure = check_away(&bed, made).err()?;
            Some(format!("{hosts:?}, {:?} {}: {failure:#}", made.kind.provider, made.kind.name))
        }));
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

#[test]
fn a_running_data_plane_follows_adoptions_and_transfers() -> Result<()> {
    let bed = Bed::start()?;
    for provider in [Provider::OpenAi, Provider::Anthropic, Provider::Gemini] {
        let file = kind(provider, "file")?;
        let name = name(provider);
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
