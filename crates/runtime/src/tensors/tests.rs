//! Both ways of each form, and what is refused.

use super::*;
use crate::{json::Bounds, memory::Pool};
use bytes::Bytes;
use krt_model::hint;
use krt_package::open_inference::{Axes, Datatype, Tensor};
use proptest::{collection::vec, prelude::*, sample::select};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::json;
use std::sync::LazyLock;

static KIND: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference");
    let files = protox::compile(["tensors.proto"], [folder]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
    pool.get_message_by_name("tensors.All").unwrap()
});

static LAYOUT: LazyLock<Layout> = LazyLock::new(|| Layout::of(&KIND).unwrap());

fn signature() -> Signature<'static> {
    Signature { inputs: &LAYOUT, outputs: &LAYOUT }
}

fn texts(texts: &[Vec<u8>]) -> Vec<u8> {
    texts.iter().flat_map(|text| [&(text.len() as u32).to_le_bytes()[..], text].concat()).collect()
}

/// The data of a tensor of so many elements.
fn data(tensor: &Tensor, count: usize) -> BoxedStrategy<Vec<u8>> {
    let concat = |elements: Vec<Vec<u8>>| elements.concat();
    match tensor.datatype {
        Datatype::Bool => vec(any::<bool>().prop_map(u8::from), count).boxed(),
        Datatype::Fp32 => {
            vec(float().prop_map(|value| value.to_le_bytes().to_vec()), count).prop_map(concat).boxed()
        }
        Datatype::Fp64 => {
            let doubles = prop_oneof![any::<f64>(), select(vec![0.0, -0.0, f64::NAN, f64::NEG_INFINITY])];
            let doubles = doubles.prop_map(|value| if value.is_nan() { f64::NAN } else { value });
            vec(doubles.prop_map(|value| value.to_le_bytes().to_vec()), count).prop_map(concat).boxed()
        }
        Datatype::Bytes => {
            let text = match tensor.name.as_str() {
                "color" | "colors" => {
                    select(vec!["RED", "BLUE", "7"]).prop_map(|name| name.as_bytes().to_vec()).boxed()
                }
                "raw" | "raws" => vec(any::<u8>(), 0..5).boxed(),
                _ => "\\PC{0,4}".prop_map(String::into_bytes).boxed(),
            };
            vec(text, count).prop_map(|all| texts(&all)).boxed()
        }
        datatype => {
            let size = datatype.size().unwrap();
            let number = prop_oneof![vec(any::<u8>(), size), Just(vec![0; size]), Just(vec![0xFF; size])];
            vec(number, count).prop_map(concat).boxed()
        }
    }
}

fn float() -> impl Strategy<Value = f32> {
    let floats = prop_oneof![any::<f32>(), select(vec![0.0, -0.0, f32::NAN, f32::INFINITY, 0.1])];
    floats.prop_map(|value| if value.is_nan() { f32::NAN } else { value })
}

/// A tensor as a message of the layout has it.
fn tensor(tensor: &'static Tensor, rows: usize) -> BoxedStrategy<RawTensor> {
    let shape = match tensor.axes {
        Axes::One => Just(vec![1]).boxed(),
        Axes::List => (0..5_i64).prop_map(|size| vec![size]).boxed(),
        Axes::Any => vec(0..4_i64, 1..4).boxed(),
        Axes::Column => Just(vec![rows as i64]).boxed(),
        Axes::Matrix if rows == 0 => Just(vec![0, 0]).boxed(),
        Axes::Matrix => (0..3_i64).prop_map(move |width| vec![rows as i64, width]).boxed(),
    };
    let whole = shape.prop_flat_map(move |shape| {
        let count = shape.iter().product::<i64>() as usize;
        (Just(shape), data(tensor, count))
    });
    let datatype = tensor.datatype;
    whole.prop_map(move |(shape, data)| RawTensor::new(datatype, shape, data.into()).unwrap()).boxed()
}

/// The tensors of a message: those of `optional` fields and of one message may be absent.
fn tensors() -> impl Strategy<Value = Vec<Option<RawTensor>>> {
    (0..4_usize, any::<[bool; 4]>()).prop_flat_map(|(rows, there)| {
        let all: Vec<_> = LAYOUT
            .tensors
            .iter()
            .map(|known| {
                let is_there = match known.name.as_str() {
                    "share" => there[0],
                    "note" => there[1],
                    "part.values" | "part.count" => there[2],
                    "part.inner.deep" => there[2] && there[3],
                    _ => true,
                };
                match is_there {
                    true => tensor(known, rows).prop_map(Some).boxed(),
                    false => Just(None).boxed(),
                }
            })
            .collect();
        all
    })
}

