//! Running the command of a transaction, apart from the tree.

use std::{
    ffi::OsString,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use onewriter_tree::path::STATE_DIR;
use rustix::{
    fs::{FileType, Mode, chmod, lstat, mkdir},
    io::Errno,
    process::{getegid, geteuid},
};

use super::plan::{Isolation, Plan};
use crate::{
    context::{TRANSACTION, transaction},
    failure::Failure,
    place::Place,
    process::{Command, Ended, Running, Sandbox, StartError, Tick},
};

/// A command that can be run, several times if need be.
#[derive(Debug)]
pub(super) struct Execution<'a> {
    plan: &'a Plan,
    root: PathBuf,
    stand: PathBuf,
    isolation: Isolation,
    /// What is said once, not at each run.
    has_told: bool,
    /// A directory in which the sandbox lets nothing be changed.
    foreign: Option<PathBuf>,
}

impl<'a> Execution<'a> {
    pub(super) fn new(plan: &'a Plan, place: &Place) -> Result<Self, Failure> {
        Ok(Self {
            plan,
            root: place.root().to_owned(),
            stand: place.stand()?,
            isolation: plan.isolation,
            has_told: false,
            foreign: None,
        })
    }

    /// Runs it in the transaction `name`, and waits for its end.
    pub(super) fn run(&mut self, name: &str, tick: Option<Tick<'_>>) -> Result<Ended, Failure> {
        let running = match self.isolation {
            Isolation::Outputs => self.start_with_outputs(name)?,
            Isolation::Auto | Isolation::Overlay => match self.start_in_overlay(name) {
                Err(StartError::Sandbox { step, errno }) => self.do_without(name, step, errno)?,
                Err(error) => return Err(cannot_execute(&self.plan.words[0], error)),
                Ok(running) => running,
            },
        };
        let ended = running.wait(tick);
        if !ended.ending.is_success() {
            self.explain_failure();
        }
        Ok(ended)
    }

    fn start_in_overlay(&mut self, name: &str) -> Result<Running, StartError> {
        let sandbox = Sandbox::new(&self.root, name, &self.stand)
            .map_err(|(step, errno)| StartError::Sandbox { step, errno })?;
        let paths = self.plan.outputs.iter().map(|output| output.typed.clone()).collect();
        let variable = (TRANSACTION, transaction(name));
        let running = self.start(paths, Some(variable), Some(&sandbox))?;
        self.tell_of(&sandbox);
        Ok(running)
    }

