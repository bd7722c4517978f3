//! Symbolic links that are planted while requests run.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;
use crate::{
    Last, Reason,
    mutation::{HardLink, ModeChange, Moment, Remove, Rename, SetAttributes, Symlink, Touch},
    open_file, stat,
};

/// What one round of requests below `dir` is made of.
fn requests(root: &Root, n: usize) -> Vec<Box<dyn Mutation>> {
    let at = |name: &str| rel(&format!("dir/{name}"));
    let (replace, parents, umask) = (true, n.is_multiple_of(2), 0);
    let mut publish = Publish::new(at("file"), local(&root.outside("source"), false));
    (publish.parents, publish.follow) = (parents, n.is_multiple_of(3));
    publish.unchanged = mutation::Unchanged::Replace;
    let mode = Some(ModeChange { keep: 0, set: 0o777 });
    let (from, to) = (at("file"), at("other"));
    vec![
        Box::new(make(&format!("dir/sub/{n}"))),
        Box::new(publish),
        Box::new(Symlink { path: at("link"), target: b"x".into(), replace, parents, umask }),
        Box::new(HardLink { source: rel("seed"), path: at("hard"), replace, parents, umask }),
        Box::new(Touch {
            path: at("victim"),
            no_create: false,
            atime: Moment::Now,
            mtime: Moment::Now,
            umask,
        }),
        Box::new(SetAttributes {
            path: at("victim"),
            mode,
            uid: None,
            gid: None,
            atime: None,
            mtime: None,
        }),
        Box::new(Rename { from, to, must_create: false, parents, keep_unchanged: false, umask }),
        Box::new(Remove {
            path: at("sub"),
            recursive: true,
            allow_missing: true,
            directory: false,
        }),
        Box::new(Remove {
            path: at("victim"),
            recursive: false,
            allow_missing: true,
            directory: false,
        }),
    ]
}

/// Stops a thread that goes on until it is told.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A directory that turns into a link out of the root and back, all the time.
#[test]
fn nothing_outside_ever_changes() {
    let root = Root::new();
    root.mkdir("dir");
    root.write("seed", "seed");
    fs::write(root.outside("source"), "content").unwrap();
    let outside = root.outside("elsewhere");
    fs::create_dir_all(outside.join("sub/keep")).unwrap();
    for name in ["victim", "file", "other"] {
        fs::write(outside.join(name), "untouched").unwrap();
        chmod(&outside.join(name), 0o600);
        backdate(&outside.join(name));
    }
    let before = names(&outside);
    let times: Vec<_> = before.iter().map(|name| mtime(&outside.join(name))).collect();
    root.link(&outside, "swap");

    let done = AtomicBool::new(false);
    let swaps = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        // Also when an assertion fails.
        let _stop = Stop(&done);
        scope.spawn(|| {
            while !done.load(Relaxed) {
                let (a, b) = (root.path("dir"), root.path("swap"));
                renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
                swaps.fetch_add(1, Relaxed);
            }
        });
        let (mut done, mut refused, mut n) = (0, 0, 0);
        // Until both have been seen, whatever the scheduler makes of two threads on a busy machine.
        while n < 150 || swaps.load(Relaxed) < 1000 || done == 0 || refused == 0 {
            for mut request in requests(&root, n) {
                let (answer, _) = root.attempt(&mut *request);
                done += usize::from(answer.is_ok());
                refused += usize::from(answer.is_err());
                if let Err(error) = answer {
                    let expected = [
                        Reason::OutsideRoot,
                        Reason::SymlinkRace,
                        Reason::NotFound,
                        Reason::NotADirectory,
                        Reason::IsADirectory,
                    ];
                    assert!(expected.contains(&error.reason), "{}: {error}", request.method());
                }
            }
            if let Ok((_, Some(found))) = stat(&root.tree, &rel("dir/victim"), Last::Follow) {
                assert_eq!(found.size, 0, "a description of a file outside");
            }
            if let Ok((_, found)) = open_file(&root.tree, &rel("dir/other")) {
                assert_eq!(found.size, 7, "a file outside was opened");
            }
            n += 1;
        }
    });
    assert_eq!(names(&outside), before);
    for (name, time) in before.iter().zip(times) {
        assert_eq!(mtime(&outside.join(name)), time, "{name}");
    }
    for name in ["victim", "file", "other"] {
        assert_eq!(fs::read_to_string(outside.join(name)).unwrap(), "untouched");
        assert_eq!(mode(&outside.join(name)), 0o600);
    }
    assert_eq!(names(&outside.join("sub")), ["keep"]);
    let left = root.tree.staging().leftovers(true).unwrap();
    assert!(left.iter().all(|name| name.starts_with(b"t-")), "{left:?}");
}

