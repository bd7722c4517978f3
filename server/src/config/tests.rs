#![expect(clippy::disallowed_methods, reason = "tests set the stage by hand")]

use clap::Parser as _;

use super::*;

/// A root with `file` as its configuration.
fn root(file: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join(STATE_DIR)).unwrap();
    std::fs::write(root.path().join(STATE_DIR).join(CONFIG_FILE), file).unwrap();
    root
}

fn flags(root: &Path, more: &[&str]) -> Flags {
    let words = ["onewriterd", "--root", root.to_str().unwrap()];
    Flags::parse_from(words.iter().chain(more))
}

#[test]
fn flags_come_before_the_file_and_that_before_the_defaults() {
    let root = root("durability = \"power\"\nidle-timeout = 7\n");
    let config = Config::load(&flags(root.path(), &["--idle-timeout", "8"])).unwrap();
    assert_eq!(config.durability, Durability::Power);
    assert_eq!((config.idle_timeout, config.drain_timeout), (8, 10));
}

#[test]
fn paths_in_a_file_begin_at_its_directory() {
    let root = root("state = \"journal\"");
    let config = Config::load(&flags(root.path(), &[])).unwrap();
    assert_eq!(config.state.unwrap(), root.path().join(STATE_DIR).join("journal"));
}

#[test]
fn what_is_wrong_is_named_with_file_line_and_key() {
    for (text, line, key) in [
        ("\n\ndurabilty = \"power\"\n", 3, "durabilty"),
        ("idle-timeout = 1\ndurability = \"mostly\"", 2, "mostly"),
        ("idle-timeout = \"x", 1, ""),
        (
            "idle-timeout = \"x\"",
            1,
            "`idle-timeout`: invalid type: string \"x\", expected a whole number",
        ),
        ("\nlisten = \":1\"", 2, "`listen`: "),
        ("cas-size = \"10X\"", 1, "`cas-size`: "),
    ] {
        let root = root(text);
        match Config::load(&flags(root.path(), &[])) {
            Err(ConfigError::Parse { file, line: found, what }) => {
                assert_eq!((file.file_name().unwrap().to_str(), found), (Some(CONFIG_FILE), line));
                assert!(what.contains(key), "{what}");
            }
            other => panic!("{other:?}"),
        }
    }
    let missing = Config::load(&flags(Path::new("/"), &["--config", "/nonexistent.toml"]));
    assert!(matches!(missing, Err(ConfigError::Read { .. })), "{missing:?}");
}

#[test]
fn what_is_shown_can_be_read_again() {
    let root = root("durability = \"power\"");
    let config = Config::load(&flags(root.path(), &["--state", "/s p"])).unwrap();
    let shown: Settings = toml::from_str(&config.shown()).unwrap();
    assert_eq!(shown.drain_timeout, Some(10), "the defaults are told, too");
    let again = Config::of(shown.clone()).unwrap();
    assert_eq!(
        again.shown().lines().skip(1).collect::<Vec<_>>(),
        config.shown().lines().skip(1).collect::<Vec<_>>()
    );
}

#[test]
fn a_root_may_have_any_name() {
    use std::os::unix::ffi::OsStrExt as _;
    let root = std::ffi::OsStr::from_bytes(b"/r\xff");
    let flags = Flags::parse_from(["onewriterd".as_ref(), "--root".as_ref(), root]);
    let config = Config::load(&flags).unwrap();
    assert_eq!(config.root, root);
    assert!(config.shown().contains("root = "));
}

/// What is wrong with a server of these settings besides.
fn wrong(text: &str) -> ConfigError {
    let server = "listen = [\"127.0.0.1:0\"]\ninsecure-loopback = true\n";
    let root = root(&format!("{server}{text}"));
    Config::load(&flags(root.path(), &[])).err().unwrap_or_else(|| panic!("it is well: {text}"))
}

