//! `krt proto`: stubs for a type checker, and Go code. Needs `go`, and mypy where `make` installs it.

use crate::support::{CommandOutput, Folder, krt, run_with};
use krt_servers::skipped;
use std::{fs, path::Path, process::Command};

const PROTO: &str = r#"
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import public "common/money.proto";
import "class/odd.proto";
option go_package = "./main";
service Entrypoint { rpc Buy(Order) returns (Order); }
// What is bought.
message Order {
  string name = 1;
  repeated Item items = 2;
  map<string, int64> counts = 3;
  Colour colour = 4;
  google.protobuf.Timestamp time = 5;
  oneof payment { string card = 6; bytes token = 7; }
}
message Item {
  optional double price = 1;
  // Hides the type of the same name.
  Thing Thing = 2;
  Thing other = 3;
  string self = 4;
  None nothing = 5;
  oneof size { int32 small = 6; int32 large = 7; }
  oneof shape { bool round = 8; }
  odd.Odd odd = 9;
  string from = 10;
  string others = 11;
  common.Tax tax = 12;
}
message Thing { int32 weight = 1; }
message None {}
enum Colour { RED = 0; GREEN = 1; }
"#;
const MONEY: &str =
    "syntax = \"proto3\"; package common; message Money { int64 cents = 1; } enum Coin { CENT = 0; }";
const ODD: &str = "syntax = \"proto3\"; package odd; import public \"common/tax.proto\"; message Odd {}";
const TAX: &str = "syntax = \"proto3\"; package common; message Tax { int64 cents = 1; }";

const USE: &str = r#"
from google.protobuf.any_pb2 import Any
from public_input_pb2 import CENT, GREEN, Coin, Colour, Item, Money, Order, Thing


def price(data: Any) -> float:
    order = Order()
    data.Unpack(order)
    return sum(item.price for item in order.items)


order = Order(name="pen", items=[Item(price=1.5), {"price": 2}], counts={"a": 1}, colour=GREEN)
order.items.add(price=2.0)
order.items.extend([Item()])
order.counts["b"] = 2
order.colour = Colour.RED
order.time.GetCurrentTime()
item = Item(self="x", Thing=Thing(weight=1))
weight: int = item.Thing.weight + item.other.weight + Money(cents=5).cents
coin: Coin.ValueType = CENT
item = Item(others="y", tax={"cents": 1})
tax: int = item.tax.cents
item.HasField("size")
item.ClearField("price")
if item.WhichOneof("size") == "small" or item.WhichOneof("shape") == "round":
    item.small = 2
if order.WhichOneof("payment") == "card":
    order.card = "x"
print(Colour.Name(order.colour), order.HasField("time"), order.SerializeToString())
"#;

/// Code with a type error in each line.
const MISUSE: &str = r#"
from public_input_pb2 import Item, Order

Order(nmae="pen")
Order().name = 5
Order().items = []
Order().nothing
Item(price="dear")
Order().counts["a"] = "b"
if Order().WhichOneof("payment") == "cash": pass
Order().HasField("items")
Order().ClearField("nothing")
if Item().WhichOneof("size") == "round": pass
Order().WhichOneof("colour")
Item().tax.cents = "dear"
"#;

const MANIFEST: &str = "\
version: shop-v1
description: Sells.
entrypoint:
  proto: public_input.proto
nodes:
  - name: seller
    src: src/seller/main.py
workflows:
  - name: buy
    entrypoint: Buy
    sequential: [seller]
";

fn krt_in(folder: &Folder, arguments: &[&str]) -> CommandOutput {
    let mut command = krt();
    command.args(arguments).current_dir(folder.join(""));
    run_with(command, "")
}

fn well(ended: &CommandOutput) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

fn shop() -> Folder {
    Folder::new(&[
        ("krt.yml", MANIFEST),
        ("public_input.proto", PROTO),
        ("common/money.proto", MONEY),
        ("common/tax.proto", TAX),
        ("class/odd.proto", ODD),
        ("src/seller/main.py", USE),
    ])
}

