//! A running `keyswap up`, and the call of an SDK to it.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use keyswap_tests::tools;
use rustix::process::{Pid, Signal, kill_process};

/// A running `keyswap up`.
pub(crate) struct Up {
    child: Child,
    /// The output until it was ready.
    printed: String,
}

impl Up {
    /// Starts the command, and waits until it is ready.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut up = Self { child: command.spawn()?, printed: String::new() };
        let mut lines = BufReader::new(up.child.stdout.take().context("no standard output")?).lines();
        while !up.printed.contains("# --- Ctrl-C") {
            let Some(line) = lines.next().transpose()? else {
                let mut errors = String::new();
                up.child.stderr.take().context("no standard error")?.read_to_string(&mut errors)?;
                bail!("`keyswap up` ended:\n{}\n{errors}", up.printed);
            };
            up.printed.extend([line.as_str(), "\n"]);
        }
        // What follows is drained, so that it does not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(up)
    }

    /// Returns the answer to a call of OpenAI's SDK for Python.
    pub(crate) fn answer_to_an_sdk(&self) -> Result<String> {
        let program = "import sys; from openai import OpenAI\n\
                       client = OpenAI(base_url=f'http://{sys.argv[1]}/v1', api_key=sys.argv[2])\n\
                       messages = [{'role': 'user', 'content': 'Say hello.'}]\n\
                       answer = client.chat.completions.create(model='gpt-5-mini', messages=messages)\n\
                       print(answer.choices[0].message.content)";
        let (address, token) = (self.fact("base URL     http://")?, self.fact("proxy token  ")?);
        let mut sdk = Command::new("python3");
        sdk.args(["-c", program, &address, &token]).env("PYTHONPATH", sdks()?);
        tools::run(&mut sdk, "install Python 3.11 or newer")
    }

    fn fact(&self, label: &str) -> Result<String> {
        let line = self.printed.lines().find_map(|line| line.trim_start().strip_prefix(label));
        Ok(line.with_context(|| format!("no `{label}` in {}", self.printed))?.to_owned())
    }

    /// Signs in to the dashboard with the printed password, and with another. Returns the statuses.
    pub(crate) fn sign_in(&self) -> Result<[String; 2]> {
        let (dashboard, password) = (self.fact("dashboard    ")?, self.fact("password     ")?);
        let password = password.split(' ').next().context("a password")?;
        let status = |password: &str| {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--header"])
                .args(["sec-fetch-site: same-origin", "--data-urlencode", &format!("password={password}")]);
            tools::run(curl.arg(dashboard.replace("/admin", "/admin/sign-in")), "install curl")
        };
        Ok([status(password)?, status("another")?])
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::INT)?;
        ensure!(self.child.wait()?.success(), "Ctrl-C ended it badly");
        Ok(())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the folder of the SDKs for Python.
pub(crate) fn sdks() -> Result<PathBuf> {
    tools::python_packages(
        "python-clients",
        &tools::project_root().join("tests/clients/python/requirements.txt"),
    )
}