#[test]
fn a_policy_that_means_nobody_or_nothing_is_refused_by_its_entry() {
    let rule = |who: &str, paths: &str, may: &str| {
        format!("[[rules]]\nwho = [{who}]\npaths = [{paths}]\nmay = [{may}]\n")
    };
    for (text, at) in [
        (rule("", "\".\"", "\"read\""), "rules[0].who"),
        (rule("\"team\"", "\".\"", "\"read\""), "rules[0].who"),
        (rule("\"cert:\"", "\".\"", "\"read\""), "rules[0].who"),
        (rule("\"*\"", "\"../x\"", "\"read\""), "rules[0].paths"),
        (rule("\"*\"", "\".\"", "\"raed\""), "rules[0].may"),
        (rule("\"*\"", "", "\"read\""), "rules[0]"),
        (rule("\"*\"", "\".\"", ""), "rules[0]"),
        ("allow = [\"bob\"]".into(), "--allow"),
        ("allow = [\"*\"]\n[groups]\nteam = [\"bob\"]".into(), "groups.team"),
        ("allow = [\"*\"]\n[[limits]]\nwho = [\"*\"]\nrequests = 0".into(), "limits[0]"),
    ] {
        match wrong(&text) {
            ConfigError::Policy { place, .. } => assert_eq!(place, at, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_server_needs_a_policy_a_key_and_a_way_to_know_its_clients() {
    assert!(matches!(wrong(""), ConfigError::Network(_)), "nobody says what they may do");
    let listens = |more: &str| {
        let root = root(&format!("listen = [\"127.0.0.1:0\"]\nallow = [\"*\"]\n{more}"));
        Config::load(&flags(root.path(), &[])).map(drop)
    };
    let keys = "tls-cert = \"c\"\ntls-key = \"k\"\n";
    for more in ["", "tls-cert = \"c\"", "tokens = \"t\"", keys] {
        assert!(matches!(listens(more), Err(ConfigError::Network(_))), "{more}");
    }
    listens(&format!("{keys}tokens = \"t\"")).unwrap();
    listens(&format!("{keys}tls-client-ca = \"ca\"")).unwrap();
    assert!(listens(&format!("{keys}insecure-loopback = true")).is_err());
}

#[test]
fn an_external_store_is_told_whole_and_without_contradiction() {
    let with = |text: &str| {
        let root = root(text);
        Config::load(&flags(root.path(), &[])).map(|config| (root, config))
    };
    let cas = "cas = \"grpcs://cas.example:9092/main\"\n";
    let (root, config) =
        with(&format!("{cas}cas-token-file = \"token\"\ncas-tls-ca = \"ca\"")).unwrap();
    let store = config.store.as_ref().unwrap();
    assert_eq!((store.url.instance(), store.patience), ("main", Duration::from_secs(30)));
    let state = root.path().join(STATE_DIR);
    assert_eq!(store.token, Some(state.join("token")));
    assert_eq!(store.tls.ca, Some(state.join("ca")));
    let shown: Settings = toml::from_str(&config.shown()).unwrap();
    assert_eq!(
        Config::of(shown).unwrap().shown(),
        config
            .shown()
            .split_once('\n')
            .map(|(_, rest)| { format!("# No configuration file; environment and flags\n{rest}") })
            .unwrap()
    );
    for contradiction in [
        format!("{cas}cas-size = \"1G\""),
        format!("{cas}cas-tls-cert = \"c\""),
        format!("{cas}cas-timeout = 0"),
        "cas = \"grpc://127.0.0.1:1\"\ncas-tls-ca = \"ca\"".to_owned(),
        "cas-token-file = \"token\"".to_owned(),
    ] {
        let refused = with(&contradiction);
        assert!(matches!(refused, Err(ConfigError::Store(_))), "{contradiction}: {refused:?}");
    }
    match with("\ncas = \"grpc://cas.example:9092\"") {
        Err(ConfigError::Parse { line: 2, what, .. }) => {
            assert!(what.contains("without TLS"), "{what}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_secret_in_the_tree_is_refused_and_one_beside_it_is_not() {
    let at = |place: &str| {
        let root = root(&format!("cas = \"grpcs://cas.example:1\"\ncas-token-file = \"{place}\""));
        std::fs::create_dir(root.path().join(STATE_DIR).join("tls")).unwrap();
        std::fs::create_dir(root.path().join("tls")).unwrap();
        std::os::unix::fs::symlink("../tls", root.path().join(STATE_DIR).join("led")).unwrap();
        for directory in [root.path().join(STATE_DIR), root.path().to_owned()] {
            std::fs::write(directory.join("tls/token"), "x").unwrap();
        }
        Config::load(&flags(root.path(), &[]))
    };
    for exposed in ["../tls/token", "led/token"] {
        let refused = at(exposed);
        assert!(matches!(refused, Err(ConfigError::Exposed { .. })), "{exposed}: {refused:?}");
    }
    for good in ["tls/token", "/dev/null", "tls/is-not-there"] {
        at(good).unwrap();
    }
}

#[test]
fn figures_are_served_at_an_address() {
    let with = |place| Config::load(&flags(root("").path(), &["--metrics", place]));
    for good in ["127.0.0.1:0", "[::1]:9184", "localhost:9184"] {
        with(good).unwrap();
    }
    for bad in ["foo", "9184", "localhost:", "localhost:http"] {
        assert!(matches!(with(bad), Err(ConfigError::Metrics(_))), "{bad}");
    }
}
