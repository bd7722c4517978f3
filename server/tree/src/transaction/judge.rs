//! What becomes of each entry of an upper directory, by what is in the tree now: what is unchanged,
//! what was changed by others meanwhile, what was not declared. Only looks.

use std::{
    collections::{BTreeMap, HashSet},
    os::fd::{AsFd as _, BorrowedFd},
};

use rustix::{
    fs::{FileType, Mode, OFlags, Stat, Timespec, openat, readlinkat},
    io::Errno,
};

use super::{
    CommitTerms, Conflict, History, Report,
    failed::Failed,
    plan::{How, Unit},
    upper::later,
    walk::{self, Contents, Entry, Folder, Kind, ctime, kind},
    xattr,
};
use crate::{content, error::Error, mutation::Unchanged, path::RelPath};

/// Who changed what nobody is known to have changed.
const OUTSIDER: &str = "something outside of onewriter";

/// What becomes of a unit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// There is nothing to remove.
    Nothing,
    /// A directory that stays.
    Merge { there: Stat },
    /// The tree has it already.
    Keep { there: Stat },
    /// It is put where nothing is.
    Create,
    /// It is put in the place of what is there.
    Replace { there: Stat },
    /// What is there goes.
    Remove { there: Stat },
}

/// All that is decided.
#[derive(Default)]
pub(super) struct Verdict {
    /// Of each unit of the plan.
    pub fates: Vec<Fate>,
    /// Entries that become links of the file that the tree has at a path.
    pub links: BTreeMap<usize, (RelPath, u64)>,
    /// What vanishes with directories that are replaced; whether each is a directory.
    pub vanished: Vec<(RelPath, bool)>,
    /// Entries in whole directories that take the place of something.
    pub replaced: HashSet<usize>,
    pub report: Report,
}

pub(super) struct Judge<'a> {
    pub contents: &'a Contents,
    pub terms: &'a CommitTerms,
    pub history: &'a dyn History,
    pub birth: Timespec,
    pub root: BorrowedFd<'a>,
    pub tree: Folder<'a>,
    pub upper: Folder<'a>,
    pub verdict: Verdict,
}

