use super::*;
use bson::doc;

/// An encoded message of an opcode.
fn framed(op_code: i32, rest: &[u8]) -> ([u8; HEADER], Vec<u8>) {
    let size = i32::try_from(HEADER + rest.len()).unwrap();
    let header: Vec<u8> = [size, 7, 0, op_code].into_iter().flat_map(i32::to_le_bytes).collect();
    (header.try_into().unwrap(), rest.to_vec())
}

fn parse(op_code: i32, rest: &[u8]) -> Result<Request, WireError> {
    let (header, rest) = framed(op_code, rest);
    Request::parse(header, &rest)
}

fn body(document: &Document) -> Vec<u8> {
    [&[0][..], &document.to_vec().unwrap()].concat()
}

fn sequence_of(name: &str, documents: &[Document]) -> Vec<u8> {
    let documents: Vec<u8> = documents.iter().flat_map(|document| document.to_vec().unwrap()).collect();
    let size = i32::try_from(4 + name.len() + 1 + documents.len()).unwrap();
    [&[1][..], &size.to_le_bytes(), name.as_bytes(), &[0], &documents].concat()
}

fn flagged(flags: u32, sections: &[Vec<u8>]) -> Vec<u8> {
    [&flags.to_le_bytes()[..], &sections.concat()].concat()
}

#[test]
fn a_sequence_is_an_array_of_the_command() {
    let insert = body(&doc! { "insert": "c", "$db": "d" });
    let documents = sequence_of("documents", &[doc! { "a": 1 }, doc! { "b": 2 }]);
    for sections in [[insert.clone(), documents.clone()], [documents, insert]] {
        let request = parse(OP_MSG, &flagged(0, &sections)).unwrap();
        let expected = doc! { "insert": "c", "$db": "d", "documents": [{ "a": 1 }, { "b": 2 }] };
        assert_eq!((request.name(), request.database.as_str()), ("insert", "d"));
        assert_eq!(request.body, expected);
        assert!(request.reply.is_some());
    }
}

#[test]
fn flags_and_checksums() {
    let ping = [body(&doc! { "ping": 1, "$db": "admin" })];
    assert!(parse(OP_MSG, &flagged(MORE_TO_COME, &ping)).unwrap().reply.is_none());
    // Bits above the sixteenth are optional: `exhaustAllowed`.
    assert!(parse(OP_MSG, &flagged(1 << 16, &ping)).is_ok());
    assert_eq!(parse(OP_MSG, &flagged(4, &ping)), Err(WireError::Flags(4)));

    let mut rest = flagged(CHECKSUM_PRESENT, &ping);
    rest.extend([0; 4]);
    let (header, mut rest) = framed(OP_MSG, &rest);
    assert_eq!(Request::parse(header, &rest), Err(WireError::Checksum));
    let end = rest.len() - 4;
    let sum = crc32c::crc32c(&[&header[..], &rest[..end]].concat());
    rest[end..].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(Request::parse(header, &rest).unwrap().name(), "ping");
}

#[test]
fn legacy_hello() {
    let query = |collection: &str, body: &Document| {
        [&[0; 4][..], collection.as_bytes(), &[0; 5], &[255; 4], &body.to_vec().unwrap()].concat()
    };
    for command in [doc! { "isMaster": 1 }, doc! { "$query": { "isMaster": 1 }, "$readPreference": {} }] {
        let request = parse(OP_QUERY, &query("admin.$cmd", &command)).unwrap();
        assert_eq!((request.name(), request.database.as_str()), ("isMaster", "admin"));
        let reply = request.reply.unwrap().encode(&doc! { "ok": 1.0 }, 3).unwrap();
        let numbers: Vec<_> =
            reply[..36].chunks(4).map(|four| i32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!(numbers, [i32::try_from(reply.len()).unwrap(), 3, 7, OP_REPLY, 0, 0, 0, 0, 1]);
    }
    assert_eq!(parse(OP_QUERY, &query("d.c", &doc! {})), Err(WireError::Query("d.c".to_owned())));
}

#[test]
fn invalid_messages() {
    let ping = body(&doc! { "ping": 1 });
    let deep = (0..300).fold(doc! {}, |inner, _| doc! { "a": inner });
    let arrays = (0..300).fold(bson::Bson::Null, |inner, _| bson::Bson::Array(vec![inner]));
    let cases = [
        (parse(2012, &[]), WireError::OpCode(2012)),
        (parse(2004, &[0; 3]), WireError::Short),
        (parse(OP_MSG, &flagged(0, &[])), WireError::Bodies(0)),
        (parse(OP_MSG, &flagged(0, &[ping.clone(), ping.clone()])), WireError::Bodies(2)),
        (parse(OP_MSG, &flagged(0, &[vec![2]])), WireError::Section(2)),
        (parse(OP_MSG, &flagged(0, &[ping[..8].to_vec()])), WireError::Short),
        (parse(OP_MSG, &flagged(0, &[vec![0, 255, 255, 255, 255]])), WireError::Short),
        (parse(OP_MSG, &flagged(0, &[vec![1, 3, 0, 0, 0]])), WireError::Short),
        (parse(OP_MSG, &flagged(0, &[body(&deep)])), WireError::Depth),
        (parse(OP_MSG, &flagged(0, &[body(&doc! { "a": arrays })])), WireError::Depth),
        (
            parse(OP_MSG, &flagged(0, &[body(&doc! { "a": 1 }), sequence_of("a", &[])])),
            WireError::Sequence("a".to_owned()),
        ),
    ];
    for (result, expected) in cases {
        assert_eq!(result, Err(expected));
    }
    for size in [-1, 0, 15, i32::MAX] {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&size.to_le_bytes());
        assert!(matches!(Header::parse(header), Err(WireError::Size(_))), "{size}");
    }
}

proptest::proptest! {
    /// Parsing any bytes returns, with an error if they are not a message.
    #[test]
    fn no_bytes_cause_a_panic(op in proptest::sample::select(vec![OP_MSG, OP_QUERY]), rest: Vec<u8>) {
        let _ = parse(op, &rest);
    }

    /// Changes one byte of a message.
    #[test]
    fn no_change_causes_a_panic(at in 0..200_usize, byte: u8) {
        let insert = body(&doc! { "insert": "c", "$db": "d", "ordered": true });
        let documents = sequence_of("documents", &[doc! { "a": [1, { "b": "text" }] }, doc! { "b": 2.5 }]);
        let mut rest = flagged(0, &[insert, documents]);
        let at = at % rest.len();
        rest[at] = byte;
        let _ = parse(OP_MSG, &rest);
    }
}
