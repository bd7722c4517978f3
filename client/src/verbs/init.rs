//! `onewriter init`: makes a build root.

use std::{
    io::ErrorKind,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use onewriter_tree::{Error, Reason, Tree, path::STATE_DIR};
use serde_json::json;

use crate::{
    command::{Given, JSON, Opt, Verb},
    context::{Context, is_inside_transaction},
    failure::Failure,
};

pub(super) const VERB: Verb = Verb {
    name: "init",
    about: "Make DIR (default: here) a build root",
    details: "\
Makes DIR/.onewriter, which holds the daemon's state and ignores itself in git; a DIR that is not
there is made, with all directories on the way to it. Every command below DIR belongs to that root
then. Doing it again changes nothing.

Build roots do not nest: two daemons would write to one tree. Inside another one it is refused
without --nested. One further down is not looked for, since that would take a walk through the whole
tree: the commands given in it go to its own daemon until its .onewriter is removed.",
    operands: "[DIR]",
    count: (0, 1),
    options: &[Opt::flag('\0', "nested", "Make one even inside another build root")],
    common: &[JSON],
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let dir = given.operands.first().map_or(Path::new("."), Path::new);
    if !given.has("nested") {
        refuse_inside_another(dir)?;
    }
    // In a transaction the state directory is hidden, and not to be made a second time.
    let made = !is_inside_transaction() && make(dir)?;
    let real = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    if context.is_json() {
        return context.output.json(&json!({ "root": real.to_string_lossy(), "created": made }));
    }
    let what = if made { "made a build root" } else { "it is a build root already:" };
    context.output.line(format_args!("{what} {}", real.display()))
}

/// Whoever commands a path below two roots would write to it through two daemons.
fn refuse_inside_another(dir: &Path) -> Result<(), Failure> {
    let (real, is_there) = nearest(dir);
    let is_root = |dir: &Path| dir.join(STATE_DIR).is_dir();
    let outer = real.ancestors().skip(usize::from(is_there)).find(|dir| is_root(dir));
    match outer.filter(|_| !is_there || !is_root(&real)).map(Path::to_owned) {
        None => Ok(()),
        Some(outer) => {
            let why = format!(
                "lies in the build root '{}', whose daemon writes to it already (--nested makes one all the same)",
                outer.display()
            );
            let named = std::path::absolute(dir).unwrap_or(real);
            Err(Error::new(Reason::Exists, named.as_os_str().as_bytes(), why).into())
        }
    }
}

/// What `dir` really is, and that it is there; or the nearest of its parents that is.
fn nearest(dir: &Path) -> (PathBuf, bool) {
    if let Ok(real) = std::fs::canonicalize(dir) {
        return (real, true);
    }
    let parents = dir.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
    let mut parents = parents.chain([Path::new(".")]);
    (parents.find_map(|parent| std::fs::canonicalize(parent).ok()).unwrap_or_default(), false)
}

/// Makes `dir`, if it is missing, and makes it a root; `false` if it was one.
#[expect(clippy::disallowed_methods, reason = "there is no root yet")]
fn make(dir: &Path) -> Result<bool, Failure> {
    if dir.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        std::fs::create_dir_all(dir)
            .map_err(|e| Failure::Io(format!("'{}' cannot be made: {e}", dir.display())))?;
    }
    Ok(Tree::init(dir)?)
}
