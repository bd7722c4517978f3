//! A command that leaves very many files.

use super::{nothing_is_left, script};
use crate::support::Root;

/// `ONEWRITER_TEST_FILES=100000 cargo test --test onewriter size` is the campaign.
fn files() -> usize {
    let wanted = std::env::var("ONEWRITER_TEST_FILES").ok();
    wanted.map_or(5_000, |wanted| wanted.parse().expect("a number of files"))
}

#[test]
fn very_many_files_come_and_go() {
    let root = Root::new();
    let each = files() / 100;
    let make = format!(
        "python3 -c \"import os\n\
         for d in range(100):\n os.makedirs(f't/{{d}}')\n \
         for n in range({each}): open(f't/{{d}}/{{n}}', 'w').write(str(n))\""
    );
    script(&root, "", &make).ok();
    assert_eq!(root.read("t/57/23"), "23");
    assert_eq!(std::fs::read_dir(root.at("t/99")).unwrap().count(), each);
    let done = script(&root, "--json", "rm -r t");
    assert_eq!(done.outcomes(), ["removed t"]);
    let failed = script(&root, "", &format!("{make}; exit 3"));
    assert_eq!(failed.code(), Some(3));
    assert!(!root.at("t").exists());
    nothing_is_left(&root);
}
