//! Lists of which the registry is asked many times.

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{Slices, clients::matrix::Provider};

use crate::bed::{Bed, Hosts, id_in, kind};

/// The objects of the account, of which each is about a hundred bytes in a list.
const OBJECTS: usize = 4000;
/// Those of the caller: more bytes than Envoy keeps of a stream.
const OWN: usize = 1000;

#[test]
fn a_long_list_waits_for_the_registry_and_comes_whole() -> Result<()> {
    let file = kind(Provider::OpenAi, "file")?;
    for hosts in Hosts::ALL {
        let bed = Bed::on(hosts)?;
        let first = bed.make(0, file, &bed.alice)?;
        (0..OBJECTS).for_each(|_| drop(bed.shelf.put(file)));
        let last = bed.make(0, file, &bed.alice)?;
        let request = bed.alice.get(file, &format!("{}?limit=10000", file.collection));
        let answer = bed.planes[1].send(&request).with_context(|| format!("{hosts:?}"))?.json()?;
        let elements = answer[file.list].as_array().with_context(|| format!("{hosts:?}: {answer}"))?;
        let ids = elements.iter().map(|element| id_in(file, element)).collect::<Result<Vec<_>>>()?;
        ensure!(ids == [first.as_str(), last.as_str()], "{hosts:?}: {ids:?}");
    }
    Ok(())
}

#[test]
fn a_list_that_is_longer_than_the_buffers_of_envoy_comes_whole_over_http1_and_http2() -> Result<()> {
    let file = kind(Provider::OpenAi, "file")?;
    let bed = Bed::start()?;
    (0..OBJECTS).for_each(|_| drop(bed.shelf.put(file)));
    let own = (0..OWN).map(|_| bed.make(0, file, &bed.alice)).collect::<Result<Vec<_>>>()?;
    let request = bed.alice.get(file, &format!("{}?limit=10000", file.collection));
    let [first, second] = &bed.planes;
    for is_http2 in [true, false] {
        let plane = if is_http2 { second } else { first };
        let answer = if is_http2 {
            plane.send_http2(&request, Slices { size: 100, trailers: &[] })
        } else {
            plane.send(&request)
        };
        let answer = answer.with_context(|| format!("HTTP/2: {is_http2}"))?.json()?;
        let elements = answer[file.list].as_array().with_context(|| format!("{answer}"))?;
        let ids = elements.iter().map(|element| id_in(file, element)).collect::<Result<Vec<_>>>()?;
        ensure!(ids == own, "HTTP/2: {is_http2}: {} elements", ids.len());
    }
    Ok(())
}
