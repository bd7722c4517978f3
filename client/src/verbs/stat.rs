//! `onewriter stat`: describes paths.

use onewriter_proto::{
    convert,
    v1::{FileKind, Stat, StatRequest, StatResponse},
};
use onewriter_tree::{Last, RelPath};
use serde_json::{Map, Value, json};

use super::MANY;
use crate::{
    command::{COMMON, Given, Opt, Verb},
    context::Context,
    failure::Failure,
    output::{path_fields, shown},
    repeat::Repeat,
    requests::parts,
    server::Server,
};

pub(super) const VERB: Verb = Verb {
    name: "stat",
    about: "Describe paths as the daemon sees them",
    details: "A path at which nothing is makes the exit code 1.",
    operands: "PATH...",
    count: (1, MANY),
    options: &[Opt::flag('L', "dereference", "Describe what symbolic links lead to")],
    common: COMMON,
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let server = context.server()?;
    let (paths, follow) = (server.paths(&given.operands)?, given.has("dereference"));
    let stats = if context.is_direct() {
        let tree = context.open_tree(&server, b"any")?;
        let last = if follow { Last::Follow } else { Last::Keep };
        let describe = |path: &Vec<u8>| {
            let (path, found) = onewriter_tree::stat(&tree, &RelPath::parse(path)?, last)?;
            Ok(convert::stat(&path, found))
        };
        paths.iter().map(describe).collect::<Result<_, Failure>>()?
    } else {
        ask(context, &server, paths, follow)?
    };
    if context.is_json() {
        let stats: Vec<_> = stats.iter().map(as_json).collect();
        context.output.json(&json!({ "stats": stats }))?;
    } else {
        for stat in &stats {
            context.output.line(as_text(stat))?;
        }
    }
    match stats.iter().find(|stat| stat.kind() == FileKind::Unspecified) {
        None => Ok(()),
        Some(missing) => Err(Failure::Refused {
            reason: Some(onewriter_tree::Reason::NotFound),
            message: format!("'{}': it does not exist", shown(&missing.path)),
            path: shown(&missing.path).to_string(),
            index: None,
        }),
    }
}

/// Has the daemon describe paths.
pub(crate) fn ask(
    context: &mut Context,
    server: &Server,
    paths: Vec<Vec<u8>>,
    follow: bool,
) -> Result<Vec<Stat>, Failure> {
    let mut session = context.session(server)?;
    let mut stats = Vec::new();
    for paths in parts(paths, Vec::len) {
        let request = StatRequest { context: Some(context.request(server)), paths, follow };
        let method = "/onewriter.v1.Reading/Stat";
        let response: StatResponse = session.unary(method, &request, Repeat::Safe)?;
        stats.extend(response.stats);
    }
    Ok(stats)
}

fn kind(stat: &Stat) -> String {
    match stat.kind() {
        FileKind::Unspecified => "nothing".to_owned(),
        kind => {
            kind.as_str_name().trim_start_matches("FILE_KIND_").to_lowercase().replace('_', " ")
        }
    }
}

fn as_text(stat: &Stat) -> String {
    let path = shown(&stat.path);
    if stat.kind() == FileKind::Unspecified {
        return format!("'{path}' nothing");
    }
    let time = stat.mtime.unwrap_or_default();
    let mut text = format!(
        "'{path}' {} mode {:04o} size {} mtime {}.{:09} inode {} links {} owner {}:{}",
        kind(stat),
        stat.mode,
        stat.size,
        time.seconds,
        time.nanoseconds,
        stat.inode,
        stat.links,
        stat.uid,
        stat.gid,
    );
    if stat.kind() == FileKind::Symlink {
        text.push_str(&format!(" -> '{}'", shown(&stat.target)));
    }
    text
}

/// A description for programs.
pub(super) fn as_json(stat: &Stat) -> Map<String, Value> {
    let mut object = path_fields("path", &stat.path);
    object.insert("kind".into(), kind(stat).into());
    if stat.kind() != FileKind::Unspecified {
        let time = stat.mtime.unwrap_or_default();
        object.insert("mode".into(), format!("{:04o}", stat.mode).into());
        object.insert("size".into(), stat.size.into());
        object.insert("inode".into(), stat.inode.into());
        object.insert("links".into(), stat.links.into());
        object.insert("uid".into(), stat.uid.into());
        object.insert("gid".into(), stat.gid.into());
        object.insert(
            "mtime".into(),
            json!({ "seconds": time.seconds, "nanoseconds": time.nanoseconds }),
        );
    }
    if stat.kind() == FileKind::Symlink {
        object.extend(path_fields("target", &stat.target));
    }
    object
}
