//! What is written down.

use std::time::SystemTime;

use onewriter_tree::Reason;

use super::*;

fn entry(method: &str, path: &str, outcome: &str) -> (String, String, String) {
    (method.into(), path.into(), outcome.into())
}

#[tokio::test]
async fn each_change_and_each_refusal_is_recorded_once_in_order() {
    let site = Site::new();
    site.run(mkdir("a/b")).await.unwrap();
    site.run(mkdir("a/b")).await.unwrap();
    site.run(site.publish("a/f", b"x")).await.unwrap();
    refused(site.run(mkdir("a/f/g")).await);
    site.run(site.publish("a/f", b"x")).await.unwrap();
    site.run(site.publish("a/f", b"yy")).await.unwrap();
    site.run(remove_all("a")).await.unwrap();
    let expected = [
        entry("mkdir", "a", "created"),
        entry("mkdir", "a/b", "created"),
        entry("mkdir", "a/b", "existed"),
        entry("publish", "a/f", "created"),
        entry("mkdir", "a/f/g", "refused"),
        entry("publish", "a/f", "unchanged"),
        entry("publish", "a/f", "replaced"),
        entry("remove", "a", "removed"),
    ];
    assert_eq!(site.recorded().await, expected);
    let counts = site.engine.counts();
    assert_eq!(counts.mutations[&("mkdir", "created")], 2);
    assert_eq!(counts.mutations[&("mkdir", "refused")], 1);
    assert_eq!(counts.refusals, [("NOT_A_DIRECTORY", 1)].into());
    assert_eq!(counts.bytes, 3);
}

#[tokio::test]
async fn a_record_says_who_when_and_how_long() {
    let site = Site::new();
    let before = SystemTime::now();
    let hold = site.hold("d").await;
    let owner =
        Owner { build: "b1".into(), target: "all".into(), pid: 12, uid: 34, ..Owner::default() };
    let caller = Caller { owner, directory: "sub".into(), ..Caller::default() };
    let engine = Arc::clone(&site.engine);
    let waiter = tokio::spawn(async move { engine.run(caller, Box::new(mkdir("d"))).await });
    until("it waits", || site.waiting() == ["d"]).await;
    let waited_from = SystemTime::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    hold.let_go().await.unwrap();
    ended(waiter).await.unwrap();
    let record = site.journal().await.pop().unwrap();
    let who = (record.build, record.target, record.directory, record.pid, record.uid);
    assert_eq!(who, ("b1".into(), "all".into(), "sub".into(), 12, 34));
    assert!(record.took >= Duration::from_millis(20), "waiting is included");
    assert!(record.at >= waited_from, "it is done when it is done");
    assert!(waited_from > before && record.at <= SystemTime::now());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_directory_and_a_file_of_one_name_one_wins_and_one_is_told() {
    let site = Site::new();
    for round in 0..100 {
        let path = format!("n{round}");
        let file = site.start("file", site.publish(&path, b"x"));
        let directory = site.start("directory", mkdir(&path));
        let (file, directory) = (ended(file).await, ended(directory).await);
        match (file, directory) {
            (Ok(_), Err(lost)) => {
                assert_eq!(lost.error.reason, Reason::NotADirectory);
                assert!(lost.error.to_string().contains("is a regular file"), "{lost}");
                assert!(site.path(&path).is_file());
            }
            (Err(lost), Ok(_)) => {
                assert_eq!(lost.error.reason, Reason::IsADirectory);
                assert!(site.path(&path).is_dir());
            }
            both => panic!("{both:?}"),
        }
    }
    assert_eq!(site.staging(), 0, "the losers' content is gone");
}
