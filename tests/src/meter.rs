//! The resources that a process has used, as the kernel counts them.

use std::{fs, process::Child, time::Duration};

use anyhow::{Context as _, Result};

/// A reader of one process's resources.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    process: u32,
}

impl Meter {
    /// Returns the meter of a child process.
    pub fn of(child: &Child) -> Self {
        Self { process: child.id() }
    }

    /// Returns the meter of this process.
    pub fn own() -> Self {
        Self { process: std::process::id() }
    }

    /// Returns the process's memory, in bytes.
    pub fn memory(self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process))?;
        let resident =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(resident.context("the kernel does not say")?.trim().parse::<u64>()? * 1024)
    }

    /// Returns the number of open descriptors.
    pub fn descriptors(self) -> Result<u64> {
        Ok(u64::try_from(fs::read_dir(format!("/proc/{}/fd", self.process))?.count())?)
    }

    /// Returns the CPU time of the children that have ended and were waited for, in hundredths of a second (`proc_pid_stat(5)`).
    pub fn children_time(self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process))?;
        // The name of the program may have any byte; the state behind it is the third field.
        let (_, fields) = stat.rsplit_once(')').context("the kernel says it otherwise")?;
        let ticks = fields.split_whitespace().skip(13).take(2).map(str::parse::<u64>);
        Ok(Duration::from_millis(10 * ticks.sum::<Result<u64, _>>()?))
    }

    /// Returns the CPU time of all threads, in user and kernel mode. The process's `stat` has it in hundredths of a
    /// second, which is too coarse.
    pub fn processor_time(self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.process))? {
            let account = fs::read_to_string(task?.path().join("schedstat"))?;
            nanoseconds += account.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }
}
