//! `onewriter cat`: prints files.

use onewriter_proto::v1::{ReadFileRequest, ReadFileResponse, read_file_response::Step};
use onewriter_tree::{RelPath, open_file};

use super::MANY;
use crate::{
    command::{COMMON, Given, Verb},
    context::Context,
    failure::Failure,
};

pub(super) const VERB: Verb = Verb {
    name: "cat",
    about: "Print files; each is one file's content, whatever is published meanwhile",
    details: "",
    operands: "FILE...",
    count: (1, MANY),
    options: &[],
    common: COMMON,
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let server = context.server()?;
    for path in server.paths(&given.operands)? {
        if context.is_direct() {
            print_directly(context, &RelPath::parse(&path)?, &server)?;
            continue;
        }
        let request = ReadFileRequest {
            context: Some(context.request(&server)),
            path,
            ..ReadFileRequest::default()
        };
        let mut session = context.session(&server)?;
        let mut printed = Ok(());
        session.stream("/onewriter.v1.Reading/ReadFile", |call| {
            call.send_last(&request)?;
            while let Some(answer) = call.recv::<ReadFileResponse>()? {
                if let Some(Step::Chunk(chunk)) = answer.step {
                    printed = context.output.bytes(&chunk);
                    if printed.is_err() {
                        break;
                    }
                }
            }
            Ok(())
        })?;
        printed?;
    }
    Ok(())
}

fn print_directly(
    context: &mut Context,
    path: &RelPath,
    server: &crate::server::Server,
) -> Result<(), Failure> {
    use std::io::Read as _;
    let (mut file, _) = open_file(&context.open_tree(server, path.as_bytes())?, path)?;
    let mut chunk = vec![0; 256 * 1024];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => context.output.bytes(&chunk[..n])?,
            Err(e) => return Err(Failure::Io(format!("'{path}' cannot be read: {e}"))),
        }
    }
}
