//! Publishing to the disk: many at a time through the daemon, against an fsync of file and
//! directory for each.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use onewriter_proto::v1::mutations_client::MutationsClient;

use crate::{
    daemon::{IN_FLIGHT, connect, publish},
    support::{Root, Setup, each, median, row},
};

pub(crate) fn figures(setup: &Setup) {
    let root = Root::new(setup, "power");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let direct = tempfile::tempdir().expect("a temp directory");
    for dir in [root.path(), direct.path()] {
        for n in 0..2u8 {
            fs::write(dir.join(format!("source.{n}")), vec![n; 4096]).expect("a source");
        }
    }
    let channel = runtime.block_on(connect(&root.socket(), 1)).remove(0);
    let (mut shared, mut alone): (Vec<Duration>, Vec<Duration>) = Default::default();
    for round in 0..setup.rounds(30) {
        let begun = Instant::now();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..IN_FLIGHT)
                .map(|n| {
                    let mut client = MutationsClient::new(channel.clone());
                    let source = root.path().join(format!("source.{}", round % 2));
                    tokio::spawn(
                        async move { publish(&mut client, format!("file.{n}"), &source).await },
                    )
                })
                .collect();
            for task in tasks {
                task.await.expect("it is published");
            }
        });
        shared.push(begun.elapsed());
        let begun = Instant::now();
        for n in 0..IN_FLIGHT {
            replace(direct.path(), &format!("file.{n}"), round as u8).expect("it is replaced");
        }
        alone.push(begun.elapsed());
    }
    let [shared, alone] = [shared, alone].map(|times| each(median(times), IN_FLIGHT));
    row(
        "publish of 4 KiB to the disk, 64 at a time",
        shared,
        alone,
        "us",
        "us fsync each",
        Some(0.6),
    );
}

/// What a careful program does by itself.
fn replace(dir: &Path, name: &str, fill: u8) -> std::io::Result<()> {
    let temporary = dir.join("temporary");
    let mut file = File::create(&temporary)?;
    file.write_all(&[fill; 4096])?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    File::open(dir)?.sync_all()
}
