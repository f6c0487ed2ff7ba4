//! The tensors of messages.

use super::*;
use prost_reflect::DescriptorPool;
use protox::file::{File, FileResolver};

struct One(&'static str);

impl FileResolver for One {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        File::from_source(name, self.0)
    }
}

fn message(source: &'static str) -> MessageDescriptor {
    let mut compiler = protox::Compiler::with_file_resolver(One(source));
    compiler.open_file("one.proto").unwrap();
    let pool: DescriptorPool = compiler.descriptor_pool();
    pool.get_message_by_name("All").unwrap()
}

#[test]
fn each_field_is_a_tensor() {
    let all = message(
        "syntax = 'proto3';
        message All {
          bool flag = 1; sint32 small = 2; fixed64 large = 3; optional float share = 4; Color color = 5;
          repeated double values = 6;
          repeated bytes images = 7; repeated int64 images_shape = 8;
          repeated int32 other_shape = 9; repeated int64 lone_shape = 10;
          Part part = 11; repeated Row rows = 12;
        }
        enum Color { RED = 0; }
        message Part { repeated string names = 1; repeated int64 names_shape = 2; Inner inner = 3; }
        message Inner { uint32 depth = 1; }
        message Row { int64 id = 1; repeated float weights = 2; }",
    );
    let layout = Layout::of(&all).unwrap();
    let line = |tensor: &Tensor| format!("{} {} {:?}", tensor.name, tensor.datatype, tensor.axes);
    assert_eq!(
        layout.tensors.iter().map(line).collect::<Vec<_>>(),
        [
            "flag BOOL One",
            "small INT32 One",
            "large UINT64 One",
            "share FP32 One",
            "color BYTES One",
            "values FP64 List",
            "images BYTES Any",
            "other_shape INT32 List",
            "lone_shape INT64 List",
            "part.names BYTES Any",
            "part.inner.depth UINT32 One",
            "rows.id INT64 Column",
            "rows.weights FP32 Matrix",
        ]
    );
    assert_eq!(layout.find("part.names"), Some(9));
    assert_eq!(layout.tensors[12].shape(), [-1, -1]);
}

#[test]
fn groups_and_optional_fields_of_old_files() {
    let old = message(
        "syntax = 'proto2';
        message All { optional group Old = 1 { optional int32 a = 2; } repeated Row rows = 3; }
        message Row { required int32 must = 1; optional int32 may = 2; }",
    );
    let unfit = Layout::of(&old).unwrap_err();
    assert_eq!(
        unfit,
        [Unfit::Group { field: "All.old".to_owned() }, Unfit::Optional { field: "Row.may".to_owned() }]
    );
}
