//! What the Debian package is made of, and how the service is confined.

use std::{fs, path::Path, process::Command};

use super::deployed;
use crate::support::Root;

#[test]
fn the_package_is_made_of_files_that_there_are() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(here.join("Cargo.toml")).expect("the manifest");
    let (_, rest) = manifest.split_once("\nassets = [\n").expect("what is in the package");
    let (assets, _) = rest.split_once("\n]\n").expect("its end");
    let mut packed = Vec::new();
    for line in assets.lines() {
        // As it happens, such a line of TOML is one of JSON, too.
        let asset = line.trim().trim_end_matches(',');
        let [source, target, mode]: [String; 3] = serde_json::from_str(asset).expect(line);
        assert_eq!(mode, if source.starts_with("target/") { "755" } else { "644" }, "{line}");
        if let Some(program) = source.strip_prefix("target/release/") {
            assert!(manifest.contains(&format!("[[bin]]\nname = \"{program}\"\n")), "{line}");
        } else {
            packed.extend(matching(here, &source));
        }
        assert!(target.starts_with("usr/"), "{line}");
    }
    // Whatever is generated or installed by hand is not forgotten.
    for directory in ["man", "completions", "systemd", "monitoring"] {
        for file in matching(here, &format!("deploy/{directory}/*")) {
            assert!(packed.contains(&file), "{file} is not in the package");
        }
    }
}

/// The files that a pattern means, whose last name may have one `*`.
fn matching(here: &Path, pattern: &str) -> Vec<String> {
    let (directory, name) = pattern.rsplit_once('/').expect("a directory");
    let (before, after) = name.split_once('*').unwrap_or((name, ""));
    let files = fs::read_dir(here.join(directory)).expect(pattern);
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let is_meant = |found: &String| match name.contains('*') {
        true => found.starts_with(before) && found.ends_with(after),
        false => found == name,
    };
    let found: Vec<_> = names.filter(is_meant).map(|name| format!("{directory}/{name}")).collect();
    assert!(!found.is_empty(), "nothing is {pattern}");
    found
}

#[test]
fn the_service_may_do_little() {
    // In tenths: systemd calls what is below 2.5 well confined.
    const MOST: &str = "--threshold=20";
    let root = Root::new();
    let unit = root.outside("onewriterd@.service");
    fs::write(&unit, deployed("systemd/onewriterd@.service")).expect("the unit");
    let mut judge = Command::new("systemd-analyze");
    judge.args(["security", "--offline=true", "--no-pager", MOST]).arg(&unit);
    match judge.output() {
        Ok(judged) => {
            let told = String::from_utf8_lossy(&judged.stdout);
            assert!(told.contains("Overall exposure level"), "{judged:?}");
            assert!(judged.status.success(), "{told}");
        }
        Err(error) => eprintln!("nobody judges the unit: systemd-analyze: {error}"),
    }
}
