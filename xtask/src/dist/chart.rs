//! The Helm chart: an archive as `helm package` makes it, and its image as `helm push` makes it. Both hold no times.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{helm, tools};

use super::image::{Blob, Entry, Image, VERSION, archive, compress};

/// The name of the image. Helm appends the name of the chart, `keyswap`, to the folder that it pushes to.
const NAME: &str = "charts/keyswap";
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// Returns the name of the archive, and the archive.
pub(crate) fn pack() -> Result<(String, Vec<u8>)> {
    let metadata = helm::metadata()?;
    let name = metadata["name"].as_str().context("the chart has no name")?;
    ensure!(metadata["version"] == VERSION, "the chart is of version {}", metadata["version"]);
    let mut paths: Vec<String> = tools::files_below("packaging/chart")?.into_iter().collect();
    // A reader of the archive need not read all of it to know the chart.
    paths.sort_by_key(|path| (path != "Chart.yaml", path.clone()));
    let entry = |path: &String| {
        let content = fs::read(helm::chart().join(path)).with_context(|| format!("cannot read {path}"))?;
        Ok(Entry::file(format!("{name}/{path}"), 0o644, content))
    };
    let entries = paths.iter().map(entry).collect::<Result<Vec<_>>>()?;
    Ok((format!("{name}-{VERSION}.tgz"), compress(&archive(&entries)?)?))
}

/// Returns the image of the archive.
pub(crate) fn image(packed: Vec<u8>) -> Result<Image> {
    let config = Blob::json(CONFIG, &helm::metadata()?);
    Ok(Image::of(NAME, Some(VERSION.to_owned()), config, vec![Blob::of(LAYER, packed)]))
}
