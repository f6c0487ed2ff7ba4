//! Stubs of small files.

use super::*;
use insta::assert_snapshot;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use std::path::PathBuf;

const SHOP: &str = r#"
        syntax = "proto3";
        package shop.v1;
        import "google/protobuf/timestamp.proto";
        import "common/money-type.proto";

        // What is bought.
        message Order {
          // Who buys.
          // A "name".
          string name = 1;
          repeated Item items = 2;
          map<string, int64> counts = 3;
          map<int32, Item> places = 4;
          optional bool urgent = 5;
          oneof payment {
            string card = 6;
            bytes token = 7;
          }
          google.protobuf.Timestamp time = 8; // when
          common.Money price = 9;
          Item.Kind kind = 10;
          repeated double from = 11;
          repeated Colour colours = 12;

          message Item {
            enum Kind {
              SMALL = 0;
              LARGE = 1; // by weight
            }
            Kind kind = 1;
            Order whole = 2;
          }
        }

        message Nothing {}

        enum Colour {
          RED = 0;
          None = 1;
        }
    "#;
const MONEY: &str = "syntax = \"proto3\"; package common; message Money { int64 cents = 1; }";

struct Texts;

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "shop.proto" => File::from_source(name, SHOP),
            "common/money-type.proto" => File::from_source(name, MONEY),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

fn stub_of(name: &str) -> String {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Texts);
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("shop.proto").unwrap();
    text(&compiler.descriptor_pool().get_file_by_name(name).unwrap())
}

#[test]
fn every_kind_of_declaration_has_a_type() {
    assert_snapshot!(stub_of("shop.proto"));
    assert_snapshot!("of_an_import", stub_of("common/money-type.proto"));
}

#[test]
fn stubs_have_the_paths_of_their_modules() {
    for (proto, expected) in [
        ("public_input.proto", "public_input_pb2.pyi"),
        ("common/money-type.proto", "common/money_type_pb2.pyi"),
    ] {
        assert_eq!(path(proto), PathBuf::from(expected));
    }
}
