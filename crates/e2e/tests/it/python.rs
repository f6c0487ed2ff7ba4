//! Python nodes: how their files are loaded, and the functions that they may have
//! (docs/reference/krt-v1.md#nodes-in-python).

use crate::support::{Krt, assert_status, krt::write_package, processes::resident};
use serde_json::{Value, json};
use tonic::Code;

const PROTO: &str = "\
syntax = \"proto3\";
service Entrypoint { RPCS }
message Note { string text = 1; }
";

/// Starts a package with a node for each file, each behind its own RPC; returns the RPCs' answers.
async fn answers(nodes: &[(&str, &str)], more: &[(&str, &str)]) -> Vec<Value> {
    let mut manifest = "version: v1\ndescription: d\nentrypoint: {proto: public_input.proto}\n".to_owned();
    let (mut rpcs, mut workflows) = (String::new(), "workflows:\n".to_owned());
    manifest += "nodes:\n";
    for index in 0..nodes.len() {
        manifest += &format!("  - {{name: n{index}, src: n{index}/main.py}}\n");
        workflows += &format!("  - {{name: w{index}, entrypoint: Rpc{index}, sequential: [n{index}]}}\n");
        rpcs += &format!("rpc Rpc{index}(Note) returns (Note);\n");
    }
    let sources: Vec<_> = (0..nodes.len()).map(|index| format!("n{index}/main.py")).collect();
    let (manifest, proto) = (manifest + &workflows, PROTO.replace("RPCS", &rpcs));
    let mut files = vec![("krt.yml", &*manifest), ("public_input.proto", &*proto)];
    files.extend(sources.iter().zip(nodes).map(|(name, (_, content))| (name.as_str(), *content)));
    files.extend_from_slice(more);
    let package = write_package(&files);
    let service = Krt::run_at(package.path()).start().await;
    let mut answers = Vec::new();
    for (index, (name, _)) in nodes.iter().enumerate() {
        let answer = service.call(&format!("Rpc{index}"), json!({ "text": name })).await;
        answers.push(answer.unwrap_or_else(|status| panic!("{name}: {status}"))["text"].clone());
    }
    service.stop().await;
    answers
}

#[tokio::test]
async fn functions_of_every_form() {
    let nodes = [
        (
            "async functions",
            "from public_input_pb2 import Note\n\
             async def init(ctx):\n    ctx.set('init', 'async')\n\
             async def handler(ctx, data):\n    return Note(text=ctx.get('init'))\n",
        ),
        (
            "plain functions",
            "from public_input_pb2 import Note\n\
             def init(ctx):\n    ctx.set('init', 'plain')\n\
             def handler(ctx, data):\n    return Note(text=ctx.get('init'))\n",
        ),
        (
            "no init, and an object",
            "from public_input_pb2 import Note\n\
             class Model:\n    async def __call__(self, ctx, data):\n        return Note(text='object')\n\
             handler = Model()\n",
        ),
        (
            "a partial, and an init that is imported",
            "from functools import partial\n\
             from public_input_pb2 import Note\n\
             from starting import init\n\
             async def answer(text, ctx, data):\n    return Note(text=text + ctx.get('init'))\n\
             handler = partial(answer, 'partial ')\n",
        ),
        (
            "what an init returns is ignored",
            "from public_input_pb2 import Note\n\
             async def init(ctx):\n    return 7\n\
             async def handler(ctx, data):\n    return Note(text='ignored')\n",
        ),
    ];
    let more = [("n3/starting.py", "def init(ctx):\n    ctx.set('init', 'imported')\n")];
    let expected = ["async", "plain", "object", "partial imported", "ignored"];
    assert_eq!(answers(&nodes, &more).await, expected);
}

#[tokio::test]
async fn the_folder_of_the_file_is_searched_last() {
    let nodes = [(
        "imports",
        "import json, os, sys\n\
         import colorsys, helper, public_input_pb2\n\
         from parts.inner import NAME\n\
         from public_input_pb2 import Note\n\
         here = os.path.dirname(os.path.abspath(__file__))\n\
         seen = [sys.path[-1] == here, hasattr(colorsys, 'rgb_to_hsv'), NAME, helper.Note is Note,\n\
                 os.getcwd() == os.path.dirname(here), __name__ != '__main__', sys.modules[__name__].__file__ == __file__]\n\
         async def handler(ctx, data):\n\
         \x20   return Note(text=json.dumps(seen + [ctx.path('x') == os.path.join(os.getcwd(), 'x')]))\n",
    )];
    let more = [
        ("n0/helper.py", "from public_input_pb2 import Note\n"),
        ("n0/colorsys.py", "raise ImportError('the standard library comes first')\n"),
        ("n0/parts/__init__.py", ""),
        ("n0/parts/inner.py", "NAME = 'inner'\n"),
    ];
    let answer = answers(&nodes, &more).await.remove(0);
    let seen: Value = serde_json::from_str(answer.as_str().unwrap()).unwrap();
    assert_eq!(seen, json!([true, true, "inner", true, true, true, true, true]));
}

/// An error affects its own request only, neither waiting nor concurrent ones.
#[tokio::test]
async fn errors_affect_only_their_own_request() {
    let service = Krt::run("statuses").start().await;
    let calls = (0..60).map(|number| {
        let (client, rpc) = (service.client(), if number % 2 == 0 { "Act" } else { "Direct" });
        let way = if number % 3 == 0 { "fail" } else { "answer" };
        let request = json!({ "way": way, "text": format!("number {number}") });
        async move { client.call(rpc, request).await }
    });
    for (number, answer) in futures::future::join_all(calls).await.into_iter().enumerate() {
        let text = format!("number {number}");
        if number % 3 == 0 {
            assert_status(answer, Code::Internal, &format!("error in 'worker': {text}"));
        } else {
            assert_eq!(answer.unwrap()["text"], text);
        }
    }
    service.stop().await;
}

