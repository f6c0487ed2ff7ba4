//! The fields that are removed, and that no others are.

use super::*;
use crate::comments::Comments;
use proptest::prelude::*;
use prost_reflect::prost::Message;
use prost_types::FileDescriptorSet;
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

struct One(&'static str);

impl FileResolver for One {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "p.proto" => File::from_source(name, self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

fn pool(text: &'static str) -> DescriptorPool {
    let mut resolver = ChainFileResolver::new();
    resolver.add(One(text));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("p.proto").unwrap();
    compiler.descriptor_pool()
}

#[test]
fn explicit_names_stay() {
    let pool = pool(
        r#"syntax = "proto2";
        message M {
          optional string first_name = 1;
          optional string _x__y_1 = 2;
          optional string other = 3 [json_name = "mine"];
          message Inner { optional int32 a_b = 1; }
          extensions 100 to 200;
          extend M { optional int32 in_side = 101; }
        }
        extend M { optional int32 out_side = 100; }"#,
    );
    let set = FileDescriptorSet::decode(descriptor_set(&pool).as_slice()).unwrap();
    let [file] = set.file.as_slice() else { panic!("one file") };
    assert!(file.source_code_info.is_none());
    let message = &file.message_type[0];
    let json: Vec<_> = message.field.iter().map(|field| field.json_name.as_deref()).collect();
    assert_eq!(json, [None, None, Some("mine")]);
    assert_eq!(message.nested_type[0].field[0].json_name, None);
    assert_eq!((&message.extension[0].json_name, &file.extension[0].json_name), (&None, &None));
    assert_eq!(message.field[1].name(), "_x__y_1");
}

#[test]
fn options_of_authors_stay() {
    let pool = pool(
        r#"syntax = "proto3";
        import "google/protobuf/descriptor.proto";
        extend google.protobuf.FieldOptions { string unit = 50001; }
        message M { double speed = 1 [(unit) = "metres per second"]; }"#,
    );
    let set = descriptor_set(&pool);
    let option = b"metres per second";
    assert!(set.windows(option.len()).any(|window| window == option));
    assert!(DescriptorPool::decode(set.as_slice()).is_ok());
}

#[test]
fn comments_stay_and_other_locations_go() {
    let pool = pool(
        r#"syntax = "proto3";

        // A detached one.

        // Before.
        message M {
          double speed = 1; // After.
          double bare = 2;
        }"#,
    );
    let decoded = DescriptorPool::decode(commented_set(&pool).as_slice()).unwrap();
    let file = |pool: &DescriptorPool| pool.get_file_by_name("p.proto").unwrap();
    let info = file(&decoded).file_descriptor_proto().source_code_info.clone().unwrap();
    assert_eq!(info.location.len(), 2);
    let comments = Comments::of(&file(&decoded));
    assert_eq!((comments.at(&[4, 0]), comments.at(&[4, 0, 2, 0])), (Some("Before."), Some("After.")));
    assert_eq!(comments.at(&[4, 0, 2, 1]), None);
    let without_info = |pool| {
        let mut file = file(pool).file_descriptor_proto().clone();
        file.source_code_info = None;
        file
    };
    assert_eq!(without_info(&decoded), without_info(&pool));
}

proptest! {
    #[test]
    fn invalid_messages_are_left_alone(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Some(out) = strip(&bytes, Kind::File) {
            prop_assert!(out.len() <= bytes.len());
        }
    }

    #[test]
    fn varints_are_read_as_written(value: u64) {
        let mut out = Vec::new();
        put_varint(&mut out, value);
        prop_assert_eq!(varint(&mut out.as_slice()), Some(value));
    }
}
