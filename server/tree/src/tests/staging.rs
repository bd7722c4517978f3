use std::{fs, io::Write as _, os::fd::AsFd as _};

use super::*;
use crate::{Last, Reason, Staging, open_file, stat};

#[test]
fn what_is_dropped_is_gone() {
    let root = Root::new();
    let staged = root.tree.staging().create_own().unwrap();
    assert_eq!(root.names(".onewriter/staging").len(), 1);
    drop(staged);
    root.assert_staging_empty();
    let name = root.tree.staging().create_for_others().unwrap().leave().unwrap();
    assert_eq!(root.names(".onewriter/staging"), [&*name]);
    drop(root.tree.staging().adopt(name.as_bytes()).unwrap());
    root.assert_staging_empty();
}

#[test]
fn only_a_clients_files_are_adopted() {
    let root = Root::new();
    fs::create_dir(root.path(".onewriter/staging/c-dir")).unwrap();
    fs::write(root.outside("file"), "").unwrap();
    root.link(root.outside("file"), ".onewriter/staging/c-link");
    root.write(".onewriter/staging/s-1", "");
    for name in [
        &b"s-1"[..],
        b"c-missing",
        b"c-/../../x",
        b"../c-x",
        b"",
        b"c-\xff",
        b"c-link",
        b"c-dir",
        b"c-\0",
    ] {
        assert!(root.tree.staging().adopt(name).is_err(), "{name:?}");
    }
}

#[test]
fn a_start_clears_away_what_nobody_writes() {
    let root = Root::new();
    let staging = root.tree.staging();
    let live = staging.create_for_others().unwrap();
    rustix::fs::flock(live.file(), rustix::fs::FlockOperation::LockExclusive).unwrap();
    for name in ["c-dead", "s-dead", "strange"] {
        root.write(&format!(".onewriter/staging/{name}"), "");
    }
    root.mkdir(".onewriter/staging/t-tree/sub");
    assert_eq!(staging.leftovers(false).unwrap(), [b"t-tree"]);
    let all = staging.leftovers(true).unwrap();
    assert_eq!(all.len(), 4, "not the one that is being written");
    for name in all {
        staging.delete(&name).unwrap();
    }
    assert_eq!(root.names(".onewriter/staging").len(), 1);
}

#[test]
fn what_the_daemon_makes_is_spread() {
    let root = Root::new();
    let staging = root.tree.staging();
    if staging.spread().is_err() {
        return; // Not on ext4.
    }
    let bays = root.names(".onewriter/staging");
    let files = || -> Vec<String> {
        bays.iter().flat_map(|bay| root.names(&format!(".onewriter/staging/{bay}"))).collect()
    };
    let made: Vec<_> = bays.iter().map(|_| staging.create_own().unwrap()).collect();
    assert_eq!((root.names(".onewriter/staging"), files().len()), (bays.clone(), bays.len()));
    assert!(made.iter().all(|staged| staged.is_waiting()));
    root.write("old", "old");
    let dir = std::fs::File::open(root.path("")).unwrap();
    for (n, mut staged) in made.into_iter().enumerate() {
        staged.file().write_all(format!("{n}").as_bytes()).unwrap();
        match n {
            0 => staged.place_new(dir.as_fd(), b"new").unwrap(),
            _ => staged.place_over(dir.as_fd(), b"old", n % 2 == 0).unwrap(),
        }
    }
    assert_eq!((root.read("new"), root.read("old")), ("0".into(), format!("{}", bays.len() - 1)));
    assert!(files().is_empty());

    let stays = staging.create_own().unwrap().leave().unwrap();
    assert!(staging.leftovers(false).unwrap().is_empty());
    assert_eq!(files(), [stays]);
    let left = staging.leftovers(true).unwrap();
    left.iter().for_each(|name| staging.delete(name).unwrap());
    root.assert_staging_empty();
    assert!(staging.create_own().unwrap().is_waiting());
    root.assert_staging_empty();
}

#[test]
fn what_cannot_be_removed_now_is_left_for_later() {
    let root = Root::new();
    let staging = root.tree.staging();
    root.write(".onewriter/staging/s-displaced", "");
    assert!(staging.leftovers(false).unwrap().is_empty());
    staging.discard(staging.handle(), b"s-displaced").unwrap();
    assert_eq!((staging.leftovers(false).unwrap().len(), staging.discarded()), (1, 1));
    staging.delete(&staging.leftovers(false).unwrap()[0]).unwrap();
    root.assert_staging_empty();
}

#[test]
fn fresh_names_differ() {
    let names: std::collections::HashSet<_> =
        (0..1000).map(|_| Staging::fresh_name("s-")).collect();
    assert_eq!(names.len(), 1000);
}