fn all(form: Form) -> Vec<Output> {
    (0..LAYOUT.tensors.len()).map(|tensor| Output { tensor, form }).collect()
}

fn response<'a>(tensors: &'a [Option<RawTensor>], outputs: &'a [Output]) -> InferResponse<'a> {
    InferResponse { model: "m", version: "v1", id: Some("7"), layout: &LAYOUT, tensors, outputs }
}

fn without_negative_zeros(tensor: RawTensor) -> RawTensor {
    let Some(size @ (4 | 8)) = tensor.datatype.size() else { return tensor };
    let is_float = matches!(tensor.datatype, Datatype::Fp32 | Datatype::Fp64);
    let negative_zero = [vec![0; size - 1], vec![0x80]].concat();
    let element = |element: &[u8]| match is_float && *element == negative_zero {
        true => vec![0; size],
        false => element.to_vec(),
    };
    let data: Vec<u8> = tensor.data.chunks(size).flat_map(element).collect();
    RawTensor { data: data.into(), ..tensor }
}

/// An answer as a request over REST: outputs and inputs have the same form.
fn as_rest_request(tensors: &[Option<RawTensor>], form: Form) -> (Bytes, Option<usize>) {
    let (body, json) = rest::write(response(tensors, &all(form)), Bounds::none()).unwrap();
    let at = body.windows(11).position(|part| part == b",\"outputs\":").unwrap();
    let request = [&body[..at], b",\"inputs\":", &body[at + 11..]].concat();
    (request.into(), json.map(|json| json - 1))
}

/// An answer as a request over gRPC: outputs and inputs have the same field, raw contents have the next.
fn as_grpc_request(tensors: &[Option<RawTensor>], form: Form) -> Bytes {
    let message = grpc::write(response(tensors, &all(form)), Bounds::none()).unwrap();
    let mut rest = &message[..];
    let mut request = Vec::new();
    while !rest.is_empty() {
        let before = rest;
        crate::json::wire::take(&mut rest).unwrap();
        let start = request.len();
        request.extend_from_slice(&before[..before.len() - rest.len()]);
        request[start] += if request[start] == 6 << 3 | 2 { 8 } else { 0 };
    }
    request.into()
}

proptest! {
    #[test]
    fn tensors_round_trip(tensors in tensors(), binary in any::<bool>()) {
        let message = encode(&LAYOUT, &tensors, Bounds::none()).unwrap();
        let decoded = decode(&LAYOUT, &message, &Bounds::none()).unwrap();
        prop_assert_eq!(&decoded, &tensors);
        let form = if binary { Form::Binary } else { Form::Plain };
        let (body, json) = as_rest_request(&tensors, form);
        prop_assert_eq!(json.is_some(), binary);
        let parsed = rest::parse(&body, json, signature(), &Bounds::none()).unwrap();
        prop_assert_eq!(&parsed.inputs, &tensors);
        prop_assert_eq!(parsed.id.as_deref(), Some("7"));
        let parsed = grpc::parse(&as_grpc_request(&tensors, form), signature(), &Bounds::none()).unwrap();
        prop_assert_eq!(&parsed.inputs, &tensors);
        prop_assert_eq!(parsed.outputs, all(form));
    }

    #[test]
    fn messages_are_those_of_other_encoders(tensors in tensors()) {
        // The other encoder takes a negative zero for a default.
        let tensors: Vec<_> = tensors.into_iter().map(|tensor| tensor.map(without_negative_zeros)).collect();
        let message = encode(&LAYOUT, &tensors, Bounds::none()).unwrap();
        let theirs = DynamicMessage::decode(KIND.clone(), message).unwrap();
        let again = prost::Message::encode_to_vec(&theirs);
        prop_assert_eq!(decode(&LAYOUT, &again, &Bounds::none()).unwrap(), tensors);
    }

    #[test]
    fn readers_never_panic(bytes in vec(any::<u8>(), 0..200), header in proptest::option::of(0..200_usize)) {
        let bytes = Bytes::from(bytes);
        let _ = grpc::parse(&bytes, signature(), &Bounds::none());
        let _ = rest::parse(&bytes, header, signature(), &Bounds::none());
        let _ = decode(&LAYOUT, &bytes, &Bounds::none());
    }
}

