//! A file that is watched for changes.
//!
//! A change counts once the file has [settled](Settled): half a policy may be valid. Looks follow links, so that a link
//! to another file is a change.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::settled::Settled;

/// The interval between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// The state of a file as the file system tells it, `None` while there is no file.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// A watched file.
pub(super) struct Watch {
    path: PathBuf,
    stamp: Settled<Stamp>,
}

impl Watch {
    /// Watches a file from now on. The caller reads the file after this, so that no change is missed.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), stamp: Settled::new(stamp(path)) }
    }

    /// Waits until the file is another than before. Cancelling the wait loses no change.
    pub(super) async fn changed(&mut self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if self.stamp.look(stamp(&self.path)) {
                return;
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let data = fs::metadata(path).ok()?;
    Some((data.dev(), data.ino(), data.size(), data.mtime(), data.mtime_nsec()))
}