#[test]
fn roots_are_made_any_number_of_times() {
    let outside = TempDir::new().unwrap();
    let made: usize = std::thread::scope(|scope| {
        let init = || usize::from(Tree::init(outside.path()).unwrap());
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(init)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!(made, 1);
    assert_eq!(fs::read(outside.path().join(".onewriter/.gitignore")).unwrap(), b"*\n");
    assert_eq!(mode(&outside.path().join(".onewriter")), 0o700);
}

#[test]
fn what_is_no_root() {
    let outside = TempDir::new().unwrap();
    assert_eq!(Tree::open(outside.path()).unwrap_err().reason, Reason::NotFound);
    assert_eq!(Tree::open(&outside.path().join("x")).unwrap_err().reason, Reason::NotFound);
    let other = TempDir::new().unwrap();
    Tree::init(other.path()).unwrap();
    // A link, as a checkout may bring along, is not followed.
    symlink(other.path().join(".onewriter"), outside.path().join(".onewriter")).unwrap();
    assert_eq!(Tree::open(outside.path()).unwrap_err().reason, Reason::NotADirectory);
    assert_eq!(Tree::init(outside.path()).unwrap_err().reason, Reason::NotADirectory);
    fs::remove_file(outside.path().join(".onewriter")).unwrap();
    fs::write(outside.path().join(".onewriter"), "").unwrap();
    assert_eq!(Tree::init(outside.path()).unwrap_err().reason, Reason::NotADirectory);
}

#[test]
fn looking() {
    let root = Root::new();
    root.mkdir("d");
    root.write("d/f", "12345");
    root.link("d/f", "link");
    fs::write(root.outside("file"), "").unwrap();
    root.link(root.outside("file"), "out");
    mkfifo(&root.path("fifo"));
    let (real, found) = stat(&root.tree, &rel("link"), Last::Follow).unwrap();
    let found = found.unwrap();
    assert_eq!((real, found.size, found.inode), (rel("d/f"), 5, root.inode("d/f")));
    let (_, found) = stat(&root.tree, &rel("link"), Last::Keep).unwrap();
    assert_eq!(found.unwrap().target.as_deref(), Some(&b"d/f"[..]));
    assert_eq!(stat(&root.tree, &rel("d/f/x"), Last::Keep).unwrap(), (rel("d/f/x"), None));
    assert_eq!(
        stat(&root.tree, &rel("out"), Last::Follow).unwrap_err().reason,
        Reason::OutsideRoot
    );
    let _socket = std::os::unix::net::UnixListener::bind(root.path("socket")).unwrap();
    for (name, reason) in [
        ("d", Reason::IsADirectory),
        (".", Reason::IsADirectory),
        ("fifo", Reason::Source),
        ("socket", Reason::Source),
        ("missing", Reason::NotFound),
        ("out", Reason::OutsideRoot),
    ] {
        assert_eq!(open_file(&root.tree, &rel(name)).unwrap_err().reason, reason, "{name}");
    }
    let (mut file, found) = open_file(&root.tree, &rel("link")).unwrap();
    let mut content = String::new();
    std::io::Read::read_to_string(&mut file, &mut content).unwrap();
    assert_eq!((content.len() as u64, found.path), (found.size, rel("d/f")));
    file.write_all(b"x").unwrap_err();
}

#[test]
fn no_descriptor_is_left_open() {
    let root = Root::new();
    let open_in_root = || {
        let fds = fs::read_dir("/proc/self/fd").unwrap();
        let paths = fds.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        paths.filter(|path| path.starts_with(root.outside.path())).count()
    };
    let before = open_in_root();
    for n in 0..20 {
        root.publish("a/f", &n.to_string(), |p| p.parents = true).unwrap();
        root.publish("a/f", &n.to_string(), |_| {}).unwrap();
        root.publish("a", "x", |_| {}).unwrap_err();
        root.run(make("a/f/x")).unwrap_err();
        stat(&root.tree, &rel("a/f"), Last::Follow).unwrap();
    }
    assert_eq!(open_in_root(), before);
}

#[test]
fn a_file_takes_no_directory_away() {
    let root = Root::new();
    root.mkdir("there/full");
    let mut staged = root.tree.staging().create_own().unwrap();
    let dir = root.tree.dir(b"").unwrap();
    for synced in [false, true] {
        let placed = staged.place_over(std::os::fd::AsFd::as_fd(&dir), b"there", synced);
        assert_eq!(placed, Err(rustix::io::Errno::ISDIR));
    }
    drop(staged);
    assert!(root.path("there/full").is_dir());
    assert!(root.tree.staging().leftovers(true).unwrap().is_empty());
}

#[test]
fn without_a_root_files_wait_beside_what_they_become_and_are_gone_after() {
    let dir = tempfile::tempdir().unwrap();
    let dir = std::fs::canonicalize(dir.path()).unwrap();
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("source"), "new").unwrap();
    std::fs::write(dir.join("target"), "old").unwrap();
    let below = |name: &str| {
        let path = dir.join(name);
        RelPath::parse(path.strip_prefix("/").unwrap().as_os_str().as_encoded_bytes()).unwrap()
    };
    let tree = Tree::without_root(&dir.join("none/yet/target")).unwrap();
    let source = Source::InTree { path: below("source"), consume: false };
    let mut publish = Publish::new(below("target"), source);
    let mut effects = Effects::new(false);
    mutation::run(&mut publish, &tree, &mut effects).unwrap();
    assert_eq!(std::fs::read_to_string(dir.join("target")).unwrap(), "new");
    let staged = tree.staging().create_for_others().unwrap();
    let name = staged.leave().unwrap();
    assert!(name.starts_with(".onewriter-c-"), "{name}");
    drop(tree.staging().adopt(name.as_bytes()).unwrap());
    let mut names: Vec<_> =
        std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["source", "target"]);
    assert!(tree.staging().leftovers(true).unwrap().is_empty(), "what lies there is not ours");
    std::fs::remove_dir_all(&dir).unwrap();
}
