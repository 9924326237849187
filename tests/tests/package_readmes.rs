//! The first minutes with a package: the commands and the program of its README, with the installed package, in front of an
//! upstream of the test.

use std::{fs, net::TcpListener, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{Script, Scripted, packages::Package, tools};

/// Returns the fenced blocks of a README in a language.
fn blocks<'a>(readme: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    readme.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_first_commands_of_a_readme_serve_a_request() -> Result<()> {
    for (package, folder, language) in [(Package::Npm, "npm", "js"), (Package::Python, "python", "python")] {
        let upstream = Scripted::start(|_| Script::answer(200, r#"{"object": "list"}"#))?;
        // The README names a port, so a free one is chosen first.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let readme =
            fs::read_to_string(tools::project_root().join("packaging").join(folder).join("README.md"))?;
        let [install, token, run] = blocks(&readme, "sh")[..] else {
            anyhow::bail!("{folder} has other commands")
        };
        ensure!(install.lines().count() == 1, "more than one line to install: {install}");
        let program = blocks(&readme, language).first().copied().context("a program")?;
        let name = program.split_whitespace().nth(1).context("the program has a name")?;
        let place = format!(
            r#""keyswap/v1", "providers": {{"openai": {{"url": "http://{}"}}}},"#,
            upstream.address()
        );
        let program = program.replace("8080", &port).replacen(r#""keyswap/v1","#, &place, 1);
        ensure!(program.contains(&place), "{folder}: the upstream is another");
        let work = package.install_into_new_folder()?;
        fs::write(work.folder.path().join(name), program)?;
        let run = run
            .replace("8080", &port)
            .replace("sk-…", "sk-real")
            .replace("curl ", "curl --silent --show-error --retry 60 --retry-connrefused --retry-delay 1 ");
        let mut bash = Command::new("bash");
        bash.args(["-euc", &format!("trap 'kill $(jobs -p)' EXIT\n{token}\n{run}")]);
        bash.current_dir(work.folder.path()).envs(work.environment);
        let said = tools::run(&mut bash, "install bash and curl").with_context(|| folder.to_owned())?;
        ensure!(said.contains(r#"{"object": "list"}"#), "{folder}: {said}");
        let calls = upstream.calls();
        let key = ("authorization".to_owned(), "Bearer sk-real".to_owned());
        ensure!(
            calls.len() == 1 && calls.iter().all(|call| call.headers.contains(&key)),
            "{folder}: {calls:?}"
        );
    }
    Ok(())
}