    fn start(
        &self,
        paths: Vec<OsString>,
        variable: Option<(&'static str, OsString)>,
        sandbox: Option<&Sandbox>,
    ) -> Result<Running, StartError> {
        let (words, mut variables) = self.plan.command(paths);
        variables.extend(variable);
        Command::new(&words).variables(variables).start(sandbox)
    }

    /// The kernel refused the overlay.
    fn do_without(
        &mut self,
        name: &str,
        step: &'static str,
        errno: Errno,
    ) -> Result<Running, Failure> {
        if !is_refusal(errno) {
            return Err(Failure::Io(format!("cannot {step} for the command: {errno}")));
        }
        let what =
            format!("the kernel lets the command have no view of its own: cannot {step}: {errno}");
        if self.isolation == Isolation::Overlay || self.plan.outputs.is_empty() {
            return Err(Failure::NoSandbox(what));
        }
        self.plan
            .wish
            .say(format_args!("{what}; only what it writes to its declared outputs is kept apart"));
        self.isolation = Isolation::Outputs;
        self.has_told = true;
        self.start_with_outputs(name)
    }

    /// In the tree as it is: only the declared outputs are kept apart, because the command is told
    /// to write them elsewhere.
    fn start_with_outputs(&mut self, name: &str) -> Result<Running, Failure> {
        if self.plan.wish.verbose && !self.has_told {
            self.plan
                .wish
                .say(format_args!("only what it writes to its declared outputs is kept apart"));
        }
        self.has_told = true;
        let upper = self.root.join(STATE_DIR).join("staging").join(name).join("upper");
        let mut paths = Vec::new();
        for output in &self.plan.outputs {
            let path = Path::new(std::ffi::OsStr::from_bytes(&output.path));
            make_way(&self.root, &upper, path)?;
            paths.push(upper.join(path).into_os_string());
        }
        self.start(paths, None, None).map_err(|error| cannot_execute(&self.plan.words[0], error))
    }

    /// What the user should know of the command's view, once.
    fn tell_of(&mut self, sandbox: &Sandbox) {
        if std::mem::replace(&mut self.has_told, true) {
            return;
        }
        if self.plan.wish.verbose {
            let whose = if sandbox.is_single_user() { ", of its own user's files" } else { "" };
            self.plan
                .wish
                .say(format_args!("all that it changes is kept apart in an overlay{whose}"));
        }
        let mounts: Vec<_> = sandbox.mounts().map(|m| format!("'{}'", m.display())).collect();
        if !mounts.is_empty() {
            self.plan.wish.say(format_args!(
                "other filesystems are mounted in the build root; what the command changes there is changed at once: {}",
                mounts.join(", ")
            ));
        }
        if sandbox.is_single_user() {
            let is_foreign = |path: &&PathBuf| {
                std::fs::metadata(path).is_ok_and(|found| {
                    found.uid() != geteuid().as_raw() || found.gid() != getegid().as_raw()
                })
            };
            self.foreign = [&self.root, &self.stand].into_iter().find(is_foreign).cloned();
        }
    }

    /// The kernel's own words for what a single-user overlay cannot do mislead.
    fn explain_failure(&self) {
        if let Some(directory) = &self.foreign {
            self.plan.wish.say(format_args!(
                "the command saw a view in which only files of its own user and group can be changed, and '{}' is not theirs; if it said \"Value too large for defined data type\", that is why",
                directory.display()
            ));
        }
    }
}

/// Whether the kernel, or who set it up, does not want it, rather than something having gone wrong.
pub(crate) fn is_refusal(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::PERM
            | Errno::ACCESS
            | Errno::NOSYS
            | Errno::INVAL
            | Errno::NODEV
            | Errno::NOSPC
            | Errno::USERS
            | Errno::OPNOTSUPP
    )
}

/// Why there is no command, as a shell or env(1) has it.
pub(crate) fn cannot_execute(program: &std::ffi::OsStr, error: StartError) -> Failure {
    match error {
        StartError::Execute(errno) => Failure::NotExecuted {
            message: format!("'{}': {errno}", program.display()),
            code: if errno == Errno::NOENT { 127 } else { 126 },
        },
        StartError::Process(errno) => Failure::Io(format!("cannot make a process: {errno}")),
        StartError::Sandbox { step, errno } => Failure::Io(format!("cannot {step}: {errno}")),
    }
}

/// Makes the directories on the way to an output in `upper`, where they have the attributes that a
/// merged directory is to have: those that it has in the tree.
pub(crate) fn make_way(root: &Path, upper: &Path, output: &Path) -> Result<(), Failure> {
    let fail = |path: &Path, errno: Errno| {
        Failure::Io(format!("cannot make a directory for '{}': {errno}", path.display()))
    };
    let parents = output.parent().into_iter().flat_map(Path::ancestors);
    let mut parents: Vec<_> = parents.filter(|path| !path.as_os_str().is_empty()).collect();
    parents.reverse();
    for parent in parents {
        let there = lstat(root.join(parent)).ok();
        match there.as_ref().map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            None | Some(FileType::Directory) => {}
            Some(_) => {
                return Err(Failure::Usage(format!(
                    "'{}' is declared as an output, but '{}' is no directory of the build root",
                    output.display(),
                    parent.display()
                )));
            }
        }
        let made = upper.join(parent);
        match mkdir(&made, Mode::from_raw_mode(0o777)) {
            Ok(()) => {}
            Err(Errno::EXIST) => continue,
            Err(errno) => return Err(fail(parent, errno)),
        }
        if let Some(stat) = there {
            let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
            chmod(&made, mode).map_err(|errno| fail(parent, errno))?;
        }
    }
    Ok(())
}
