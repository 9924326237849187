//! The resources that a process has used, by the kernel's account.

use std::{fs, process::Child, time::Duration};

use anyhow::{Context as _, Result};

/// Reads the account of one process.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    process: u32,
}

impl Meter {
    /// The account of a child.
    pub fn of(child: &Child) -> Self {
        Self { process: child.id() }
    }

    /// The account of this process.
    pub fn own() -> Self {
        Self { process: std::process::id() }
    }

    /// The memory that it holds, in bytes.
    pub fn memory(self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process))?;
        let resident =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(resident.context("the kernel does not say")?.trim().parse::<u64>()? * 1024)
    }

    /// The processor time that its threads have used, for itself and in the kernel. (`stat` has the same in hundredths of
    /// a second, which is too coarse.)
    pub fn processor_time(self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.process))? {
            let account = fs::read_to_string(task?.path().join("schedstat"))?;
            nanoseconds += account.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }
}
