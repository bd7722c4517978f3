//! Who is let in.

use rcgen::{BasicConstraints, IsCa, SanType, date_time_ymd};

use super::*;

/// What becomes of a request under `tls`: in TLS 1.3 a client learns only afterwards that its
/// certificate was refused.
async fn attempt(server: &Server, tls: ClientConfig) -> Result<(), String> {
    let socket = server.shake(tls).await.map_err(|error| error.to_string())?;
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
    let (sender, connection) = handshake.await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let mut client = client(Wire(sender));
    let done = in_time(client.make_directories(mkdir(&["d"]))).await;
    done.map(drop).map_err(|status| format!("{status:?}"))
}

/// The authority that made the files, to sign more.
fn authority(server: &Server) -> Issuer<'static, KeyPair> {
    let read = |name| std::fs::read_to_string(server.files.path().join(name)).unwrap();
    let key = KeyPair::from_pem(&read("ca.key")).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "onewriter");
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, "onewriter");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    Issuer::new(params, key)
}

#[tokio::test]
async fn a_certificate_says_who_asks_and_the_journal_knows() {
    let server = Server::start().await;
    let mut alice = server.mutations("alice").await;
    in_time(alice.make_directories(mkdir(&["d"]))).await.unwrap();
    server.daemon.engine.journal().flushed().await;
    let records = server.daemon.engine.journal().list(&Default::default()).unwrap();
    assert_eq!(records[0].identity, "cert:alice");
    assert_eq!((records[0].pid, records[0].uid), (0, u32::MAX));
}

#[tokio::test]
async fn nobody_comes_in_with_a_certificate_that_does_not_hold() {
    let server = Server::start().await;
    let (ours, now) = (authority(&server), |params: &mut CertificateParams| {
        params.not_after = date_time_ymd(2090, 1, 1);
    });
    let good = signed("carol", &ours, now);
    attempt(&server, server.tls_with(Some(good))).await.expect("one that holds");
    let expired = signed("carol", &ours, |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let early = signed("carol", &ours, |params| params.not_before = date_time_ymd(2090, 1, 1));
    let theirs = Issuer::new(CertificateParams::default(), KeyPair::generate().unwrap());
    let foreign = signed("alice", &theirs, now);
    for (what, certified) in [("expired", expired), ("early", early), ("foreign", foreign)] {
        let refused = attempt(&server, server.tls_with(Some(certified))).await;
        assert!(refused.is_err(), "{what}");
    }
    assert!(!server.daemon.path("e").exists());
    server.serves("other").await;
}

#[tokio::test]
async fn a_uri_or_dns_name_comes_before_the_common_name() {
    let server = Server::start().await;
    let uri = signed("common", &authority(&server), |params| {
        let name = "spiffe://team/builder".try_into().unwrap();
        params.subject_alt_names = vec![SanType::URI(name)];
        params.not_after = date_time_ymd(2090, 1, 1);
    });
    assert_eq!(crate::tls::name(&uri.0).as_deref(), Some("spiffe://team/builder"));
    attempt(&server, server.tls_with(Some(uri))).await.unwrap();
}

#[tokio::test]
async fn a_client_without_a_certificate_needs_a_token_for_each_request() {
    let server = Server::start().await;
    let socket = server.shake(server.tls(None)).await.unwrap();
    let mut anybody = client(wire_over(socket).await);
    let refused = in_time(anybody.make_directories(mkdir(&["d"]))).await.unwrap_err();
    assert_eq!(told(&refused, "path").1, "UNAUTHENTICATED");
    assert_eq!(refused.code(), Code::Unauthenticated);
    let token = &*server.token();
    in_time(anybody.make_directories(with_token(mkdir(&["d"]), token))).await.unwrap();

    let off_by_one: String = token[..token.len() - 1].to_owned() + "x";
    for wrong in [&*off_by_one, &token[1..], &format!("{token}0"), ""] {
        let request = with_token(mkdir(&["e"]), wrong);
        let refused = in_time(anybody.make_directories(request)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{wrong}");
    }
    assert!(server.daemon.path("d").is_dir() && !server.daemon.path("e").exists());

    // A token says more than a certificate: a wrong one is not made good by it.
    let mut alice = server.mutations("alice").await;
    let request = with_token(mkdir(&["e"]), "wrong");
    assert!(in_time(alice.make_directories(request)).await.is_err());
}

#[tokio::test]
async fn without_tokens_nobody_gets_through_tls_without_a_certificate() {
    let server = Server::with(|settings| {
        settings.tokens = None;
        settings.allow = vec!["*".into()];
    })
    .await;
    assert!(attempt(&server, server.tls(None)).await.is_err());
    server.serves("d").await;
}

#[tokio::test]
async fn every_service_is_behind_the_gate() {
    let server = Server::start().await;
    let socket = server.shake(server.tls(None)).await.unwrap();
    let Wire(mut sender) = wire_over(socket).await;
    let health = "grpc.health.v1.Health";
    for service in crate::services::NAMES.into_iter().skip(1).chain([health]) {
        let request = http::Request::post(format!("http://onewriter/{service}/Anything"))
            .header("content-type", "application/grpc")
            .body(Body::empty())
            .unwrap();
        let answer = in_time(sender.send_request(request)).await.unwrap();
        let status = Status::from_header_map(answer.headers()).expect("nothing but a status");
        assert_eq!(status.code(), Code::Unauthenticated, "{service}");
    }
}

#[tokio::test]
async fn clear_text_is_for_this_machine_and_has_a_name_of_its_own() {
    let server = Server::with(|settings| {
        *settings = Settings {
            root: settings.root.clone(),
            listen: settings.listen.clone(),
            insecure_loopback: Some(true),
            rules: vec![rule("loopback", "d", &["make-directory"])],
            ..Settings::default()
        };
    })
    .await;
    let socket = TcpStream::connect(server.address).await.unwrap();
    let mut anybody = client(wire_over(socket).await);
    in_time(anybody.make_directories(mkdir(&["d"]))).await.unwrap();
    let refused = in_time(anybody.make_directories(mkdir(&["e"]))).await.unwrap_err();
    assert_eq!(
        told(&refused, "identity"),
        (Code::PermissionDenied, "FORBIDDEN".into(), "loopback".into())
    );

    let everywhere = Settings {
        root: Some(new_root().path().into()),
        listen: vec!["0.0.0.0:0".into()],
        insecure_loopback: Some(true),
        allow: vec!["*".into()],
        ..Settings::default()
    };
    let root = new_root();
    let mut config = Config::of(everywhere).unwrap();
    config.root = root.path().into();
    let refused = in_time(run_with(config, None, std::future::pending(), |_| {})).await;
    assert!(matches!(refused, Err(DaemonError::Network(_))), "{refused:?}");
}
