//! A daemon's beginning and end.

use std::os::fd::AsRawFd as _;

use onewriter_core::{Durability, OwnershipError};
use prost::Message as _;
use prost_types::FileDescriptorProto;
use rustix::fs::{FlockOperation, flock};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus::*, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::*;

#[tokio::test]
async fn a_root_has_one_daemon() {
    let daemon = Daemon::start().await;
    let second = run_with(config(daemon.root.path()), None, std::future::pending(), |_| {
        panic!("it must not serve")
    });
    match in_time(second).await {
        Err(DaemonError::Ownership { source: OwnershipError::Taken { owner }, root }) => {
            assert_eq!(owner, Some(std::process::id()));
            assert_eq!(root, daemon.root.path().canonicalize().unwrap());
        }
        other => panic!("{other:?}"),
    }
    // The first has noticed nothing, and the root is free when it has ended.
    daemon.mutations().await.make_directories(mkdir(&["d"])).await.unwrap();
    let root = daemon.end().await;
    assert!(!root.path().join(".onewriter").join(SOCKET).exists());
    Daemon::with(root, |_| {}).await.end().await;
}

#[tokio::test]
async fn stop_answers_and_then_the_daemon_ends() {
    for _ in 0..20 {
        let daemon = Daemon::start().await;
        let mut administration = daemon.administration().await;
        let answer = in_time(administration.stop(v1::StopRequest {})).await;
        assert_eq!(answer.unwrap().into_inner().pid, std::process::id());
        ended(daemon.task).await.unwrap();
    }
}

#[tokio::test]
async fn a_stop_lets_requests_finish_that_are_under_way() {
    let daemon = Daemon::start().await;
    let held = daemon.hold("d").await;
    let mut client = daemon.mutations().await;
    let mut waiter = client.clone();
    let waiting = tokio::spawn(async move { waiter.make_directories(mkdir(&["d/e"])).await });
    until("it waits", || daemon.waiting() == ["d"]).await;
    daemon.administration().await.stop(v1::StopRequest {}).await.unwrap();
    until("the daemon drains", || daemon.engine.is_draining()).await;
    let refused = in_time(client.make_directories(mkdir(&["new"]))).await.unwrap_err();
    assert_eq!(told(&refused, "path"), (Code::Unavailable, "DRAINING".into(), "new".into()));
    held.let_go().await;
    ended(waiting).await.expect("it is answered although the daemon stops");
    ended(daemon.task).await.unwrap();
    assert!(daemon.root.path().join("d/e").is_dir());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let daemon = Daemon::with(new_root(), |config| config.drain_timeout = 0).await;
    let held = daemon.hold("d").await;
    let mut client = daemon.mutations().await;
    let waiting = tokio::spawn(async move { client.make_directories(mkdir(&["d/e"])).await });
    until("it waits", || daemon.waiting() == ["d"]).await;
    // One that never says a word, too.
    let silent = UnixStream::connect(daemon.socket()).await.unwrap();
    let Daemon { root, stop, task, engine } = daemon;
    stop.send(()).unwrap();
    ended(task).await.unwrap();
    ended(waiting).await.expect_err("it was cut off");
    // What still acts keeps the root until the process ends.
    let next = run_with(config(root.path()), None, std::future::ready(()), |_| {});
    assert!(matches!(in_time(next).await, Err(DaemonError::Ownership { .. })));
    held.let_go().await;
    assert!(engine.locks().is_idle());
    drop(silent);
}

#[tokio::test]
async fn a_drained_daemon_says_so_and_serves_readers() {
    let daemon = Daemon::start().await;
    let held = daemon.hold("d").await;
    let mut administration = daemon.administration().await;
    let mut request = tonic::Request::new(v1::DrainRequest {});
    request.set_timeout(Duration::from_millis(50));
    let late = in_time(administration.drain(request)).await.unwrap_err();
    assert_eq!(
        (told(&late, "path").0, told(&late, "path").1),
        (Code::DeadlineExceeded, "LOCK_TIMEOUT".into())
    );
    held.let_go().await;
    in_time(administration.drain(v1::DrainRequest {})).await.unwrap();
    let status = administration.status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert!(status.draining);
    assert_eq!((status.protocol, status.pid), (onewriter_proto::PROTOCOL, std::process::id()));
    let refused = daemon.mutations().await.make_directories(mkdir(&["e"])).await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "DRAINING");
    let request = v1::StatRequest { paths: vec![".".into()], ..Default::default() };
    daemon.reading().await.stat(request).await.unwrap();
}

