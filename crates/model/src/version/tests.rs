use super::*;

#[test]
fn memory_has_the_largest_unit_that_divides_it() {
    for (bytes, expected) in [
        (0, "0"),
        (1, "1"),
        (1023, "1023"),
        (1 << 10, "1Ki"),
        ((1 << 10) + 1, "1025"),
        (1536 << 10, "1536Ki"),
        (512 << 20, "512Mi"),
        (1 << 30, "1Gi"),
        (3 << 40, "3Ti"),
        (1 << 50, "1024Ti"),
    ] {
        assert_eq!(Memory(bytes).to_string(), expected, "{bytes}");
    }
}

#[test]
fn missing_limits_are_those_of_the_other() {
    let own = Limits { memory: Some(Memory(1)), cpu: None, files: Some(3) };
    let other = Limits { memory: Some(Memory(10)), cpu: Some(20), files: None };
    assert_eq!(own.or(other), Limits { memory: Some(Memory(1)), cpu: Some(20), files: Some(3) });
    assert_eq!(Limits::default().or(other), other);
    assert_eq!(own.or(Limits::default()), own);
}

#[test]
fn words_of_the_manifest() {
    let older = OlderRunner { generation: Generation::JetStream, measures: true };
    let runners = [Runner::Krt, Runner::External, Runner::Older(older)];
    assert_eq!(runners.map(Runner::as_str), ["krt", "external", "krt"]);
    assert_eq!(runners.map(Runner::older), [None, None, Some(older)]);
    assert_eq!([PayloadForm::Protobuf, PayloadForm::Json].map(PayloadForm::as_str), ["protobuf", "json"]);
}
