//! Objects by unmodified SDKs.

use anyhow::{Result, ensure};
use keyswap_tests::clients::{
    Call, Event, Library, Mode,
    matrix::{
        NODE_ANTHROPIC_OBJECTS, NODE_GOOGLE_OBJECTS, NODE_OPENAI_OBJECTS, PYTHON_ANTHROPIC_OBJECTS,
        PYTHON_GOOGLE_OBJECTS, PYTHON_OPENAI_OBJECTS, Provider,
    },
};

use crate::bed::{Bed, Caller, Hosts, Plane, kind};

/// The libraries, with the path of their base URL, the number of attempts that their programs make, and the class of the
/// exception.
const LIBRARIES: [(Library, &str, usize, &str); 6] = [
    (PYTHON_OPENAI_OBJECTS, "/v1", 16, "NotFoundError"),
    (PYTHON_ANTHROPIC_OBJECTS, "/anthropic", 9, "NotFoundError"),
    (PYTHON_GOOGLE_OBJECTS, "", 5, "ClientError"),
    (NODE_OPENAI_OBJECTS, "/v1", 12, "NotFoundError"),
    (NODE_ANTHROPIC_OBJECTS, "/anthropic", 8, "NotFoundError"),
    (NODE_GOOGLE_OBJECTS, "", 5, "ApiError"),
];

fn run(
    library: Library,
    path: &str,
    plane: &Plane,
    caller: &Caller,
    mode: Mode,
    ids: &[String],
) -> Result<Vec<Event>> {
    let base_url = format!("{}{path}", plane.url());
    library.run_with(&Call { mode, base_url: &base_url, token: &caller.0, headers: &[] }, ids)
}

#[test]
fn an_sdk_works_with_its_callers_objects_and_finds_no_other() -> Result<()> {
    // What SDKs do differently from the requests of the other tests, middlewares see alike.
    for hosts in [Hosts::Envoys, Hosts::ComponentAndExpress] {
        let bed = Bed::on(hosts)?;
        for (library, path, attempts, class) in LIBRARIES {
            let run = |plane: usize, caller, mode, ids: &[String]| {
                run(library, path, &bed.planes[plane], caller, mode, ids)
            };
            let kept = run(0, &bed.alice, Mode::Keep, &[])?;
            let [Event::Done { text }] = &*kept else { anyhow::bail!("{hosts:?}, {library}: {kept:?}") };
            let ids: Vec<String> = text.split(' ').map(str::to_owned).collect();
            for plane in [0, 1] {
                let mut found = run(plane, &bed.bob, Mode::Seek, &ids)?;
                ensure!(
                    found.pop() == Some(Event::Done { text: String::new() }),
                    "{hosts:?}, {library}: it lists: {found:?}"
                );
                let is_none = |event: &Event| matches!(event, Event::Error(it) if it.status == Some(404) && it.class == class);
                ensure!(
                    found.len() == attempts && found.iter().all(is_none),
                    "{hosts:?}, {library}: {found:?}"
                );
            }
            let kept = |id: &String| bed.shelf.has(id.rsplit('/').next().unwrap_or_default());
            ensure!(ids.iter().all(kept), "{hosts:?}, {library}: an object is gone");
        }
    }
    Ok(())
}

/// The elements of other callers in front of one's own, and whether an SDK comes to those behind them: it goes on from the last
/// element of a page, or by a token.
const PAGED: [(Library, &str, Provider, usize, bool); 10] = [
    (PYTHON_OPENAI_OBJECTS, "/v1", Provider::OpenAi, 99, true),
    (PYTHON_OPENAI_OBJECTS, "/v1", Provider::OpenAi, 100, false),
    (NODE_OPENAI_OBJECTS, "/v1", Provider::OpenAi, 99, true),
    (NODE_OPENAI_OBJECTS, "/v1", Provider::OpenAi, 100, false),
    (PYTHON_ANTHROPIC_OBJECTS, "/anthropic", Provider::Anthropic, 99, true),
    (PYTHON_ANTHROPIC_OBJECTS, "/anthropic", Provider::Anthropic, 100, false),
    (NODE_ANTHROPIC_OBJECTS, "/anthropic", Provider::Anthropic, 99, true),
    (NODE_ANTHROPIC_OBJECTS, "/anthropic", Provider::Anthropic, 100, false),
    (PYTHON_GOOGLE_OBJECTS, "", Provider::Gemini, 100, true),
    (NODE_GOOGLE_OBJECTS, "", Provider::Gemini, 100, true),
];

#[test]
fn an_sdk_that_pages_comes_to_its_callers_objects_as_far_as_the_book_says() -> Result<()> {
    for (library, path, provider, others, comes) in PAGED {
        let bed = Bed::start()?;
        let file = kind(provider, "file")?;
        (0..others).for_each(|_| drop(bed.shelf.put(file)));
        let own = bed.make(0, file, &bed.alice)?;
        let listed = run(library, path, &bed.planes[1], &bed.alice, Mode::List, &[])?;
        let [Event::Done { text }] = &*listed else { anyhow::bail!("{library}: {listed:?}") };
        let shown = text.rsplit('/').next().unwrap_or_default();
        ensure!(shown == if comes { own.as_str() } else { "" }, "{library} behind {others}: {text}");
    }
    Ok(())
}
