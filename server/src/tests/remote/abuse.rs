//! What clients, and those who are none, do to a port that anybody can reach.

use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::tests::publishing::{Exchange, begin, chunk, finish};

/// The beginning of HTTP/2, with no settings.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The type of a frame of headers, and its flag for one that is whole.
const HEADERS: u8 = 1;
const END_HEADERS: u8 = 4;

/// One whose limits are as short as a test.
async fn impatient() -> Server {
    Server::with(|settings| {
        settings.allow = vec!["*".into()];
        (settings.handshake_timeout, settings.keep_alive) = (Some(1), Some(1));
    })
    .await
}

/// Returns when the other end has hung up.
async fn hung_up(mut socket: impl tokio::io::AsyncRead + Unpin) {
    let mut seen = vec![0; 4096];
    while in_time(socket.read(&mut seen)).await.is_ok_and(|read| read > 0) {}
}

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let size = (content.len() as u32).to_be_bytes();
    [&size[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

#[tokio::test]
async fn who_says_nothing_or_only_half_is_hung_up_on() {
    let server = impatient().await;
    // Nothing at all; half a handshake; TLS and nothing; TLS and half of HTTP/2's beginning.
    let silent = TcpStream::connect(server.address).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(&[0x16, 3, 1, 0]).await.unwrap();
    let shaken = server.shake(server.tls(Some("alice"))).await.unwrap();
    let mut begun = server.shake(server.tls(Some("alice"))).await.unwrap();
    begun.write_all(&BEGINNING[..10]).await.unwrap();
    begun.flush().await.unwrap();
    // Headers that never end, of one who does not answer whether he lives.
    let mut headers = server.shake(server.tls(Some("alice"))).await.unwrap();
    let open = [BEGINNING, &frame(HEADERS, 0, 1, &[0x83])].concat();
    headers.write_all(&open).await.unwrap();
    headers.flush().await.unwrap();
    server.serves("meanwhile").await;
    tokio::join!(hung_up(silent), hung_up(half), hung_up(shaken), hung_up(begun), hung_up(headers));
    server.serves("after").await;
}

/// Asks for the file `large` with all the room in the world for it (RFC 9113, 6.5.2 and 6.9; RFC 7541).
fn ask_for_large() -> Vec<u8> {
    const MOST: [u8; 4] = (i32::MAX as u32).to_be_bytes();
    let window = frame(4, 0, 0, &[&[0, 4][..], &MOST].concat());
    let update = frame(8, 0, 0, &(i32::MAX as u32 - 65_535).to_be_bytes());
    let literal =
        |name: &[u8], value: &str| [name, &[value.len() as u8], value.as_bytes()].concat();
    let path = literal(&[0x04], "/onewriter.v1.Reading/ReadFile");
    let kind = literal(&[0x0f, 0x10], "application/grpc");
    let headers = frame(HEADERS, END_HEADERS, 1, &[&[0x83, 0x86][..], &path, &kind].concat());
    let read = v1::ReadFileRequest { path: "large".into(), ..Default::default() }.encode_to_vec();
    let message = [&[0, 0, 0, 0, read.len() as u8][..], &read].concat();
    [BEGINNING, &window, &update, &headers, &frame(0, 1, 1, &message)].concat()
}

#[tokio::test]
async fn who_never_reads_is_given_up() {
    let server = impatient().await;
    std::fs::write(server.daemon.path("large"), vec![0; 64 << 20]).unwrap();
    let mut socket = server.shake(server.tls(Some("alice"))).await.unwrap();
    socket.write_all(&ask_for_large()).await.unwrap();
    socket.flush().await.unwrap();
    // The answer begins, and nobody reads more of it.
    in_time(socket.read_exact(&mut [0; 64 << 10])).await.unwrap();
    server.serves("meanwhile").await;
    // The daemon asks whether it lives, and nobody reads that either.
    until_open(&server, 1).await;
}

#[tokio::test]
async fn streams_that_begin_and_do_not_go_on_have_only_so_many_places() {
    let server = Server::with_requests(2).await;
    let mut alice = server.mutations("alice").await;
    let mut still = Vec::new();
    for n in 0..100 {
        let stream = Exchange::begin(&mut alice, begin(&format!("f{n}"), None)).await;
        stream.send(chunk("x")).await;
        still.push(stream);
    }
    until("two have places", || server.daemon.staging() == 2).await;
    let first = v1::PublishStreamRequest { step: Some(begin("late", None)) };
    let mut late = tonic::Request::new(tokio_stream::once(first));
    late.set_timeout(Duration::from_millis(50));
    let mut late = in_time(alice.publish_stream(late)).await.unwrap().into_inner();
    let refused = in_time(late.message()).await.unwrap_err();
    assert_eq!(
        told(&refused, "rule"),
        (Code::ResourceExhausted, "TOO_MANY_REQUESTS".into(), "requests = 2".into())
    );
    assert_eq!(server.daemon.staging(), 2);
    // Her other requests, and anybody else's streams, go on.
    in_time(alice.make_directories(mkdir(&["d"]))).await.unwrap();
    let mut bob = server.mutations("bob").await;
    let mut other = Exchange::begin(&mut bob, begin("other", None)).await;
    other.send(chunk("x")).await;
    other.send(finish(1)).await;
    other.answer().await.unwrap().expect("it is published");
    // Whoever gives up a place makes room for the next; and nothing stays behind.
    still.truncate(1);
    until("only that one is left", || server.daemon.staging() == 1).await;
}

#[tokio::test]
async fn streams_that_wait_for_their_turn_leave_the_others_room_on_their_connection() {
    let server = Server::with_requests(2).await;
    let alice = server.mutations("alice").await;
    // Each is larger than what may be under way of it before anybody takes it.
    let publish = |n: usize| {
        let mut alice = alice.clone();
        tokio::spawn(async move {
            let mut stream = Exchange::begin(&mut alice, begin(&format!("f{n}"), None)).await;
            for _ in 0..8 {
                stream.send(chunk(vec![7; 256 << 10])).await;
            }
            stream.send(finish(2 << 20)).await;
            stream.answer().await
        })
    };
    for stream in (0..40).map(publish).collect::<Vec<_>>() {
        ended(stream).await.unwrap().expect("it is published");
    }
}

#[tokio::test]
async fn only_a_lease_that_is_held_spares_a_stream_its_turn() {
    use onewriter_proto::v1::{hold_response, leases_client::LeasesClient};
    use tokio_stream::StreamExt as _;
    let server = Server::with_requests(1).await;
    let wire = server.wire("alice").await;
    let mut alice = client(wire.clone());
    let under = |path: &str, lease: u64| {
        let v1::publish_stream_request::Step::Begin(mut first) = begin(path, None) else {
            unreachable!()
        };
        first.context.get_or_insert_default().leases = vec![lease];
        v1::publish_stream_request::Step::Begin(first)
    };
    let still = Exchange::begin(&mut alice, begin("still", None)).await;
    still.send(chunk("x")).await;
    until("it has the only place", || server.daemon.staging() == 1).await;
    let first = v1::PublishStreamRequest { step: Some(under("invented", 7)) };
    let mut late = tonic::Request::new(tokio_stream::once(first));
    late.set_timeout(Duration::from_millis(50));
    let mut late = in_time(alice.publish_stream(late)).await.unwrap().into_inner();
    let refused = in_time(late.message()).await.unwrap_err();
    assert_eq!(told(&refused, "rule").2, "requests = 1");

    let subject = Some(v1::lease_acquire::Subject::Path("held".into()));
    let acquire = v1::LeaseAcquire { subject, ..Default::default() };
    let step = Some(v1::hold_request::Step::Acquire(acquire));
    let steps = tokio_stream::iter([v1::HoldRequest { step }]).chain(tokio_stream::pending());
    let mut leases = LeasesClient::with_origin(wire, ORIGIN.parse().unwrap());
    let mut held = in_time(leases.hold(steps)).await.unwrap().into_inner();
    let granted = in_time(held.message()).await.unwrap().and_then(|answer| answer.step);
    let Some(hold_response::Step::Granted(granted)) = granted else { panic!("{granted:?}") };
    let mut stream = Exchange::begin(&mut alice, under("held", granted.token)).await;
    stream.send(chunk("x")).await;
    stream.send(finish(1)).await;
    stream.answer().await.unwrap().expect("it is published");
}

#[tokio::test]
async fn streams_that_are_reset_by_the_thousand_cost_only_their_connection() {
    let server = Server::start().await;
    let mut socket = server.shake(server.tls(Some("alice"))).await.unwrap();
    let mut storm = BEGINNING.to_vec();
    for n in 0..20_000u32 {
        let stream = 2 * n + 1;
        // `:method POST`, `:scheme http`, `:path /`, as in the table of every connection.
        storm.extend(frame(HEADERS, END_HEADERS, stream, &[0x83, 0x86, 0x84]));
        storm.extend(frame(3, 0, stream, &8u32.to_be_bytes()));
    }
    let before = resident();
    // It may have hung up before it has read all.
    let _ = socket.write_all(&storm).await;
    let _ = socket.flush().await;
    server.serves("meanwhile").await;
    hung_up(socket).await;
    server.serves("after").await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
}

#[tokio::test]
async fn headers_and_messages_that_are_too_large_are_refused() {
    let server = Server::start().await;
    let mut alice = server.mutations("alice").await;
    let refused = in_time(alice.make_directories(mkdir(&[&"x".repeat(5 << 20)]))).await;
    let code = refused.unwrap_err().code();
    assert!(matches!(code, Code::OutOfRange | Code::ResourceExhausted), "{code:?}");
    let mut request = tonic::Request::new(mkdir(&["d"]));
    let long = "x".repeat(1 << 20).parse().unwrap();
    request.metadata_mut().insert("long", long);
    assert!(in_time(alice.make_directories(request)).await.is_err());
    server.serves("after").await;
    assert!(!server.daemon.path("d").exists());
}

#[tokio::test]
async fn no_more_connections_come_in_than_may() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let server = Server::with(|settings| {
        settings.allow = vec!["*".into()];
        settings.max_connections = Some(101);
    })
    .await;
    let tls = server.tls(Some("alice"));
    let mut idle = Vec::new();
    for _ in 0..100 {
        let mut wire = wire_over(server.shake(tls.clone()).await.unwrap()).await;
        in_time(std::future::poll_fn(|cx| wire.poll_ready(cx))).await.unwrap();
        idle.push(wire);
    }
    server.serves("the-last-place").await;
    until_open(&server, 101).await;
    idle.push(server.wire("bob").await);
    assert!(server.shake(tls).await.is_err(), "there is no place");
    // The daemon's own user does not come by that way.
    in_time(server.daemon.mutations().await.make_directories(mkdir(&["local"]))).await.unwrap();
    drop(idle);
    until_open(&server, 1).await;
    server.serves("again").await;
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_told_goodbye() {
    let server = Server::with(|settings| {
        settings.allow = vec!["*".into()];
        (settings.handshake_timeout, settings.idle_connection) = (Some(1), Some(1));
    })
    .await;
    let wire = server.wire("alice").await;
    let mut alice = client(wire.clone());
    in_time(alice.make_directories(mkdir(&["d"]))).await.unwrap();
    in_time(async {
        while !wire.0.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    server.serves("after").await;
}

async fn until_open(server: &Server, count: u64) {
    in_time(async {
        while server.connections().await != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

impl Server {
    /// Open ones, with that of who asks.
    async fn connections(&self) -> u64 {
        let mut administration = self.daemon.administration().await;
        let status = administration.status(v1::StatusRequest {}).await.unwrap();
        status.into_inner().connections
    }
}

/// What this process, the daemon and its clients, has in memory, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size() as u64
}
