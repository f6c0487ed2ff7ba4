//! Raw requests over NATS: the reference for the chain over NATS.
//!
//! `krt-bench-nats URL SECONDS` measures sequential requests: a round trip to one process, and one through
//! three relays, each in its own process. It prints the medians in milliseconds, as JSON.
//! `krt-bench-nats relay URL FROM [TO]` is such a process: it forwards, or answers.

use anyhow::{Context as _, Result, ensure};
use async_nats::Client;
use futures::StreamExt as _;
use std::{
    env,
    io::Write as _,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// The approximate size of an envelope with a small message.
const PAYLOAD: [u8; 300] = [7; 300];
const ANSWERS: &str = "bench-nats-answers";
const RELAYS: [&str; 3] = ["bench-nats-one", "bench-nats-two", "bench-nats-three"];
const WARM_UP: Duration = Duration::from_millis(500);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["relay", url, from] => relay(url, from, None).await,
        ["relay", url, from, to] => relay(url, from, Some(to)).await,
        [url, seconds] => measure(url, Duration::from_secs_f64(seconds.parse()?)).await,
        _ => anyhow::bail!("usage: krt-bench-nats URL SECONDS"),
    }
}

async fn relay(url: &str, from: &str, to: Option<&str>) -> Result<()> {
    // The end of the measuring process closes standard input, even if it is killed.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let client = async_nats::connect(url).await?;
    let mut messages = client.subscribe(from.to_owned()).await?;
    client.flush().await?;
    print("ready")?;
    while let Some(message) = messages.next().await {
        let reply = message.reply.context("a request has a reply subject")?;
        match to {
            Some(to) => client.publish_with_reply(to.to_owned(), reply, message.payload).await?,
            None => client.publish(reply, message.payload).await?,
        }
    }
    Ok(())
}

async fn measure(url: &str, duration: Duration) -> Result<()> {
    let client = async_nats::connect(url).await?;
    let _processes = [
        process(url, ANSWERS, None).await?,
        process(url, RELAYS[0], Some(RELAYS[1])).await?,
        process(url, RELAYS[1], Some(RELAYS[2])).await?,
        process(url, RELAYS[2], None).await?,
    ];
    let round_trip = median(&client, ANSWERS, duration).await?;
    let relays = median(&client, RELAYS[0], duration).await?;
    print(&serde_json::json!({"round_trip": round_trip, "relays": relays}).to_string())
}

/// Starts a relay, which ends with its handle, and waits until it listens.
async fn process(url: &str, from: &str, to: Option<&str>) -> Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["relay", url, from]).args(to);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let said = child.stdout.take().context("it is piped")?;
    let first = BufReader::new(said).lines().next_line().await?;
    ensure!(first.as_deref() == Some("ready"), "a relay does not start");
    Ok(child)
}

/// The median duration of requests over `duration`, in milliseconds.
async fn median(client: &Client, subject: &str, duration: Duration) -> Result<f64> {
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < WARM_UP + duration {
        let sent = Instant::now();
        let answer = client.request(subject.to_owned(), PAYLOAD.as_slice().into()).await?;
        let taken = sent.elapsed();
        ensure!(answer.payload[..] == PAYLOAD, "the answer is another");
        if begun.elapsed() > WARM_UP {
            times.push(taken);
        }
    }
    times.sort_unstable();
    let middle = times.get(times.len() / 2).context("there was time for a request")?;
    Ok(middle.as_secs_f64() * 1000.0)
}

#[expect(clippy::disallowed_methods, reason = "it prints what it measured")]
fn print(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
