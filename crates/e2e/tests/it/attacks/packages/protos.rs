//! `.proto` files crafted to harm their compiler.

use super::{
    HostilePackage,
    archives::{archive, manifest},
};

const HEAD: &str = "syntax = \"proto3\";\npackage names;\n";
const SERVICE: &str =
    "service Entrypoint { rpc Name(Text) returns (Text); }\nmessage Text { string text = 1; }\n";
const OPTION: &str = "import \"google/protobuf/descriptor.proto\";\nmessage Deep { Deep deep = 1; repeated Deep all = 2; }\n\
                      extend google.protobuf.FileOptions { Deep deep = 50000; }\n";

/// Concatenates the texts for `count` numbers.
fn each(count: usize, of: impl Fn(usize) -> String) -> String {
    (0..count).map(of).collect()
}

/// The files of a package with an entrypoint, plus others.
fn files(proto: String, others: impl IntoIterator<Item = (String, String)>) -> Vec<(String, Vec<u8>)> {
    let own = [
        ("krt.yml", manifest().to_owned()),
        ("src/namer/main.py", "async def handler(ctx, data):\n    return data\n".to_owned()),
        ("public_input.proto", proto),
    ];
    let own = own.map(|(name, text)| (name.to_owned(), text));
    own.into_iter().chain(others).map(|(name, text)| (name, text.into_bytes())).collect()
}

fn of(name: &'static str, text: &str, expected: &'static str) -> HostilePackage {
    let package = archive(&files(format!("{HEAD}{text}{SERVICE}"), []));
    HostilePackage { name, package, expected }
}

/// Two files per layer, each with a public import of both files of the layer below.
fn layers() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for layer in 0..25_usize {
        for side in ["a", "b"] {
            let below = layer.checked_sub(1);
            let imports = below.map(|below| {
                format!("import public \"a{below}.proto\";\nimport public \"b{below}.proto\";\n")
            });
            let text = format!("syntax = \"proto3\";\n{}", imports.unwrap_or_default());
            files.push((format!("{side}{layer}.proto"), text));
        }
    }
    files
}

/// A file that no check rejects, but that exceeds the compile time: the compiler compares each option of a
/// file with every other.
pub(super) fn slow() -> Vec<(String, Vec<u8>)> {
    let options = each(45_000, |of| format!("message Q{of} {{ option deprecated = true; }}"));
    files(format!("{HEAD}{OPTION}option (deep) = {{}};\n{options}{SERVICE}"), [])
}

/// A file that exceeds the memory limit: a name with very many parts.
fn large() -> String {
    format!("option a{} = 1;\n", ".a".repeat(900_000))
}

/// Messages that all contain one another, and a chain of messages as deep as their number.
pub(super) fn endless() -> String {
    let all = each(30, |to| format!("M{to} m{to} = {};", to + 1));
    let mutual = each(30, |of| format!("message M{of} {{ {all} }}\n"));
    let chain = each(8000, |of| format!("message C{of} {{ C{} next = 1; }}\n", of + 1));
    format!(
        "{HEAD}service Entrypoint {{ rpc Name(Text) returns (Text); }}\n{mutual}{chain}message C8000 {{}}\n\
         message Text {{ string text = 1; M0 mutual = 2; C0 chain = 3; }}\n"
    )
}

/// Fields of one message, except for the numbers between 19,000 and 20,000, which protobuf reserves.
fn fields(count: usize) -> String {
    let number = |field: usize| if field < 18_999 { field + 1 } else { field + 1_001 };
    let all = each(count, |field| format!("int32 f{field} = {}; ", number(field)));
    format!("message M {{ {all} }}\n")
}

/// A message with 1,000 names of 1,800 bytes, each of which is compiled to two.
fn long_names(message: &str) -> String {
    let long = "x".repeat(1_800);
    let names = each(1_000, |field| format!("int32 f{field}_{long} = {}; ", field + 1));
    format!("message {message} {{ {names} }}\n")
}

