//! The small tree on which lines are tried, and what can be seen of it afterwards.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// A moment before any of this, in seconds since 1970; whatever is later was made by a line.
const PAST: u64 = 1_400_000_000;

/// Makes the tree, anew, at `top`.
pub fn plant(top: &Path) {
    clear(top);
    let directory = |name: &str| fs::create_dir_all(top.join(name)).expect("a directory");
    for name in ["d/e", "e", "rod", "tree/s", "sgid", "priv"] {
        directory(name);
    }
    let files = [
        ("f", 0o644),
        ("g", 0o640),
        ("exe", 0o755),
        ("ro", 0o444),
        ("empty", 0o644),
        ("h1", 0o644),
        ("x y", 0o600),
        ("it's", 0o644),
        ("d/f", 0o644),
        ("d/g", 0o755),
        ("d/e/x", 0o644),
        ("rod/f", 0o644),
        ("tree/a", 0o644),
        ("tree/s/b", 0o640),
        ("priv/f", 0o644),
        ("a=b", 0o664),
    ];
    for (name, mode) in files {
        let content = if name == "empty" { String::new() } else { format!("this is {name}\n") };
        fs::write(top.join(name), content).expect("a file");
        fs::set_permissions(top.join(name), fs::Permissions::from_mode(mode)).expect("its mode");
    }
    fs::hard_link(top.join("h1"), top.join("h2")).expect("a hard link");
    for (name, target) in [
        ("lf", "f"),
        ("ld", "d"),
        ("dang", "nowhere"),
        ("out", "../../../outside"),
        ("up", "../case/d"),
        ("tree/s/lnk", "b"),
    ] {
        symlink(target, top.join(name)).expect("a link");
    }
    let mut all: Vec<PathBuf> = vec![top.to_owned()];
    all.extend(walk(top).into_iter().map(|path| top.join(path)));
    for (number, path) in all.iter().enumerate() {
        let meta = fs::symlink_metadata(path).expect("what is there");
        if meta.is_dir() {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let mode = match name {
                "rod" => 0o555,
                "sgid" => 0o2755,
                "priv" => 0o700,
                _ => 0o755,
            };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
        }
        if !meta.is_symlink() {
            let time = SystemTime::UNIX_EPOCH + Duration::new(PAST + number as u64, 123_456_789);
            let times = fs::FileTimes::new().set_modified(time).set_accessed(time);
            fs::File::open(path).and_then(|file| file.set_times(times)).expect("its times");
        }
    }
}

fn clear(top: &Path) {
    let above = top.parent().expect("it has one");
    fs::create_dir_all(above).expect("what is above");
    fs::set_permissions(above, fs::Permissions::from_mode(0o755)).expect("its mode");
    for path in walk(top) {
        let path = top.join(path);
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o700));
        }
    }
    let _ = fs::set_permissions(top, fs::Permissions::from_mode(0o700));
    let _ = fs::remove_dir_all(top);
    fs::create_dir_all(top).expect("the top");
}

/// Everything below `top`, sorted; directories are opened where their modes would keep us out.
fn walk(top: &Path) -> Vec<PathBuf> {
    let (mut found, mut pending) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(directory) = pending.pop() {
        let here = top.join(&directory);
        let Ok(meta) = fs::metadata(&here) else { continue };
        let closed = meta.mode() & 0o500 != 0o500;
        if closed {
            let _ = fs::set_permissions(&here, fs::Permissions::from_mode(0o700));
        }
        for entry in fs::read_dir(&here).into_iter().flatten().flatten() {
            let path = directory.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                pending.push(path.clone());
            }
            found.push(path);
        }
        if closed {
            let _ = fs::set_permissions(&here, meta.permissions());
        }
    }
    found.sort();
    found
}

/// What can be seen of each path: what it is, its mode and content, which other names it has, and
/// its modification time where a line set or kept it.
pub fn seen(top: &Path) -> BTreeMap<PathBuf, String> {
    let mut first_names = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for path in walk(top) {
        let here = top.join(&path);
        let Ok(meta) = fs::symlink_metadata(&here) else {
            seen.insert(path, "out of sight".into());
            continue;
        };
        let first = first_names.entry(meta.ino()).or_insert_with(|| path.clone()).clone();
        let what = if meta.is_symlink() {
            format!("link to {:?}", fs::read_link(&here).unwrap_or_default())
        } else if meta.is_dir() {
            "directory".into()
        } else {
            let time = match meta.mtime() as u64 {
                old if old < PAST + 1000 => format!("{old}.{}", meta.mtime_nsec()),
                _ => "now".into(),
            };
            let content = fs::read(&here).map(|c| String::from_utf8_lossy(&c).into_owned());
            format!("file {content:?} of {time}, first {first:?} of {}", meta.nlink())
        };
        let mode = if meta.is_symlink() { 0 } else { meta.mode() & 0o7777 };
        seen.insert(path, format!("{what} {mode:o} {}:{}", meta.uid(), meta.gid()));
    }
    seen
}

/// The modification times of the directories that are of the past.
pub fn old_directories(top: &Path) -> BTreeMap<PathBuf, (i64, i64)> {
    let old = |path: PathBuf| {
        let meta = fs::symlink_metadata(top.join(&path)).ok()?;
        let is_old = meta.is_dir() && (meta.mtime() as u64) < PAST + 1000;
        is_old.then(|| (path, (meta.mtime(), meta.mtime_nsec())))
    };
    walk(top).into_iter().filter_map(old).collect()
}
