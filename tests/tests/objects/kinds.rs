//! Every kind of object, on two data planes, in every host.

use anyhow::{Result, ensure};
use keyswap_tests::{KINDS, Kind};

use crate::bed::{Bed, Caller, Hosts, NEVER, ensure_same};

const NONE: &str = "404 object_not_found";

/// Checks every kind in every host. The error lists all failures.
fn check(check: fn(&Bed, &'static Kind) -> Result<()>) -> Result<()> {
    let mut failures = Vec::new();
    for hosts in Hosts::ALL {
        let bed = Bed::on(hosts)?;
        failures.extend(KINDS.iter().filter_map(|kind| {
            let failure = check(&bed, kind).err()?;
            Some(format!("{hosts:?}, {:?} {}: {failure:#}", kind.provider, kind.name))
        }));
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

#[test]
fn what_a_caller_made_is_its_own_on_both_data_planes() -> Result<()> {
    check(|bed, kind| {
        let mut made = vec![bed.make(0, kind, &bed.alice)?];
        if kind.streams() {
            made.push(bed.stream(1, kind, &bed.alice)?);
        }
        for id in &made {
            for plane in [0, 1] {
                for request in bed.alice.requests(kind, id) {
                    bed.expect(plane, &request, "200")?;
                }
            }
        }
        for (plane, id) in (0..2).cycle().zip(&made) {
            let path = format!("{}/{id}", kind.collection);
            bed.expect(plane, &bed.alice.send(kind, "DELETE", &path), "200")?;
            ensure!(!bed.shelf.has(id), "the object is still there");
        }
        Ok(())
    })
}

#[test]
fn what_another_caller_made_is_answered_byte_for_byte_as_if_it_had_never_been() -> Result<()> {
    check(|bed, kind| {
        let mut made = vec![bed.make(0, kind, &bed.alice)?];
        if kind.streams() {
            made.push(bed.stream(1, kind, &bed.alice)?);
        }
        let never = format!("{}{NEVER}", kind.begins);
        // One caller would have guessed too often.
        let other = Caller::new(&bed.registry, &format!("{:?}-{}", kind.provider, kind.name))?;
        let requests = |id: &str| {
            let delete = other.send(kind, "DELETE", &format!("{}/{id}", kind.collection));
            let mut requests = other.requests(kind, id);
            requests.push(delete);
            requests
        };
        let before = bed.shelf.arrived();
        for plane in [0, 1] {
            for id in &made {
                for (foreign, unknown) in requests(id).iter().zip(requests(&never)) {
                    let foreign = bed.expect(plane, foreign, NONE)?;
                    ensure_same(&foreign, &bed.expect(plane, &unknown, NONE)?)?;
                }
            }
        }
        ensure!(bed.shelf.arrived() == before, "a refused request has arrived");
        ensure!(made.iter().all(|id| bed.shelf.has(id)), "an object is gone");
        Ok(())
    })
}

#[test]
fn a_list_shows_each_caller_its_own() -> Result<()> {
    check(|bed, kind| {
        let (a, b) = (bed.make(0, kind, &bed.alice)?, bed.make(1, kind, &bed.bob)?);
        bed.shelf.put(kind);
        let last = bed.make(0, kind, &bed.alice)?;
        for plane in [0, 1] {
            let shown = bed.list(plane, kind, &bed.alice, "")?;
            ensure!(shown == [a.as_str(), last.as_str()], "Alice sees {shown:?}");
            let shown = bed.list(plane, kind, &bed.bob, "")?;
            ensure!(shown == [b.as_str()], "Bob sees {shown:?}");
        }
        Ok(())
    })
}
