//! The build root of a build: the nearest one, or a new one where make starts.

use std::path::{Path, PathBuf};

use onewriter_tree::{Tree, path::STATE_DIR};

use crate::{context::Context, failure::Failure};

/// `directory`: where make goes first, relative to here.
pub(super) fn find(context: &Context, directory: &Path) -> Result<PathBuf, Failure> {
    if context.has_root() {
        return Ok(context.place()?.root().to_owned());
    }
    let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let real = std::fs::canonicalize(here)
        .map_err(|e| Failure::Io(format!("cannot find '{}': {e}", here.display())))?;
    let is_root = |directory: &&Path| {
        let state = directory.join(STATE_DIR).symlink_metadata();
        state.is_ok_and(|found| found.is_dir())
    };
    if let Some(root) = real.ancestors().find(is_root) {
        return Ok(root.to_owned());
    }
    Tree::init(&real)?;
    eprintln!("onewriter make: made a build root: {}", real.display());
    Ok(real)
}