/// Large, valid files that fit the limits of the reading process.
pub(super) fn large_and_sound() -> Vec<(&'static str, Vec<u8>)> {
    let values = each(100_000, |value| format!("V{value} = {value}; "));
    let oneofs = each(3_000, |of| format!("oneof o{of} {{ int32 f{of} = {}; }} ", of + 1));
    let long = "x".repeat(1_900_000);
    let text = "import \"google/protobuf/descriptor.proto\";\n\
                extend google.protobuf.FileOptions { string text = 50000; }\n";
    let nested = "message N { ".repeat(24) + &"}".repeat(24);
    [
        ("an enum of 100,000 values", format!("enum E {{ {values} }}\n")),
        ("3,000 oneofs", format!("message M {{ {oneofs} }}\n")),
        ("18,000 fields", fields(18_000)),
        ("an option of 1.9 MB", format!("{text}option (text) = \"{long}\";\n")),
        ("messages in 24 others, 1,000 times", each(1_000, |of| format!("message R{of} {{ {nested} }}\n"))),
        ("a name of 1.9 MB", format!("message {long} {{}}\n")),
        ("1,000 names of 1,800 bytes", long_names("M")),
    ]
    .map(|(name, text)| (name, archive(&files(format!("{HEAD}{text}{SERVICE}"), []))))
    .into()
}

/// The two packages that once crashed a server.
pub(super) fn few() -> Vec<HostilePackage> {
    let nested = format!("{OPTION}option (deep) = {}{};\n", "{deep ".repeat(400), "}".repeat(400));
    let public = files(format!("{HEAD}import \"a24.proto\";\n{SERVICE}"), layers());
    vec![
        of("nested options", &nested, "messages or options are nested deeper than 64"),
        HostilePackage {
            name: "public imports",
            package: archive(&public),
            expected: "`import public` leads from",
        },
    ]
}

/// Packages that are refused, or exceed a limit.
pub(super) fn all() -> Vec<HostilePackage> {
    let lists = format!("{OPTION}option (deep) = {{all {}{}}};\n", "[".repeat(900), "]".repeat(900));
    let angles = format!("{OPTION}option (deep) = {{deep {}{}}};\n", "<deep ".repeat(900), ">".repeat(900));
    let circle = [("x", "y"), ("y", "x")].map(|(name, other)| {
        (format!("{name}.proto"), format!("syntax = \"proto3\"; import \"{other}.proto\";"))
    });
    let circle = files(format!("{HEAD}import \"x.proto\";\n{SERVICE}"), circle);
    let groups = "message G {".to_owned() + &"optional group G = 1 {".repeat(5000) + &"}".repeat(5001);
    let long = "x".repeat(1_900_000);
    let mut all = few();
    all.extend([
        of("nested lists", &lists, "nested deeper than 64"),
        of("nested angles", &angles, "nested deeper than 64"),
        of("deep messages", &("message A {".repeat(5000) + &"}".repeat(5000)), "nested deeper than 64"),
        of("deep groups", &groups, "nested deeper than 64"),
        of("many errors", &"message ; ".repeat(150_000), "expected an identifier"),
        of("odd characters", &"$".repeat(1_900_000), "invalid token"),
        of("a long type", &format!("message A {{ {long} b = 1; }}\n"), "is not defined"),
        of(
            "missing imports",
            &each(60_000, |file| format!("import \"q{file}.proto\";\n")),
            "`q0.proto` not found",
        ),
        HostilePackage {
            name: "2,000 names of 1,800 bytes",
            package: archive(&files(
                format!("{HEAD}{}{SERVICE}", long_names("M")),
                [("more.proto".to_owned(), format!("{HEAD}{}", long_names("N")))],
            )),
            expected: "MiB when they are compiled",
        },
        of(
            "messages in 60 others",
            &("message N { ".repeat(60) + &"}".repeat(60)),
            "maximum recursion limit for nested messages",
        ),
        of("a name of many parts", &large(), "compiling `public_input.proto` needs more than 512 MiB"),
        HostilePackage { name: "a circle", package: archive(&circle), expected: "import cycle detected" },
    ]);
    all
}
