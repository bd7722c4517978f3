//! Peers that ask for the figures wrongly, slowly, or never.

use onewriter_core::Durability;
use onewriter_tree::Tree;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;

struct Site {
    address: std::net::SocketAddr,
    meters: Arc<Meters>,
    lifecycle: Arc<Lifecycle>,
    _root: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Tree::init(root.path()).unwrap();
        let tree = Arc::new(Tree::open(root.path()).unwrap());
        let state = root.path().join(".onewriter");
        let engine = Arc::new(Engine::start(tree, &state, Durability::Process).unwrap());
        let endpoint = Endpoint::bind(Some("127.0.0.1:0")).await.unwrap().unwrap();
        let (address, meters) = (endpoint.listener.local_addr().unwrap(), endpoint.meters());
        let lifecycle = Lifecycle::new();
        endpoint.serve(&engine, &lifecycle, Others::default());
        Self { address, meters, lifecycle, _root: root }
    }

    async fn ask(&self, request: &str) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let _ = socket.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn figures(&self) -> String {
        self.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await
    }
}

#[tokio::test]
async fn only_the_figures_are_there_and_only_to_get() {
    let site = Site::new().await;
    let figures = site.figures().await;
    assert!(figures.starts_with("HTTP/1.1 200 OK\r\n"), "{figures}");
    assert!(figures.contains("content-type: text/plain; version=0.0.4"), "{figures}");
    assert!(figures.contains("\nonewriter_build_info{version="), "{figures}");
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", " 405 "),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", " 404 "),
        ("\x16\x03\x01 this is no HTTP\r\n\r\n", " 400 "),
    ] {
        let answer = site.ask(request).await;
        assert!(answer.lines().next().is_some_and(|line| line.contains(status)), "{answer}");
    }
}

#[tokio::test]
async fn a_request_without_measure_is_refused() {
    let site = Site::new().await;
    let long = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n", "a".repeat(64 << 10));
    let many = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: a\r\n".repeat(100));
    for request in [long, many] {
        let answer = site.ask(&request).await;
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    assert!(site.figures().await.contains(" 200 "));
}

#[tokio::test]
async fn peers_that_never_finish_are_sent_away_and_others_are_served() {
    let site = Site::new().await;
    let mut slow = Vec::new();
    for _ in 0..serve::MOST_CONNECTIONS + 4 {
        let mut socket = TcpStream::connect(site.address).await.unwrap();
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.unwrap();
        slow.push(socket);
    }
    // The clock goes on as soon as nobody has anything to do but to wait for it.
    tokio::time::pause();
    assert!(site.figures().await.contains(" 200 "));
    for socket in &mut slow {
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }
}

#[tokio::test]
async fn requests_are_timed_by_methods_that_exist() {
    let site = Site::new().await;
    let one = site.meters.begin("/onewriter.v1.Mutations/Touch");
    drop(site.meters.begin("/onewriter.v1.Mutations/Touch"));
    for made_up in ["/onewriter.v1.Mutations/Nothing", "", "*", "/a\"b"] {
        drop(site.meters.begin(made_up));
    }
    let figures = site.figures().await;
    for line in [
        "onewriter_requests 1",
        "onewriter_request_seconds_count{method=\"onewriter.v1.Mutations/Touch\"} 1",
        "onewriter_request_seconds_count{method=\"other\"} 4",
    ] {
        assert!(figures.lines().any(|l| l == line), "{line} is not in {figures}");
    }
    drop(one);
    assert_eq!(site.meters.under_way(), 0);
    site.lifecycle.end();
}
