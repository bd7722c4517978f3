//! Many at once, and what readers see of it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::*;

/// A mutation that meets a symbolic link, on a filesystem that does not answer until it is told to.
struct Linked {
    probe: Probe,
    asked: UnboundedSender<()>,
    answer: Receiver<()>,
}

impl Mutation for Linked {
    fn method(&self) -> &'static str {
        "linked"
    }

    fn claims(&mut self) -> Vec<Claim<'_>> {
        self.probe.claims()
    }

    fn resolve(&mut self, _: &Tree) -> Result<(), Error> {
        self.asked.send(()).unwrap();
        let answered = self.answer.recv_timeout(Duration::from_secs(20));
        answered.map_err(|_| Error::new(onewriter_tree::Reason::Io, b"link", "it hangs"))
    }

    fn apply(&mut self, tree: &Tree, effects: &mut Effects) -> Result<(), Fault> {
        self.probe.apply(tree, effects)
    }
}

#[tokio::test]
async fn others_are_served_while_a_filesystem_hangs_that_a_link_leads_to() {
    let site = Site::new();
    let (asked, mut is_asked) = unbounded_channel();
    let (go_on, answer) = channel();
    let mut attempts = 0;
    let probe = Probe::new("link", move |_| {
        attempts += 1;
        if attempts == 1 { Err(Fault::Moved) } else { Ok(()) }
    });
    let linked = site.start("linked", Linked { probe, asked, answer });
    is_asked.recv().await.unwrap();
    site.run(mkdir("d")).await.unwrap();
    go_on.send(()).unwrap();
    ended(linked).await.unwrap();
}

/// Content that shows any mixture: one byte all over, as many of it as it says.
fn content(writer: usize) -> Vec<u8> {
    let byte = writer as u8 + 1;
    vec![byte; 1000 + usize::from(byte) * 37]
}

fn is_whole(seen: &[u8]) -> bool {
    let Some(&byte) = seen.first() else { return false };
    seen.len() == 1000 + usize::from(byte) * 37 && seen.iter().all(|b| *b == byte)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_whole_files_whatever_64_writers_do() {
    let site = Site::new();
    site.run(site.publish("f", &content(0))).await.unwrap();
    let (over, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (over, reads, path) = (Arc::clone(&over), Arc::clone(&reads), site.path("f"));
            std::thread::spawn(move || {
                while !over.load(SeqCst) {
                    let seen = std::fs::read(&path).expect("the file is never missing");
                    assert!(is_whole(&seen), "{} bytes of {:?}", seen.len(), seen.first());
                    reads.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    let writers = (0..64 * 8).map(|n| site.start("w", site.publish("f", &content(n % 64))));
    for writer in writers.collect::<Vec<_>>() {
        ended(writer).await.unwrap();
    }
    until("the readers saw something", || reads.load(SeqCst) > 10).await;
    over.store(true, SeqCst);
    for reader in readers {
        reader.join().unwrap();
    }
    assert!(site.engine.locks().is_idle());
    assert_eq!(site.staging(), 0);
    assert_eq!(std::fs::read_dir(site.root.path()).unwrap().count(), 2, "nothing beside the file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_and_recursive_removers_do_not_break_each_other() {
    let site = Site::new();
    let mut tasks = Vec::new();
    for round in 0..40 {
        for n in 0..8 {
            tasks.push(site.start("p", site.publish(&format!("d/e{}/f{n}", round % 3), b"x")));
        }
        tasks.push(site.start("r", remove_all("d")));
        tasks.push(site.start("m", mkdir("d/e1/sub")));
    }
    for task in tasks {
        ended(task).await.unwrap();
    }
    site.run(remove_all("d")).await.unwrap();
    assert!(!site.path("d").exists());
    until("the removed trees are deleted", || site.staging() == 0).await;
    until("and counted", || site.engine.trash() == 0).await;
    assert!(site.engine.locks().is_idle());
}
