//! The packages of the authorizer in a release: for npm, and for Python.

use std::fs;

use anyhow::{Context as _, Result};
use keyswap_tests::packages::Package;

/// Returns the files of all packages, by their names.
pub(crate) fn all() -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for path in Package::ALL.into_iter().map(Package::packed).collect::<Result<Vec<_>>>()?.concat() {
        let name = path.file_name().context("a file has a name")?.to_string_lossy().into_owned();
        files.push((name, fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use anyhow::ensure;
    use keyswap_tests::tools;

    use super::*;

    fn packed(package: Package, into: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
        package.pack(into)?;
        let files = fs::read_dir(into)?.map(|file| {
            let file = file?;
            Ok((file.file_name().to_string_lossy().into_owned(), fs::read(file.path())?))
        });
        files.collect()
    }

    #[test]
    fn a_package_that_is_packed_twice_is_the_same() -> Result<()> {
        let released: BTreeMap<String, Vec<u8>> = all()?.into_iter().collect();
        let (one, root) = (tempfile::tempdir()?, tools::project_root());
        let mut again = BTreeMap::new();
        for package in Package::ALL {
            let folder = one.path().join(format!("{package:?}"));
            fs::create_dir(&folder)?;
            again.extend(packed(package, &folder)?);
        }
        ensure!(released.keys().eq(again.keys()), "{:?} and {:?}", released.keys(), again.keys());
        for (name, bytes) in &released {
            ensure!(again.get(name) == Some(bytes), "`{name}` is another the second time");
            let name_of_root = root.to_string_lossy().into_owned().into_bytes();
            let is_in_it = bytes.windows(name_of_root.len()).any(|window| window == name_of_root);
            ensure!(!is_in_it, "`{name}` has a path of this machine");
        }
        Ok(())
    }

    #[test]
    fn packages_have_the_version_of_the_workspace() -> Result<()> {
        let names: Vec<String> = all()?.into_iter().map(|(name, _)| name).collect();
        let version = env!("CARGO_PKG_VERSION");
        let expected = [
            format!("keyswap-npm-{version}.tgz"),
            format!("keyswap_asgi-{version}-py3-none-any.whl"),
            format!("keyswap_asgi-{version}.tar.gz"),
        ];
        ensure!(names == expected, "{names:?}");
        Ok(())
    }
}