#[tokio::test]
async fn health_is_told_by_service() {
    let daemon = Daemon::start().await;
    let mut health = HealthClient::with_origin(daemon.wire().await, ORIGIN.parse().unwrap());
    for (status, drained) in [(Serving, false), (NotServing, true)] {
        if drained {
            daemon.administration().await.drain(v1::DrainRequest {}).await.unwrap();
        }
        for service in crate::services::NAMES {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = health.check(request).await.unwrap().into_inner();
            assert_eq!(answer.status(), status, "{service}");
        }
    }
    let unknown = HealthCheckRequest { service: "onewriter.v1.Nothing".to_owned() };
    assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_lists_the_services_and_describes_each() {
    let daemon = Daemon::start().await;
    let origin = ORIGIN.parse().unwrap();
    let mut client = ServerReflectionClient::with_origin(daemon.wire().await, origin);
    let mut ask = async |message: MessageRequest| {
        let message_request = Some(message);
        let asked = ServerReflectionRequest { host: String::new(), message_request };
        let answers = client.server_reflection_info(tokio_stream::once(asked)).await;
        let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
        answer.message_response.unwrap()
    };
    let answer = ask(MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in crate::services::NAMES.into_iter().filter(|name| !name.is_empty()) {
        assert!(names.iter().any(|listed| listed == name), "{name} is not in {names:?}");
    }
    assert!(names.iter().any(|name| name == "grpc.health.v1.Health"));
    for name in names {
        let answer = ask(MessageRequest::FileContainingSymbol(name.clone())).await;
        let MessageResponse::FileDescriptorResponse(found) = answer else { panic!("{answer:?}") };
        let [file] = &found.file_descriptor_proto[..] else { panic!("not one file: {name}") };
        let file = FileDescriptorProto::decode(&file[..]).unwrap();
        let described =
            file.service.iter().find(|one| format!("{}.{}", file.package(), one.name()) == name);
        let described = described.unwrap_or_else(|| panic!("{name} is not in {}", file.name()));
        assert!(!described.method.is_empty(), "{name}");
        // A client can follow the types of what it may send.
        for rpc in &described.method {
            let input = rpc.input_type().trim_start_matches('.').to_owned();
            let answer = ask(MessageRequest::FileContainingSymbol(input.clone())).await;
            let is_found = matches!(answer, MessageResponse::FileDescriptorResponse(_));
            assert!(is_found, "{input}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_idle_daemon_ends_by_itself_but_not_under_a_client() {
    let daemon = Daemon::with(new_root(), |config| config.idle_timeout = 1).await;
    let (wire, cord) = daemon.connect().await;
    let mut client = client(wire);
    client.make_directories(mkdir(&["d"])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    client.make_directories(mkdir(&["e"])).await.expect("a client is connected: nobody is idle");
    cord.cut();
    ended(daemon.task).await.unwrap();
}

#[tokio::test]
async fn a_daemon_whose_root_is_gone_says_so_and_ends() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    std::fs::remove_dir_all(daemon.root.path()).unwrap();
    let refused = client.make_directories(mkdir(&["d"])).await.unwrap_err();
    let (_, reason, _) = told(&refused, "path");
    assert!(reason == "ROOT_GONE" || reason == "DRAINING", "{refused:?}");
    ended(daemon.task).await.unwrap();
}

#[tokio::test]
async fn a_daemon_ends_whose_root_was_moved_away() {
    let daemon = Daemon::start().await;
    let elsewhere = daemon.root.path().with_extension("moved");
    std::fs::rename(daemon.root.path(), &elsewhere).unwrap();
    ended(daemon.task).await.unwrap();
    std::fs::remove_dir_all(elsewhere).unwrap();
}

#[tokio::test]
async fn what_a_killed_daemon_left_in_staging_is_cleared_but_not_what_clients_write() {
    let root = new_root();
    let staging = root.path().join(".onewriter/staging");
    std::fs::create_dir_all(staging.join("t-removed/with/content")).unwrap();
    for name in ["s-half", "c-abandoned", "c-in-use"] {
        std::fs::write(staging.join(name), name).unwrap();
    }
    std::fs::write(root.path().join(".onewriter").join(SOCKET), "stale").unwrap();
    let in_use = std::fs::File::open(staging.join("c-in-use")).unwrap();
    assert!(in_use.as_raw_fd() > 0);
    flock(&in_use, FlockOperation::LockExclusive).unwrap();
    let daemon = Daemon::with(root, |_| {}).await;
    until("the leftovers are gone", || daemon.staging() == 1).await;
    let publish = v1::PublishStaged { to: to("f"), name: "c-in-use".into() };
    let request = v1::PublishStagedRequest { context: None, publish: Some(publish) };
    daemon.mutations().await.publish_staged(request).await.unwrap();
    assert_eq!(std::fs::read(daemon.path("f")).unwrap(), b"c-in-use");
}

#[tokio::test]
async fn with_power_durability_all_is_served_too() {
    let daemon = Daemon::with(new_root(), |config| config.durability = Durability::Power).await;
    daemon.mutations().await.make_directories(mkdir(&["a/b", "c"])).await.unwrap();
    let mut administration = daemon.administration().await;
    let status = administration.status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.durability, "power");
    let counts = administration.statistics(v1::StatisticsRequest {}).await.unwrap().into_inner();
    assert!(counts.sync_rounds >= 1 && counts.sync_requests >= 1);
    assert!(counts.resident_bytes > 0);
}
