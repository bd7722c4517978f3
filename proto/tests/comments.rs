//! The .proto files say what everything in them is for.

use std::path::Path;

use prost_types::{FileDescriptorProto, source_code_info::Location};

#[test]
fn every_message_enum_service_and_rpc_has_a_comment_above_it() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = home.join("onewriter/v1").read_dir().unwrap();
    let files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    let compiled = protox::compile(&files, [home]).expect("the .proto files compile");
    let ours = compiled.file.iter().filter(|file| file.package() == "onewriter.v1");
    let (mut seen, mut bare) = (0, Vec::new());
    for file in ours {
        let source =
            file.source_code_info.as_ref().expect("where things stand, and what is said there");
        for place in &source.location {
            let Some(name) = what_says_itself(file, &place.path) else { continue };
            seen += 1;
            if !is_commented(place) {
                bare.push(format!("{}: {name}", file.name()));
            }
        }
    }
    assert!(seen > 150, "only {seen} were found");
    assert!(bare.is_empty(), "there is no comment above {bare:#?}");
}

fn is_commented(place: &Location) -> bool {
    place.leading_comments().split_whitespace().count() > 1
}

/// The name of what is at a place of a descriptor, if it is one of those that need a comment. The
/// numbers are those of the fields of google/protobuf/descriptor.proto.
fn what_says_itself(file: &FileDescriptorProto, path: &[i32]) -> Option<String> {
    let at = |n: &i32| usize::try_from(*n).unwrap();
    match path {
        [4, message, rest @ ..] => {
            let mut message = &file.message_type[at(message)];
            let mut rest = rest;
            while let [3, nested, further @ ..] = rest {
                (message, rest) = (&message.nested_type[at(nested)], further);
            }
            match rest {
                [] => Some(message.name().to_owned()),
                [4, nested] => Some(message.enum_type[at(nested)].name().to_owned()),
                _ => None,
            }
        }
        [5, one] => Some(file.enum_type[at(one)].name().to_owned()),
        [6, service] => Some(file.service[at(service)].name().to_owned()),
        [6, service, 2, rpc] => Some(file.service[at(service)].method[at(rpc)].name().to_owned()),
        _ => None,
    }
}