/// The output of mypy for a file of the node; `None` without mypy.
fn checked(folder: &Folder, file: &str) -> Option<String> {
    let mypy = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("tools/bin/mypy");
    if !mypy.is_file() {
        skipped("the check of stubs", "target/tools/bin/mypy (`make target/tools/ready`)");
        return None;
    }
    let mut command = Command::new(mypy);
    command.args(["--strict", "--no-incremental", "--hide-error-context", "--no-color-output", file]);
    command.current_dir(folder.join("src/seller")).env("MYPY_CACHE_DIR", "/dev/null");
    Some(String::from_utf8(command.output().unwrap().stdout).unwrap())
}

#[test]
fn stubs_are_written_where_they_differ() {
    let shop = shop();
    let stubs = ["class/odd_pb2.pyi", "common/money_pb2.pyi", "common/tax_pb2.pyi", "public_input_pb2.pyi"];
    let printed = |word: &str| stubs.map(|stub| format!("{word}: src/seller/{stub}\n")).concat();
    let stale = krt_in(&shop, &["proto", "--check"]);
    assert_eq!((stale.code, stale.stdout), (Some(1), printed("out of date")));
    assert!(!shop.join("src/seller/common").exists());
    let wrote = krt_in(&shop, &["proto"]);
    assert_eq!((wrote.code, wrote.stdout), (Some(0), printed("wrote")));
    for check in [&["proto"][..], &["proto", "--check"]] {
        let again = krt_in(&shop, check);
        assert_eq!((again.code, &*again.stdout), (Some(0), "up to date: 4 files\n"));
    }
}

#[test]
fn a_type_checker_knows_the_messages() {
    let shop = shop();
    assert_eq!(krt_in(&shop, &["proto"]).code, Some(0));
    let Some(well) = checked(&shop, "main.py") else { return };
    assert!(well.starts_with("Success: no issues found"), "{well}");
    shop.write("src/seller/misuse.py", MISUSE);
    let wrong = checked(&shop, "misuse.py").unwrap();
    let lines = MISUSE.lines().count();
    for line in 4..=lines {
        assert!(wrong.contains(&format!("misuse.py:{line}: error:")), "line {line} is wrong: {wrong}");
    }
}

#[test]
fn code_for_go_compiles_in_its_node() {
    let work = Folder::new(&[]);
    assert_eq!(krt_in(&work, &["new", "shop", "--lang", "go"]).code, Some(0));
    let proto = fs::read_to_string(work.join("shop/public_input.proto")).unwrap();
    let package = "syntax = \"proto3\";\noption go_package = \"./main\";";
    work.write("shop/public_input.proto", &proto.replace("syntax = \"proto3\";", package));
    let made = krt_in(&work, &["proto", "shop", "--go"]);
    assert_eq!(made.stdout, "wrote: src/shop/pb/public_input.pb.go\n", "{}", made.stderr);
    work.write(
        "shop/src/shop/use.go",
        "package main\n\nimport \"example.com/shop/pb\"\n\nvar _ = &pb.Greeting{Text: \"typed\"}\n",
    );
    let checked = krt_in(&work, &["check", "shop"]);
    assert_eq!(checked.stdout, "shop-v1: no problems\n", "{}", checked.stderr);
    let again = krt_in(&work, &["proto", "shop", "--go", "--check"]);
    assert_eq!(again.code, Some(0), "{}", again.stdout);
}

#[test]
fn missing_output_folders_are_reported() {
    let shop = shop();
    well(&krt_in(&shop, &["pack", "--output", "shop.krt"]));
    let archive = krt_in(&shop, &["proto", "shop.krt"]);
    assert!(archive.stderr.contains("hint: `krt unpack` it"), "{}", archive.stderr);
    let no_go = krt_in(&shop, &["proto", "--go"]);
    assert!(no_go.stderr.contains("the package has no node in Go that is built from sources"));
    let no_module = krt_in(&shop, &["proto", "--go", "--out", "src"]);
    assert!(no_module.stderr.contains("hint: `go mod init` makes one"), "{}", no_module.stderr);
    fs::write(shop.join("src/go.mod"), "module shop\n").unwrap();
    let no_library = krt_in(&shop, &["proto", "--go", "--out", "src/pb"]);
    assert!(no_library.stderr.contains("hint: `go get google.golang.org/protobuf`"), "{}", no_library.stderr);
    assert!(!shop.join("src/pb").exists());
}
