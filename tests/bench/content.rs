//! A large file: streamed and by local path, against `cp`.

use std::{
    fs::{self, File},
    io::Write as _,
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{Root, Setup, each, median, row, time};

const SIZE: usize = 256 << 20;

pub(crate) fn figures(setup: &Setup) {
    let root = Root::new(setup, "process");
    let source = root.path().join("source");
    let mut file = File::create(&source).expect("a source");
    let block: Vec<u8> =
        (0..1u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for _ in 0..SIZE >> 20 {
        file.write_all(&block).expect("a source");
    }
    let server = format!("unix:{}", root.socket().display());
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..setup.rounds(9).max(2) {
        for (kind, times) in times.iter_mut().enumerate() {
            // What was written before must not be written back while this is measured.
            rustix::fs::sync();
            times.push(match kind {
                0 => time(
                    Command::new("/usr/bin/cp").args(["source", "target"]).current_dir(root.path()),
                ),
                1 => time(&mut root.command(&["publish", "source", "target"])),
                _ => streamed(&root, &server, &source),
            });
            fs::remove_file(root.path().join("target")).expect("it was made");
        }
    }
    let [cp, local, stream] = times.map(|times| each(median(times), 1000));
    row("publish of 256 MiB, streamed", stream, cp, "ms", "ms cp", Some(1.4));
    row("publish of 256 MiB, by local path", local, cp, "ms", "ms cp", Some(1.2));
}

/// By its address, a daemon is sent the content: it may be anybody's.
fn streamed(root: &Root, server: &str, source: &std::path::Path) -> Duration {
    let mut command = root.command(&["publish", "--server", server, "target"]);
    command.stdin(File::open(source).expect("the source"));
    let begun = Instant::now();
    assert!(command.status().expect("onewriter can be run").success(), "it is published");
    begun.elapsed()
}
