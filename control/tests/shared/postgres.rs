//! A private PostgreSQL: its own data directory, a socket and no port, deleted on drop.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

const READY: &str = "database system is ready to accept connections";

pub(crate) struct Postgres {
    server: Child,
    folder: TempDir,
    programs: PathBuf,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let programs = programs();
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        run(Command::new("cp").arg("--recursive").arg(initialised(&programs)).arg(&data));
        if is_root() {
            // The server refuses to run as root.
            run(Command::new("chown").args(["-R", "postgres"]).arg(folder.path()));
        }
        let mut server = unprivileged(&programs.join("postgres"))
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200", "-k"])
            .arg(folder.path())
            .arg("-D")
            .arg(&data)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains(READY)) {
            let line = log.next().unwrap_or_else(|| panic!("PostgreSQL did not start: {said:#?}"));
            said.push(line.unwrap());
        }
        // The log is drained, so that it does not fill the pipe.
        std::thread::spawn(move || log.for_each(drop));
        Self { server, folder, programs }
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://keyswap@localhost/postgres?host={}", self.folder.path().display())
    }

    /// Returns the socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    /// Returns the content of the database as text.
    pub(crate) fn dump(&self) -> Vec<u8> {
        let dump = Command::new(self.programs.join("pg_dump"))
            .args(["--username=keyswap", "--dbname=postgres", "--host"])
            .arg(self.folder.path())
            .output()
            .unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        dump.stdout
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The other processes end with the first.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Returns a data directory of an empty database. It is made once for all tests, since that takes longer than most of them.
fn initialised(programs: &Path) -> PathBuf {
    let version = programs.parent().and_then(Path::file_name).unwrap().to_string_lossy();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgresql-{version}"));
    if !kept.exists() {
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        let data = folder.path().join("data");
        run(unprivileged(&programs.join("initdb"))
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=keyswap",
                "--encoding=UTF8",
                "--locale=C",
                "--pgdata",
            ])
            .arg(&data));
        let mine = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        run(Command::new("cp").arg("--recursive").arg(data).arg(mine.path()));
        // A test that runs concurrently may have been the first.
        let _ = std::fs::rename(mine.path().join("data"), &kept);
    }
    kept
}

/// Returns the folder of the server's programs in Debian, which is not in `PATH`.
fn programs() -> PathBuf {
    find().unwrap_or_else(|| {
        let install = "apt-get install --yes --no-install-recommends postgresql";
        assert!(is_root(), "PostgreSQL is needed: run `sudo {install}`");
        run(Command::new("apt-get").arg("update"));
        run(Command::new("sh").args(["-c", install]).env("DEBIAN_FRONTEND", "noninteractive"));
        find().unwrap_or_else(|| panic!("`{install}` did not install the server"))
    })
}

fn find() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .find(|bin| bin.join("initdb").exists())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n")
}

/// Returns a command that runs the program as a user other than root, killed when this process ends.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg("--pdeathsig=KILL").arg(program).stdout(Stdio::null());
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