impl Judge<'_> {
    pub(super) fn judge(mut self, units: &[Unit]) -> Result<Verdict, Error> {
        for unit in units {
            let entry = &self.contents.entries[unit.entry];
            let fate = self.fate(unit).map_err(|failed| match failed {
                Failed::Errno(errno) => {
                    Error::io(entry.path.for_syscall(), "cannot compare it with the tree", errno)
                }
                Failed::Error(error) => error,
            })?;
            self.verdict.fates.push(fate);
        }
        self.join_links(units);
        Ok(self.verdict)
    }

    fn fate(&mut self, unit: &Unit) -> Result<Fate, Failed> {
        let entry = &self.contents.entries[unit.entry];
        let there = self.tree.look(&entry.path)?;
        match (unit.how, there) {
            (How::Merge { .. }, Some(there)) => Ok(Fate::Merge { there }),
            (How::Merge { .. }, None) => Err(Errno::NOENT.into()),
            (_, None) if entry.kind == Kind::Whiteout => Ok(Fate::Nothing),
            (how, None) => {
                self.nothing_there(entry);
                if how == How::Whole {
                    for below in self.contents.below(unit.entry) {
                        self.nothing_there(&self.contents.entries[below]);
                    }
                }
                Ok(Fate::Create)
            }
            (how, Some(there)) if kind(&there) == FileType::Directory => {
                let old = walk::below(self.root, &entry.path)?;
                self.directory_goes(entry, &old)?;
                if how == How::Whole {
                    self.compare_whole(&old)?;
                }
                Ok(self.removed_or_replaced(entry, there))
            }
            (how, Some(there)) => {
                if how == How::Single && self.is_same(entry, &there)? {
                    if self.terms.unchanged_at(&entry.path) != Unchanged::Replace {
                        return Ok(Fate::Keep { there });
                    }
                } else {
                    self.file_goes(entry, &there);
                }
                Ok(self.removed_or_replaced(entry, there))
            }
        }
    }

    fn removed_or_replaced(&self, entry: &Entry, there: Stat) -> Fate {
        match entry.kind {
            Kind::Whiteout => Fate::Remove { there },
            _ => Fate::Replace { there },
        }
    }

    fn conflict(&mut self, path: &RelPath, other: String) {
        self.verdict.report.conflicts.push(Conflict { path: path.clone(), other });
    }

    /// A directory that others removed is made again; a file that they removed is another matter.
    fn nothing_there(&mut self, entry: &Entry) {
        if matches!(entry.kind, Kind::Other(_))
            && let Some(other) = self.history.changed(&entry.path)
        {
            self.conflict(&entry.path, other);
        }
    }

    fn file_goes(&mut self, entry: &Entry, there: &Stat) {
        let outsider = || later(ctime(there), self.birth).then(|| OUTSIDER.to_owned());
        if let Some(other) = self.history.changed(&entry.path).or_else(outsider) {
            self.conflict(&entry.path, other);
        }
    }

    /// A directory of the tree goes, with all in it that others may have put there meanwhile.
    fn directory_goes(&mut self, entry: &Entry, old: &[Entry]) -> Result<(), Failed> {
        if let Some(other) = self.history.changed(&entry.path) {
            self.conflict(&entry.path, other);
        }
        let mut known = HashSet::new();
        for (path, other) in self.history.changed_below(&entry.path) {
            let there = self.tree.look(&path)?;
            known.insert(path.clone());
            if let Some(there) = there
                && !self.is_matched(&path, &there)?
            {
                self.conflict(&path, other);
            }
        }
        for old in old.iter().skip(1) {
            let is_new = !old.is_directory() && later(ctime(&old.stat), self.birth);
            if is_new && !known.contains(&old.path) && !self.is_matched(&old.path, &old.stat)? {
                self.conflict(&old.path, OUTSIDER.to_owned());
            }
        }
        Ok(())
    }

    /// Whether the upper directory has the same at `path` as the tree.
    fn is_matched(&mut self, path: &RelPath, there: &Stat) -> Result<bool, Failed> {
        let contents = self.contents;
        let Some(entry) = contents.at(path) else { return Ok(false) };
        match kind(there) {
            FileType::Directory => Ok(entry.is_directory()),
            _ => Ok(self.is_same(entry, there)?),
        }
    }

    /// A directory is replaced by another as a whole: files in it that are the same stay the same
    /// file, others are replaced, and what has no counterpart vanishes.
    fn compare_whole(&mut self, old: &[Entry]) -> Result<(), Failed> {
        let mut at = 1;
        while let Some(entry) = old.get(at) {
            let found = self.contents.at(&entry.path).filter(|e| e.kind != Kind::Whiteout);
            let Some(new) = found else {
                self.verdict.vanished.push((entry.path.clone(), entry.is_directory()));
                at = entry.end;
                continue;
            };
            at = if entry.is_directory() && !new.is_directory() { entry.end } else { at + 1 };
            if let Some(index) = self.contents.index_of(&new.path) {
                self.verdict.replaced.insert(index);
                let keeps = self.terms.unchanged_at(&new.path) == Unchanged::Keep
                    && new.is_file()
                    && new.mode() == entry.mode()
                    && self.is_same(new, &entry.stat)?;
                if keeps {
                    let link = (entry.path.clone(), entry.stat.st_ino);
                    self.verdict.links.insert(index, link);
                }
            }
        }
        Ok(())
    }

    /// Whether an entry is what is in the tree, but for mode and times.
    fn is_same(&mut self, entry: &Entry, there: &Stat) -> Result<bool, Errno> {
        let Kind::Other(what) = entry.kind else { return Ok(false) };
        let new = &entry.stat;
        if what != kind(there)
            || (new.st_uid, new.st_gid) != (there.st_uid, there.st_gid)
            || new.st_size != there.st_size
        {
            return Ok(false);
        }
        let (upper, tree) = (self.upper.of(&entry.path)?, self.tree.of(&entry.path)?);
        if !xattr::same(&xattr::place(upper.0, upper.1), &xattr::place(tree.0, tree.1))? {
            return Ok(false);
        }
        match what {
            FileType::RegularFile => same_content(upper, tree),
            FileType::Symlink => Ok(readlinkat(upper.0, upper.1, Vec::new())?
                == readlinkat(tree.0, tree.1, Vec::new())?),
            FileType::Fifo => Ok(true),
            FileType::CharacterDevice | FileType::BlockDevice => Ok(new.st_rdev == there.st_rdev),
            // Whoever listens at a socket does so at this one.
            _ => Ok(false),
        }
    }

    /// Names of one file stay names of one file, also where the tree's own stays for one of them.
    fn join_links(&mut self, units: &[Unit]) {
        let mut groups: BTreeMap<u64, (RelPath, u64)> = BTreeMap::new();
        let entries = &self.contents.entries;
        let is_linked =
            |entry: &Entry| matches!(entry.kind, Kind::Other(_)) && entry.stat.st_nlink > 1;
        for (unit, fate) in units.iter().zip(&self.verdict.fates) {
            let entry = &entries[unit.entry];
            if let Fate::Keep { there } = fate
                && is_linked(entry)
            {
                let anchor = (entry.path.clone(), there.st_ino);
                groups.entry(entry.stat.st_ino).or_insert(anchor);
            }
        }
        for (index, link) in &self.verdict.links {
            if is_linked(&entries[*index]) {
                groups.entry(entries[*index].stat.st_ino).or_insert(link.clone());
            }
        }
        for (unit, fate) in units.iter().zip(&mut self.verdict.fates) {
            let all = match unit.how {
                How::Whole => unit.entry..entries[unit.entry].end,
                _ => unit.entry..unit.entry + 1,
            };
            for index in all.filter(|&index| is_linked(&entries[index])) {
                let Some(anchor) = groups.get(&entries[index].stat.st_ino) else { continue };
                match fate {
                    Fate::Keep { there } if there.st_ino == anchor.1 => continue,
                    Fate::Keep { there } => *fate = Fate::Replace { there: *there },
                    _ => {}
                }
                self.verdict.links.insert(index, anchor.clone());
            }
        }
    }
}

/// What cannot be read cannot be compared, and counts as different.
fn same_content(
    (upper, upper_name): (BorrowedFd<'_>, &[u8]),
    (tree, tree_name): (BorrowedFd<'_>, &[u8]),
) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = |dir: BorrowedFd<'_>, name: &[u8]| openat(dir.as_fd(), name, flags, Mode::empty());
    match (open(upper, upper_name), open(tree, tree_name)) {
        (Ok(a), Ok(b)) => content::same(&a.into(), &b.into()),
        (Err(Errno::ACCESS), _) | (_, Err(Errno::ACCESS)) => Ok(false),
        (Err(errno), _) | (_, Err(errno)) => Err(errno),
    }
}
