//! `krt new --from`: packages from notebooks.

use crate::support::{CommandOutput, Folder, krt, run_with};
use serde_json::{Value, json};
use std::fs;

/// A notebook of code cells with their tags.
fn notebook(cells: &[(&[&str], &str)]) -> String {
    let cell = |(tags, source): &(&[&str], &str)| {
        // Jupyter writes a text or its lines.
        let lines: Vec<_> = source.split_inclusive('\n').collect();
        json!({ "cell_type": "code", "metadata": { "tags": tags }, "source": lines, "outputs": [] })
    };
    let text = json!({ "cell_type": "markdown", "metadata": {}, "source": "# Houses" });
    let cells: Vec<Value> = [text].into_iter().chain(cells.iter().map(cell)).collect();
    json!({ "nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells }).to_string()
}

fn convert(work: &Folder, name: &str) -> CommandOutput {
    let mut command = krt();
    command.args(["new", name, "--from", "houses.ipynb"]).current_dir(work.join(""));
    run_with(command, "")
}

fn made(cells: &[(&[&str], &str)]) -> (Folder, CommandOutput) {
    let work = Folder::new(&[("houses.ipynb", &notebook(cells)), ("data/prices.json", r#"{"rome": 12}"#)]);
    let ended = convert(&work, "houses");
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    (work, ended)
}

fn code(work: &Folder) -> String {
    fs::read_to_string(work.join("houses/src/houses/main.py")).unwrap()
}

const PRICES: &str = "%matplotlib inline\nimport json\nimport math, csv";
const CONSTANTS: &str =
    "FACTOR = 2\n\n# Twice the price.\ndef doubled(price):\n    return math.floor(price * FACTOR)\n";
const LOAD: &str = "# The prices of squares.\nwith open('data/prices.json') as file:\n    prices = json.load(file)\nwords = '''\nas it was\n'''";
const PREDICT: &str = "price = doubled(prices[data['city']])\n# What clients get.\n{\n    'price': price,\n    'words': words,\n}";

#[test]
fn tagged_cells_become_a_node_that_answers() {
    let (work, ended) = made(&[
        (&[], PRICES),
        (&[], CONSTANTS),
        (&["init"], LOAD),
        (&[], "prices['paris'] = 14\nprices"),
        (&["handler"], PREDICT),
    ]);
    assert_eq!(ended.stderr, "");
    assert!(
        ended.stdout.starts_with("made `houses`, with the node `houses` in Python\n"),
        "{}",
        ended.stdout
    );
    insta::assert_snapshot!(code(&work));
    assert!(!work.join("houses/src/houses/requirements.txt").exists());
    for (arguments, stdout) in [
        (&["check"][..], "houses-v1: no problems\n"),
        (
            &["call", "--package", ".", "Predict", r#"{"city": "rome"}"#],
            "{\"price\":24,\"words\":\"\\nas it was\\n\"}\n",
        ),
    ] {
        let mut command = krt();
        command.args(arguments).current_dir(work.join("houses"));
        let ended = run_with(command, "");
        assert_eq!((ended.code, &*ended.stdout), (Some(0), stdout), "{}", ended.stderr);
    }
}

#[test]
fn cells_with_the_functions_need_no_tags() {
    let (work, _) = made(&[
        (&[], "def handler(ctx, data):\n    return {}"),
        (&[], "import asyncio\nasync def wait():\n    await asyncio.sleep(0)"),
        (&[], "def init(ctx):\n    ctx.set('a', 1)"),
        (&[], "async def handler(ctx, data):\n    await wait()\n    return {'a': ctx.get('a')}"),
    ]);
    let code = code(&work);
    assert_eq!(code.matches("def handler").count(), 1, "the last one counts: {code}");
    assert!(code.contains("async def wait():\n    await asyncio.sleep(0)\n"), "{code}");
}

#[test]
fn what_the_user_must_look_at_is_said() {
    let (work, ended) = made(&[
        (&[], "import absent_library\nrows = absent_library.read()\nPATH = 'data/prices.json'"),
        (&["handler"], "absent_library.predict(rows, PATH)"),
    ]);
    for words in [
        "note: `rows` comes from cell 1, which is not part of the node: load it in a cell tagged `init`\n",
        "names the file `data/prices.json`: put it below models/, and open it in `init` with `ctx.path`\n",
        "note: `absent_library` is not installed in ",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    let requirements = fs::read_to_string(work.join("houses/src/houses/requirements.txt")).unwrap();
    assert_eq!(requirements, "absent_library\n");
}

#[test]
fn modules_beside_the_notebook_come_along() {
    let cells: &[(&[&str], &str)] = &[(&["handler"], "import helper\nhelper.answer(data)")];
    let helper = "import inner\n\ndef answer(data):\n    return inner.answer\n";
    let work = Folder::new(&[
        ("houses.ipynb", &notebook(cells)),
        ("helper.py", helper),
        ("inner.py", "answer = {}\n"),
    ]);
    let ended = convert(&work, "houses");
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert!(work.join("houses/src/houses/helper.py").is_file());
    assert!(work.join("houses/src/houses/inner.py").is_file());
}

#[test]
fn notebooks_without_a_node_are_refused() {
    let of = |cells: &[(&[&str], &str)]| notebook(cells);
    let r = json!({ "nbformat": 4, "metadata": { "kernelspec": { "language": "R" } }, "cells": [] });
    for (content, words) in [
        (of(&[(&[], "x = 1")]), "error: no cell is tagged `handler` or defines a function `handler`"),
        (of(&[(&["handler"], "x = 1")]), "error: cell 1 is tagged `handler` and does not end with a value"),
        (
            of(&[(&["handler"], "1"), (&["handler"], "2")]),
            "error: the cells 1 and 2 are all tagged `handler`",
        ),
        (of(&[(&["handler"], "def (")]), "error: cell 1, line 1: "),
        ("{}".to_owned(), "is not a notebook"),
        ("[]".to_owned(), "is not a notebook"),
        ("no json".to_owned(), "is not a notebook"),
        (json!({ "nbformat": 3, "cells": [] }).to_string(), "has the format of an old Jupyter"),
        (r.to_string(), "is a notebook in R"),
    ] {
        let work = Folder::new(&[("houses.ipynb", &content)]);
        let ended = convert(&work, "houses");
        assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{content}");
        assert!(ended.stderr.contains(words) && ended.stderr.contains("hint: "), "{}", ended.stderr);
        assert_eq!(work.names(), ["houses.ipynb"], "nothing is left behind");
    }
    let absent = convert(&Folder::new(&[]), "houses");
    assert_eq!(absent.code, Some(1));
    assert!(absent.stderr.contains("cannot read `houses.ipynb`"), "{}", absent.stderr);
}