/// A file that turns into a link to one outside and back, all the time.
#[test]
fn no_file_outside_ever_changes() {
    let root = Root::new();
    root.write("spot", "inside");
    fs::write(root.outside("source"), "inside").unwrap();
    let victim = root.outside("victim");
    fs::write(&victim, "untouched").unwrap();
    chmod(&victim, 0o600);
    let before = backdate(&victim);
    root.link(&victim, "swap");
    let done = AtomicBool::new(false);
    let swaps = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let _stop = Stop(&done);
        scope.spawn(|| {
            while !done.load(Relaxed) {
                let (a, b) = (root.path("spot"), root.path("swap"));
                renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
                swaps.fetch_add(1, Relaxed);
            }
        });
        let mut n = 0;
        while n < 2000 || swaps.load(Relaxed) < 1000 {
            let now = Moment::Now;
            let (path, umask) = (rel("spot"), 0);
            let touch = Touch { path, no_create: true, atime: now, mtime: now, umask };
            let mode = Some(ModeChange { keep: 0, set: 0o666 });
            let path = rel("spot");
            let set = SetAttributes { path, mode, uid: None, gid: None, atime: None, mtime: None };
            for answer in [root.run(touch), root.run(set)] {
                let refused = answer.err().map_or(Reason::OutsideRoot, |error| error.reason);
                assert!(matches!(refused, Reason::OutsideRoot | Reason::SymlinkRace));
            }
            match stat(&root.tree, &rel("spot"), Last::Follow) {
                Ok((_, found)) => assert_eq!(found.expect("there always is one").size, 6),
                Err(error) => {
                    assert!(matches!(error.reason, Reason::OutsideRoot | Reason::SymlinkRace));
                }
            }
            if let Ok((file, _)) = open_file(&root.tree, &rel("spot")) {
                assert_eq!(file.metadata().unwrap().len(), 6);
            }
            n += 1;
        }
    });
    assert_eq!((mode(&victim), mtime(&victim)), (0o600, before));
}

#[test]
fn makers_and_removers_of_one_tree() {
    let root = Root::new();
    fs::write(root.outside("source"), "x").unwrap();
    let answers: Vec<Result<_, Error>> = std::thread::scope(|scope| {
        let work = |kind: usize| {
            (0..150).map(move |n| (kind, n)).map(|(kind, n)| match kind {
                0 => root.run(make(&format!("t/a/b/{n}"))),
                1 => {
                    let mut p = Publish::new(rel("t/a/f"), local(&root.outside("source"), false));
                    p.parents = true;
                    root.run(p)
                }
                _ => root.run(Remove {
                    path: rel("t"),
                    recursive: true,
                    allow_missing: true,
                    directory: false,
                }),
            })
        };
        let threads: Vec<_> =
            (0..4).map(|kind| scope.spawn(move || work(kind).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    for answer in answers {
        if let Err(error) = answer {
            // No lock keeps them apart here: but nobody is told anything else than that.
            assert_eq!(error.reason, Reason::SymlinkRace, "{error}");
        }
    }
}
