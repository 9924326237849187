//! Objects by unmodified SDKs.

use anyhow::{Result, ensure};
use keyswap_tests::clients::{
    Call, Event, Library, Mode,
    matrix::{PYTHON_ANTHROPIC_OBJECTS, PYTHON_OPENAI_OBJECTS},
};

use crate::bed::{Bed, Caller};

/// The libraries, with the path of their base URL and the number of attempts that their programs make.
const LIBRARIES: [(Library, &str, usize); 2] =
    [(PYTHON_OPENAI_OBJECTS, "/v1", 14), (PYTHON_ANTHROPIC_OBJECTS, "/anthropic", 7)];

#[test]
fn an_sdk_works_with_its_callers_objects_and_finds_no_other() -> Result<()> {
    let bed = Bed::start()?;
    for (library, path, attempts) in LIBRARIES {
        let run = |plane: usize, caller: &Caller, mode: Mode, ids: &[String]| {
            let base_url = format!("{}{path}", bed.planes[plane].url());
            library.run_with(&Call { mode, base_url: &base_url, token: &caller.0, headers: &[] }, ids)
        };
        let kept = run(0, &bed.alice, Mode::Keep, &[])?;
        let [Event::Done { text }] = &*kept else { anyhow::bail!("{library}: {kept:?}") };
        let ids: Vec<String> = text.split(' ').map(str::to_owned).collect();
        for plane in [0, 1] {
            let mut found = run(plane, &bed.bob, Mode::Seek, &ids)?;
            ensure!(
                found.pop() == Some(Event::Done { text: String::new() }),
                "{library}: it lists: {found:?}"
            );
            let is_none = |event: &Event| matches!(event, Event::Error(it) if it.status == Some(404) && it.class == "NotFoundError");
            ensure!(found.len() == attempts && found.iter().all(is_none), "{library}: {found:?}");
        }
        ensure!(ids.iter().all(|id| bed.shelf.has(id)), "{library}: an object is gone");
    }
    Ok(())
}
