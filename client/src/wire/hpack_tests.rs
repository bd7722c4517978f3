//! The examples of RFC 7541, appendix C, as far as they need no dynamic table.

use super::super::hpack_table::index;
use super::*;
use proptest::prelude::*;

/// Bytes from the RFC's way of writing them.
fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn decode(block: &[u8]) -> Result<Vec<(String, String)>, HpackError> {
    let text = |text: Text<'_>| text.decode().map(|text| String::from_utf8_lossy(&text).into());
    Fields::new(block)
        .map(|field| field.and_then(|field| Ok((text(field.name)?, text(field.value)?))))
        .collect()
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|&(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn c1_integers() {
    for (value, prefix, bytes) in
        [(10, 5, "0a"), (1337, 5, "1f 9a 0a"), (42, 8, "2a"), (127, 7, "7f 00"), (0, 4, "00")]
    {
        let mut out = Vec::new();
        put_integer(&mut out, 0, prefix, value);
        assert_eq!(out, hex(bytes));
        assert_eq!(Fields::new(&out).integer(prefix), Ok(value));
    }
}

#[test]
fn c2_literals_and_an_index() {
    for (block, name, value) in [
        (
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            "custom-key",
            "custom-header",
        ),
        ("040c 2f73 616d 706c 652f 7061 7468", ":path", "/sample/path"),
        ("1008 7061 7373 776f 7264 0673 6563 7265 74", "password", "secret"),
        ("82", ":method", "GET"),
    ] {
        assert_eq!(decode(&hex(block)).unwrap(), owned(&[(name, value)]));
    }
}

#[test]
fn c3_and_c4_a_request_plain_and_huffman() {
    let wanted = owned(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
    ]);
    assert_eq!(decode(&hex("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d")).unwrap(), wanted);
    assert_eq!(decode(&hex("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff")).unwrap(), wanted);
}

#[test]
fn c3_2_the_dynamic_table_is_refused() {
    let block = hex("8286 84be 5808 6e6f 2d63 6163 6865");
    assert!(decode(&block).unwrap_err().contains("dynamic"));
}

#[test]
fn c5_and_c6_a_response_plain_and_huffman() {
    let wanted = owned(&[
        (":status", "302"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ]);
    let plain = "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
        2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d";
    let huffman = "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
        2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
    assert_eq!(decode(&hex(plain)).unwrap(), wanted);
    assert_eq!(decode(&hex(huffman)).unwrap(), wanted);
}

#[test]
fn size_updates_to_zero_at_the_start_only() {
    assert_eq!(decode(&hex("20 20 88")).unwrap(), owned(&[(":status", "200")]));
    assert!(decode(&hex("88 20")).is_err());
    assert!(decode(&hex("3f e1 1f 88")).is_err());
}

#[test]
fn broken_blocks_are_errors() {
    for block in
        ["80", "7f", "00", "00 05 61", "40 01 61", "0f 80 80 80 80 80 80 01", "ff ff ff ff ff 7f"]
    {
        assert!(decode(&hex(block)).is_err(), "{block}");
    }
    // Huffman code for nothing but the start of the end-of-string symbol.
    assert!(decode(&hex("00 82 ff ff 01 61")).is_err());
}

#[test]
fn what_is_encoded_can_be_decoded() {
    let mut block = Vec::new();
    let long = "x".repeat(5000);
    put_size_update(&mut block);
    put_indexed(&mut block, index::METHOD_POST);
    put_named(&mut block, index::CONTENT_TYPE, b"application/grpc");
    put_literal(&mut block, b"te", b"trailers");
    put_literal(&mut block, b"long", long.as_bytes());
    assert_eq!(
        decode(&block).unwrap(),
        owned(&[
            (":method", "POST"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("long", &long)
        ])
    );
}

proptest! {
    #[test]
    fn huffman_code_survives_the_round_trip(text: Vec<u8>) {
        let mut coded = Vec::new();
        httlib_huffman::encode(&text, &mut coded).unwrap();
        let decoded = Text::Huffman(&coded).decode().unwrap();
        prop_assert_eq!(decoded.as_ref(), &text[..]);
    }

    #[test]
    fn arbitrary_blocks_never_panic(block: Vec<u8>) {
        let _ = decode(&block);
        let _ = Text::Huffman(&block).decode();
    }
}