fn parse_rest(body: &str, binary: &[u8]) -> Result<InferRequest, String> {
    let whole = Bytes::from([body.as_bytes(), binary].concat());
    let parsed = rest::parse(&whole, Some(body.len()), signature(), &Bounds::none());
    parsed.map_err(|error| hint::line(&error))
}

fn message(body: &str) -> serde_json::Value {
    let parsed = parse_rest(body, b"").unwrap();
    let message = encode(&LAYOUT, &parsed.inputs, Bounds::none()).unwrap();
    let decoded = decode(&LAYOUT, &message, &Bounds::none()).unwrap();
    let wanted: Vec<Output> =
        all(Form::Plain).into_iter().filter(|output| parsed.inputs[output.tensor].is_some()).collect();
    let (body, _) = rest::write(response(&decoded, &wanted), Bounds::none()).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    body["outputs"].clone()
}

#[test]
fn json_in_several_forms() {
    for (input, output) in [
        (
            r#"{"name": "image", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2.5], [3, "NaN"]]}"#,
            json!({ "name": "image", "shape": [2, 2], "datatype": "FP32", "data": [1.0, 2.5, 3.0, "NaN"] }),
        ),
        (
            r#"{"data": [1, 255], "datatype": "UINT8", "shape": [1, 2], "name": "smalls"}"#,
            json!({ "name": "smalls", "shape": [2], "datatype": "INT32", "data": [1, 255] }),
        ),
        (
            r#"{"name": "doubles", "shape": [1], "datatype": "FP32", "data": [0.5], "parameters": null}"#,
            json!({ "name": "doubles", "shape": [1], "datatype": "FP64", "data": [0.5] }),
        ),
        (
            r#"{"name": "raw", "shape": [], "datatype": "BYTES", "data": ["/wA="], "parameters": {"content_type": "base64"}}"#,
            json!({ "name": "raw", "shape": [1], "datatype": "BYTES", "data": ["/wA="], "parameters": { "content_type": "base64" } }),
        ),
        (
            r#"{"name": "color", "shape": [1, 1], "datatype": "BYTES", "data": [["1"]]}"#,
            json!({ "name": "color", "shape": [1], "datatype": "BYTES", "data": ["BLUE"] }),
        ),
        (
            r#"{"name": "larges", "shape": [1], "datatype": "UINT64", "data": [18446744073709551615]}"#,
            json!({ "name": "larges", "shape": [1], "datatype": "UINT64", "data": [u64::MAX] }),
        ),
    ] {
        assert_eq!(message(&format!(r#"{{"inputs": [{input}]}}"#)), json!([output]), "{input}");
    }
}

#[test]
fn halves_in_binary_data() {
    let body = r#"{"inputs": [
        {"name": "floats", "shape": [2], "datatype": "FP16", "parameters": {"binary_data_size": 4}},
        {"name": "single", "shape": [1], "datatype": "BF16", "parameters": {"binary_data_size": 2}}]}"#;
    let parsed = parse_rest(body, &[0x00, 0x3C, 0x00, 0xC0, 0x80, 0x3F]).unwrap();
    let message = encode(&LAYOUT, &parsed.inputs, Bounds::none()).unwrap();
    let decoded = decode(&LAYOUT, &message, &Bounds::none()).unwrap();
    let data = |name| decoded[LAYOUT.find(name).unwrap()].as_ref().unwrap().data.to_vec();
    assert_eq!(data("floats"), [1.0_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat());
    assert_eq!(data("single"), 1.0_f32.to_le_bytes());
}

#[test]
fn wanted_outputs_and_their_forms() {
    let forms = |body: &str| {
        let parsed = parse_rest(body, b"").unwrap();
        let name =
            |output: &Output| (LAYOUT.tensors[output.tensor].name.as_str(), output.form == Form::Binary);
        parsed.outputs.iter().map(name).collect::<Vec<_>>()
    };
    let outputs = r#""outputs": [{"name": "text"}, {"name": "flag", "parameters": {"binary_data": false, "other": 1}}]"#;
    assert_eq!(forms(&format!("{{{outputs}}}")), [("text", false), ("flag", false)]);
    let binary = format!(r#"{{{outputs}, "parameters": {{"binary_data_output": true}}}}"#);
    assert_eq!(forms(&binary), [("text", true), ("flag", false)]);
    assert_eq!(forms("{}").len(), LAYOUT.tensors.len());
}

#[test]
fn wrong_requests_over_rest() {
    let input = |name: &str, shape: &str, datatype: &str, more: &str| {
        format!(r#"{{"inputs": [{{"name": "{name}", "shape": {shape}, "datatype": "{datatype}"{more}}}]}}"#)
    };
    let rows = [
        (
            "[]".to_owned(),
            "the request's JSON is not an inference request: expected an object, found [] at line 1",
        ),
        (
            r#"{"inputs": {}}"#.to_owned(),
            "the request's JSON is not an inference request: `inputs`: expected a list, found {}",
        ),
        (
            r#"{"inputs": [{}]}"#.to_owned(),
            "the request's JSON is not an inference request: `inputs[0]`: `name` is missing",
        ),
        (r#"{"inputs": [{"name": 1}]}"#.to_owned(), "`inputs[0].name`: expected a text, found 1"),
        (r#"{"inputs": [], "inputs": []}"#.to_owned(), "`inputs` is there twice"),
        (format!(r#"{{"id": "{}"}}"#, "x".repeat(1025)), "the request's `id` has more than 1024 bytes"),
        (
            input("nothing", "[1]", "FP32", ""),
            "the model has no input `nothing`; hint: its inputs are `flag`, ",
        ),
        (r#"{"inputs": [{"name": "flag"}]}"#.to_owned(), "input `flag`: it has no `datatype`"),
        (input("flag", "[1]", "FP99", ""), "input `flag`: there is no datatype `FP99`"),
        (input("single", "[1]", "FP64", ""), "input `single`: it is FP64, but must be FP32"),
        (
            input("single", "[2]", "FP32", ""),
            "input `single`: it has the shape [2], but must have one element",
        ),
        (
            input("floats", "[2,2]", "FP32", ""),
            "it has the shape [2,2], but must have one dimension; dimensions of",
        ),
        (input("rows.weight", "[1,2]", "FP32", ""), "must have one dimension, the rows"),
        (input("rows.codes", "[2]", "UINT32", ""), "must have two or more dimensions, first the rows"),
        (input("image", "[-1]", "FP32", ""), "input `image`: [-1] is not a shape"),
        (input("image", "[9223372036854775807,2]", "FP32", ""), "is not a shape: at most 16 sizes from 0"),
        (input("image", &format!("[{}1]", "1,".repeat(99)), "FP32", ""), "is not a shape"),
        (input("image", "[1.5]", "FP32", ""), "`inputs[0].shape`: expected a whole number, found 1.5"),
        (input("flag", "[1]", "BOOL", ""), "input `flag`: it has no data"),
        (input("flag", "[1]", "BOOL", r#", "data": [true], "data": []"#), "`data` is there twice"),
        (
            input("flag", "[1]", "BOOL", r#", "data": [true], "parameters": {"binary_data_size": 1}"#),
            "input `flag`: it has its data twice",
        ),
        (
            input("flag", "[1]", "BOOL", r#", "data": [1]"#),
            "`inputs[0].data`: expected true or false, found 1",
        ),
        (input("floats", "[2]", "FP32", r#", "data": [1]"#), "it has 1 elements, but its shape has 2"),
        (input("floats", "[1]", "FP32", r#", "data": [1, 2]"#), "it has more elements, but its shape has 1"),
        (
            input("floats", "[1000000000000]", "FP32", r#", "data": [1]"#),
            "it has 1 elements, but its shape has",
        ),
        (
            input("floats", "[1]", "FP32", r#", "data": [1e39]"#),
            "`inputs[0].data`: 1e39 does not fit in an FP32",
        ),
        (input("floats", "[1]", "FP32", r#", "data": ["x"]"#), "expected a number, found \"x\""),
        (input("floats", "[1]", "FP32", r#", "data": 1"#), "`inputs[0].data`: expected a list, found 1"),
        (input("floats", "[1]", "FP16", r#", "data": [1]"#), "FP16 cannot be sent as JSON: send binary data"),
        (input("smalls", "[1]", "INT8", r#", "data": [128]"#), "128 does not fit in an INT8"),
        (input("smalls", "[1]", "INT32", r#", "data": [1.5]"#), "expected a whole number, found 1.5"),
        (
            input("image", "[1]", "FP32", &format!(r#", "data": {}{}"#, "[".repeat(17), "]".repeat(17))),
            "nested more than 16 levels deep",
        ),
        (
            input("floats", "[4]", "FP32", r#", "parameters": {"binary_data_size": 16}"#),
            "its `binary_data_size` is 16, but the body has 4 bytes left; hint: the header",
        ),
        (
            input("floats", "[2]", "FP32", r#", "parameters": {"binary_data_size": 4}"#),
            "it has 4 bytes of data, but its shape and datatype need 8",
        ),
        (
            input("texts", "[1]", "BYTES", r#", "parameters": {"binary_data_size": 4}"#),
            "input `texts`: the lengths of its elements do not match its data",
        ),
        (
            input("floats", "[2]", "FP32", r#", "parameters": {"binary_data_size": -1}"#),
            "`inputs[0].parameters.binary_data_size`: expected a size, found -1",
        ),
        (
            input("floats", "[2]", "FP32", r#", "parameters": {"shared_memory_region": "x"}"#),
            "input `floats`: shared memory is not supported",
        ),
        (
            "{}".to_owned(),
            "4 bytes of binary data belong to no input; hint: the parameter `binary_data_size`",
        ),
    ];
    for (body, expected) in rows {
        let error = parse_rest(&body, &[9, 0, 0, 0]).unwrap_err();
        assert!(error.contains(expected), "{body}: {error}");
    }
    for (body, expected) in [
        (r#"{"outputs": [{"name": "nothing"}]}"#, "the model has no output `nothing`; hint: its outputs are"),
        (r#"{"outputs": [{"name": "flag"}, {"name": "flag"}]}"#, "the output `flag` is there twice"),
        (r#"{"outputs": [{"parameters": {}}]}"#, "`outputs[0]`: `name` is missing"),
        (
            r#"{"outputs": [{"name": "flag", "parameters": {"classification": 3}}]}"#,
            "output `flag`: `classification` is not supported",
        ),
        (
            r#"{"parameters": {"binary_data_output": 1}}"#,
            "`parameters.binary_data_output`: expected true or false",
        ),
    ] {
        let error = parse_rest(body, b"").unwrap_err();
        assert!(error.contains(expected), "{body}: {error}");
    }
    let twice = r#"{"name": "flag", "shape": [1], "datatype": "BOOL", "data": [true]}"#;
    let error = parse_rest(&format!(r#"{{"inputs": [{twice}, {twice}]}}"#), b"").unwrap_err();
    assert_eq!(error, "the input `flag` is there twice");
    let error = rest::parse(&Bytes::from_static(b"{}"), Some(3), signature(), &Bounds::none()).unwrap_err();
    assert!(hint::line(&error).contains("must be the size of the JSON, at most 2"), "{error}");
}

/// What only the message can refuse.
#[test]
fn values_that_fields_do_not_take() {
    for (name, datatype, shape, data, expected) in [
        (
            "texts",
            "BYTES",
            "[1]",
            texts(&[vec![0xFF]]),
            "an element is not UTF-8, and its field is a `string`",
        ),
        (
            "color",
            "BYTES",
            "[1]",
            texts(&[b"GREEN".to_vec()]),
            "input `color`: tensors.Color has no value `GREEN`",
        ),
    ] {
        let size = data.len();
        let body = format!(
            r#"{{"inputs": [{{"name": "{name}", "shape": {shape}, "datatype": "{datatype}", "parameters": {{"binary_data_size": {size}}}}}]}}"#
        );
        let parsed = parse_rest(&body, &data).unwrap();
        let error = encode(&LAYOUT, &parsed.inputs, Bounds::none()).unwrap_err();
        assert!(hint::line(&error).contains(expected), "{error}");
    }
    let column = |name, rows| {
        format!(
            r#"{{"name": "{name}", "shape": [{rows}], "datatype": "BYTES", "data": [{}]}}"#,
            vec![r#""a""#; rows].join(",")
        )
    };
    let weight = r#"{"name": "rows.weight", "shape": [2], "datatype": "FP32", "data": [1, 2]}"#;
    let parsed =
        parse_rest(&format!(r#"{{"inputs": [{}, {weight}]}}"#, column("rows.name", 3)), b"").unwrap();
    let error = encode(&LAYOUT, &parsed.inputs, Bounds::none()).unwrap_err();
    assert_eq!(error.to_string(), "the inputs of `rows` have different numbers of rows: 3 and 2");
}

#[test]
fn rows_without_elements_end_at_the_limit() {
    let body = r#"{"inputs": [{"name": "rows.codes", "shape": [1000000000000, 0], "datatype": "UINT32", "data": []}]}"#;
    let parsed = parse_rest(body, b"").unwrap();
    let bounds = Bounds { limit: 1 << 20, reservation: Pool::new(8 << 20).reserve() };
    assert!(matches!(encode(&LAYOUT, &parsed.inputs, bounds), Err(Error::Refused(_))));
}

fn put(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, content.len() as u8][..], content].concat()
}

#[test]
fn wrong_requests_over_grpc() {
    let input = |name: &str, datatype: &str, shape: &[u8], more: &[u8]| {
        let head =
            [put(1, name.as_bytes()), put(2, datatype.as_bytes()), put(3, shape), more.to_vec()].concat();
        put(5, &head)
    };
    let floats = |contents: &[u8]| input("floats", "FP32", &[1], &put(5, contents));
    let one = 1.0_f32.to_le_bytes();
    let good = floats(&put(6, &one));
    for (request, expected) in [
        (
            vec![5 << 3 | 2, 9],
            "the request's message is not an inference.ModelInferRequest: not a protobuf message",
        ),
        (vec![5 << 3, 1], "not an inference.ModelInferRequest: another type on the wire"),
        (put(3, &[0xFF]), "not an inference.ModelInferRequest: not UTF-8"),
        (input("nothing", "FP32", &[1], b""), "the model has no input `nothing`"),
        ([good.clone(), good.clone()].concat(), "the input `floats` is there twice"),
        (
            [good.clone(), put(7, &one), put(7, &one)].concat(),
            "there are 2 `raw_input_contents` for 1 inputs",
        ),
        (put(7, &one), "there are 1 `raw_input_contents` for 0 inputs"),
        ([good, put(7, &one)].concat(), "input `floats`: it has its data twice"),
        (floats(b""), "it has 0 bytes of data, but its shape and datatype need 4"),
        (floats(&put(7, &one)), "its data is not in `fp32_contents`, the field for FP32"),
        (input("floats", "FP16", &[1], &put(5, &put(6, &one))), "FP16 has no field in `contents`"),
        (input("smalls", "INT8", &[1], &put(5, &put(2, &[0x80, 1]))), "128 does not fit in INT8"),
        (input("smalls", "INT32", &[0xFF; 10][..9], b""), "not a protobuf message"),
        (
            input("floats", "FP32", &[1], &put(4, &put(1, b"shared_memory_region"))),
            "input `floats`: shared memory is not supported",
        ),
        (put(6, &put(1, b"nothing")), "the model has no output `nothing`"),
        (
            put(6, &[put(1, b"flag"), put(2, &put(1, b"classification"))].concat()),
            "output `flag`: `classification` is not supported",
        ),
    ] {
        let error = grpc::parse(&request.clone().into(), signature(), &Bounds::none()).unwrap_err();
        let error = hint::line(&error);
        assert!(error.contains(expected), "{request:?}: {error}");
    }
    let wanted = |more: &[u8]| {
        let request = [input("floats", "FP32", &[0], more), put(6, &put(1, b"flag"))].concat();
        grpc::parse(&[request, put(7, b"")].concat().into(), signature(), &Bounds::none()).unwrap().outputs
    };
    assert_eq!(wanted(b""), [Output { tensor: 0, form: Form::Binary }]);
    assert_eq!(grpc::model(&[put(1, b"m"), put(2, b"v"), put(1, b"n")].concat()).unwrap(), ("n", "v"));
}

#[test]
fn answers_that_are_no_tensors() {
    let rows = |row: &[u8]| [vec![41_u8 << 3 & 0x7F | 0x82, 2, row.len() as u8], row.to_vec()].concat();
    let part = [rows(&put(3, &[1, 0, 0, 0])), rows(b"")].concat();
    let error = decode(&LAYOUT, &part, &Bounds::none()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`rows.codes` of the answer cannot be a tensor: its rows have different lengths"
    );
    let shaped = [put(30, &[0; 8]).as_slice(), &[0xFA, 1, 1, 3]].concat();
    let shaped = [&[0xF2_u8, 1][..], &shaped[1..]].concat();
    let error = decode(&LAYOUT, &shaped, &Bounds::none()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`image` of the answer cannot be a tensor: its shape [3] does not have its 2 elements"
    );
    assert!(matches!(decode(&LAYOUT, &[1], &Bounds::none()), Err(Error::Answer)));
}