const ENVIRONMENT_MANIFEST: &str = "
version: v1
description: A node in two workflows, and one in one.
entrypoint: {proto: public_input.proto}
nodes:
  - {name: shared, src: ./nodes/shared.py}
  - {name: alone, src: nodes/alone.py}
workflows:
  - {name: first, entrypoint: First, sequential: [shared]}
  - {name: second, entrypoint: Second, sequential: [alone, shared, alone]}
";

/// A node's code can read the environment that KRT v1 gave its runners.
#[tokio::test]
async fn the_environment_is_that_of_krt_v1() {
    let node = "import json, os\n\
         from public_input_pb2 import Note\n\
         names = ['WORKFLOW_NAME', 'VERSION', 'VERSION_ID', 'RUNTIME_ID', 'NODE_NAME', 'BASE_PATH', 'HANDLER_PATH']\n\
         async def handler(ctx, data):\n\
         \x20   base, path = os.environ['KRT_BASE_PATH'], os.environ['KRT_HANDLER_PATH']\n\
         \x20   assert os.path.samefile(os.path.join(base, path), __file__)\n\
         \x20   note = Note()\n\
         \x20   data.Unpack(note)\n\
         \x20   return Note(text=note.text + json.dumps([os.environ['KRT_' + name] for name in names]))\n";
    let proto = PROTO.replace("RPCS", "rpc First(Note) returns (Note); rpc Second(Note) returns (Note);");
    let files = [
        ("krt.yml", ENVIRONMENT_MANIFEST),
        ("public_input.proto", &*proto),
        ("nodes/shared.py", node),
        ("nodes/alone.py", node),
    ];
    let package = write_package(&files);
    let root = package.path().canonicalize().unwrap().display().to_string();
    let service = Krt::run_at(package.path()).start().await;
    let shared = json!(["first,second", "v1", "v1", "v1", "shared", root, "nodes/shared.py"]);
    let alone = json!(["second", "v1", "v1", "v1", "alone", root, "nodes/alone.py"]);
    for (rpc, expected) in [("First", vec![&shared]), ("Second", vec![&alone, &shared, &alone])] {
        let answer = service.call(rpc, json!({})).await.unwrap();
        let seen = serde_json::Deserializer::from_str(answer["text"].as_str().unwrap()).into_iter::<Value>();
        let seen: Vec<Value> = seen.map(Result::unwrap).collect();
        assert_eq!(seen.iter().collect::<Vec<_>>(), expected, "{rpc}");
    }
    service.stop().await;
}

/// KRT v1's runners had the envelope's messages next to the user's code, which imports them.
#[tokio::test]
async fn the_envelope_of_krt_v1_can_be_imported() {
    let nodes = [
        (
            "krt's",
            "from kre_nats_msg_pb2 import KreNatsMessage\n\
             from public_input_pb2 import Note\n\
             async def handler(ctx, data):\n\
             \x20   message = KreNatsMessage(tracking_id='t', early_exit=True, payload=data)\n\
             \x20   message.tracking.add(node_name='n')\n\
             \x20   message = KreNatsMessage.FromString(message.SerializeToString())\n\
             \x20   return Note(text=message.tracking[0].node_name + message.tracking_id)\n",
        ),
        (
            "its own",
            "import kre_nats_msg_pb2\n\
             from public_input_pb2 import Note\n\
             async def handler(ctx, data):\n\
             \x20   return Note(text=kre_nats_msg_pb2.OWN)\n",
        ),
    ];
    let more = [("n1/kre_nats_msg_pb2.py", "OWN = 'own'\n")];
    assert_eq!(answers(&nodes, &more).await, ["nt", "own"]);
}

#[tokio::test]
async fn each_node_has_the_packages_of_its_nearest_file() {
    let version = "import google.protobuf\n\
         from public_input_pb2 import Note\n\
         async def handler(ctx, data):\n\
         \x20   note = Note()\n\
         \x20   assert data.Unpack(note)\n\
         \x20   return Note(text='.'.join(google.protobuf.__version__.split('.')[:2]))\n";
    let nodes = [("oldest", version), ("of a project", version), ("of the package", version)];
    let more = [
        ("n0/requirements.txt", "protobuf==3.20.*\n"),
        ("n1/pyproject.toml", "[project]\nname = 'n'\nversion = '1'\ndependencies = ['protobuf==5.29.*']\n"),
        ("Pipfile", "[packages]\nprotobuf = '==6.33.*'\n"),
    ];
    assert_eq!(answers(&nodes, &more).await, ["3.20", "5.29", "6.33"]);
}

/// Many messages cause no growth, in the engine or in the workers.
#[tokio::test]
async fn memory_does_not_grow_with_messages() {
    const GROWTH: u64 = 16 << 20;
    let service = Krt::run("context").start().await;
    let crowd = async |calls: usize| {
        let worker = |_| async {
            let client = service.client();
            for _ in 0..calls / 32 {
                let request = json!({ "act": "plain", "text": "x".repeat(4000) });
                client.call("Act", request).await.unwrap();
            }
        };
        futures::future::join_all((0..32).map(worker)).await;
    };
    let held = || {
        let processes = service.processes();
        processes.into_iter().map(|found| (found.node, resident(found.pid))).collect::<Vec<_>>()
    };
    crowd(1600).await;
    let before = held();
    crowd(6400).await;
    let after = held();
    assert_eq!(before.len(), 3);
    for ((node, before), (_, after)) in before.iter().zip(&after) {
        assert!(after.saturating_sub(*before) < GROWTH, "{node:?} held {before} bytes, and then {after}");
    }
    service.stop().await;
}
