//! `onewriter report --html`.

use super::race;

#[test]
fn the_page_holds_the_report_and_needs_nothing_else() {
    let (root, mut teller) = race();
    teller.end("b1", 0);
    assert_eq!(root.run(["report", "--html", root.outside("r.html").to_str().unwrap()]).ok(), "");
    let page = std::fs::read_to_string(root.outside("r.html")).unwrap();
    assert_eq!(root.run("report --html -").ok(), page.trim_end());
    for outside in ["http://", "https://", "src=\"", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let from = page.find("id=\"data\">").unwrap() + "id=\"data\">".len();
    let data = &page[from..from + page[from..].find("</script>").unwrap()];
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["recipes"].as_array().unwrap().len(), 2);
    assert_eq!(data["build"]["id"], "b1");
    let conflict = data["findings"].as_array().unwrap().iter().find(|f| f["kind"] == "conflict");
    assert_eq!(conflict.unwrap()["path"], "log");
    // Nothing of it went into the tree.
    root.run("report --html no/such/directory").exits(1);
}
