//! Several processes that share an environment, and processes that end while creating one.

use crate::machine::{Machine, evaluate, nodes, python, run, until};
use krt_environment::{Environments, ProcessEnv, PythonChoice, Step};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::{
    env, fs,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A machine whose package needs a project that builds only after `hold` was removed.
fn held() -> Machine {
    let machine = Machine::new(&[("src/a/requirements.txt", "../../project")]);
    machine.write_project("project", "sample");
    machine.write("project/hold", "");
    machine
}

fn release(machine: &Machine) {
    fs::remove_file(machine.root.path().join("project/hold")).unwrap();
}

/// Waits for the process that builds.
async fn builder(machine: &Machine) -> Pid {
    let started = machine.root.path().join("project/started");
    until("the build", || started.exists()).await;
    let id = fs::read_to_string(&started).unwrap();
    fs::remove_file(started).unwrap();
    Pid::from_raw(id.parse().unwrap()).unwrap()
}

/// Another process that prepares the machine's package, from its root, as a user would: the test below, run
/// alone.
fn other_process(machine: &Machine) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "interrupted::prepare_as_another_process", "--ignored", "--nocapture"])
        .current_dir(machine.root.path())
        .env("KRT_TEST_CACHE", machine.cache.path())
        .env("KRT_TEST_LINKS", machine.archives())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "a part of the other tests, which start it as a process"]
fn prepare_as_another_process() {
    let variable = |name| env::var_os(name).expect("the other tests set it");
    let process_env = ProcessEnv::of_process()
        .without(&["VIRTUAL_ENV", "CONDA_PREFIX"])
        .with("PATH", "/nothing")
        .with("PIP_NO_INDEX", "1")
        .with("PIP_FIND_LINKS", variable("KRT_TEST_LINKS"));
    let choice = Some(PythonChoice::Path(python()));
    let environments =
        Environments::new(variable("KRT_TEST_CACHE").into(), choice).with_process_env(process_env);
    let on_event = |event: krt_environment::Event| {
        if !matches!(event.step, Step::Installing { .. }) {
            println!("step: {:?}", event.step);
        }
    };
    let nodes = nodes(&["src/a/main.py"]);
    let made = environments.prepare(&nodes, Path::new("."), &on_event);
    println!("made: {}", run(made).unwrap()[0].python.display());
}

fn output_of(mut process: Child) -> String {
    let mut text = String::new();
    process.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(process.wait().unwrap().success(), "{text}");
    text
}

#[tokio::test]
async fn one_process_installs_while_the_others_wait() {
    let machine = held();
    let processes: Vec<Child> = (0..3).map(|_| other_process(&machine)).collect();
    builder(&machine).await;
    release(&machine);
    let outputs: Vec<String> = processes.into_iter().map(output_of).collect();
    let count = |words: &str| outputs.iter().filter(|output| output.contains(words)).count();
    assert_eq!((count("step: Creating"), count("step: Reusing"), count("made: ")), (1, 2, 3), "{outputs:?}");
    assert_eq!(machine.folders().len(), 1);
}

#[tokio::test]
async fn cancelling_kills_the_installer_and_leaves_nothing() {
    let machine = held();
    let builder = {
        let sources = ["src/a/main.py"];
        let preparing = machine.prepare(&sources);
        tokio::select! {
            made = preparing => panic!("{made:?}"),
            builder = builder(&machine) => builder,
        }
    };
    assert!(machine.folders().is_empty());
    until("the end of the build", || test_kill_process(builder).is_err()).await;
    release(&machine);
    let made = machine.prepare(&["src/a/main.py"]).await.unwrap();
    assert_eq!(evaluate(&made[0].python, "__import__('sample').version"), "1.0");
}

#[tokio::test]
async fn environments_of_killed_processes_are_rebuilt() {
    let machine = held();
    let mut process = other_process(&machine);
    let installer = builder(&machine).await;
    kill_process(Pid::from_child(&process), Signal::KILL).unwrap();
    process.wait().unwrap();
    assert_eq!(machine.folders().len(), 1, "nobody could remove it");
    test_kill_process(installer).expect("the installer lives on");
    let sources = ["src/a/main.py"];
    let preparing = machine.prepare(&sources);
    tokio::pin!(preparing);
    let waiting = tokio::time::timeout(Duration::from_millis(500), &mut preparing).await;
    assert!(waiting.is_err(), "the installer that was left still writes there");
    assert!(matches!(machine.events()[..], [ref event] if event.step == Step::Waiting));
    release(&machine);
    let made = preparing.await.unwrap();
    assert_eq!(evaluate(&made[0].python, "__import__('sample').version"), "1.0");
    assert_eq!(machine.made_and_reused(), (1, 0));
}
