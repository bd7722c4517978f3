//! Clients that do not do what they should.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// The daemon is well if it does something for somebody else.
async fn serves(daemon: &Daemon, path: &str) {
    let mut client = daemon.mutations().await;
    in_time(client.make_directories(mkdir(&[path]))).await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_costs_nobody_else() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let long = "x".repeat(5 << 20);
    let refused = in_time(client.make_directories(mkdir(&[&long]))).await.unwrap_err();
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted), "{refused:?}");
    in_time(client.make_directories(mkdir(&["same-connection"]))).await.unwrap();
    let mut reading = daemon.reading().await;
    let request = v1::StatRequest { paths: vec![long.into()], ..Default::default() };
    let refused = in_time(reading.stat(request)).await.unwrap_err();
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted), "{refused:?}");
    serves(&daemon, "other-connection").await;
}

#[tokio::test]
async fn a_path_as_long_as_a_message_is_an_error_that_its_client_can_read() {
    let daemon = Daemon::start().await;
    let mut client = daemon.mutations().await;
    let long = "d/".repeat(1 << 20);
    let refused = in_time(client.make_directories(mkdir(&[&long]))).await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "PATH_TOO_LONG");
}

#[tokio::test]
async fn noise_on_the_socket_costs_only_its_own_connection() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let daemon = Daemon::start().await;
    // A length of 16 MiB; a stream of an even number; a header block that ends in the middle.
    let oversized = [PREFACE, &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat();
    let settings = [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    let even = [&settings[..], &[0, 0, 1, 1, 4, 0, 0, 0, 2, 0x82]].concat();
    let truncated = [&settings[..], &[0, 0, 50, 1, 4, 0, 0, 0, 1, 0x83, 0x86]].concat();
    let noise: Vec<u8> =
        (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let garbage = [b"GET / HTTP/1.1\r\n\r\n".to_vec(), noise, oversized, even, truncated];
    for (n, bytes) in garbage.iter().enumerate() {
        let mut socket = UnixStream::connect(daemon.socket()).await.unwrap();
        // It may have hung up before it has read all.
        let _ = socket.write_all(bytes).await;
        let _ = socket.shutdown().await;
        let mut rest = Vec::new();
        let _ = in_time(socket.read_to_end(&mut rest)).await;
        serves(&daemon, &format!("d{n}")).await;
    }
    let mut administration = daemon.administration().await;
    in_time(async {
        while administration.status(v1::StatusRequest {}).await.unwrap().into_inner().connections
            > 1
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_no_message_is_refused() {
    let daemon = Daemon::start().await;
    let Wire(mut sender) = daemon.wire().await;
    let body =
        http_body_util::Full::new(bytes::Bytes::from_static(b"\0\0\0\0\x04\xff\xff\xff\xff"));
    let request = http::Request::post("http://onewriter/onewriter.v1.Mutations/MakeDirectories")
        .header("content-type", "application/grpc")
        .body(Body::new(body))
        .unwrap();
    let answer = in_time(sender.send_request(request)).await.unwrap();
    let status = Status::from_header_map(answer.headers()).expect("a status without content");
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    serves(&daemon, "d").await;
}

#[tokio::test]
async fn a_thousand_idle_connections_keep_nobody_waiting() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let daemon = Daemon::start().await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        let mut wire = daemon.wire().await;
        in_time(std::future::poll_fn(|cx| wire.poll_ready(cx))).await.unwrap();
        idle.push(wire);
    }
    serves(&daemon, "d").await;
    let mut administration = daemon.administration().await;
    let status = administration.status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert!(status.connections >= 1001, "{}", status.connections);
    // They do not keep the daemon from ending either.
    daemon.end().await;
}
