//! Asserts that processes do not grow: samples their memory and descriptors, and fits lines through the
//! samples.

use super::fit::{self, Slope};
use crate::support::processes;
use std::{collections::BTreeMap, fmt};

/// The number of requests before a process's samples count, while caches fill.
const WARM_UP: usize = 3_000;
/// The same for the engine's slope. Its caches fill for longer: pages of its databases, batches of
/// measurements and logs, events of the last five minutes.
const ENGINE_WARM_UP: usize = 50_000;
/// The number of requests from which slopes are asserted. With fewer, the engine restarts before it is warm.
const MIN_REQUESTS: usize = 1_000_000;
/// The maximum slope of memory, bytes per request. An allocator's smallest block has 24 bytes or more, so a
/// slope significantly below has no block that every request leaks.
const MAX_BYTES_PER_REQUEST: f64 = 16.0;
/// The maximum slope of descriptors, per million requests. In a million requests, a thousand clients
/// disconnect and two hundred workers are killed: a descriptor leaked by each would exceed it.
const MAX_DESCRIPTORS_PER_MILLION: f64 = 20.0;
/// The maximum growth of a process in a run that is too short for a slope, bytes.
const GROWTH: f64 = 48.0 * MIB;
const MIB: f64 = 1024.0 * 1024.0;
/// The number of standard errors by which a slope must exceed its bound to fail.
const MIN_STANDARD_ERRORS: f64 = 2.0;

/// Samples of processes with the same role, by process id.
type Series = BTreeMap<i32, Vec<Sample>>;

#[derive(Debug, Clone, Copy)]
struct Sample {
    request: usize,
    memory: u64,
    descriptors: usize,
}

/// Samples, by role.
#[derive(Debug, Default)]
pub(super) struct Growth(BTreeMap<String, Series>);

impl Growth {
    /// Takes a sample of a process, if it exists.
    pub(super) fn sample(&mut self, role: &str, pid: i32, request: usize) {
        let Some(memory) = processes::resident_of(pid) else { return };
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return };
        let sample = Sample { request, memory, descriptors: descriptors.count() };
        self.0.entry(role.to_owned()).or_default().entry(pid).or_default().push(sample);
    }

    /// Asserts that nothing grows beyond the bounds.
    pub(super) fn assert_flat(&self, requests: usize) {
        for (role, series) in &self.0 {
            if requests < MIN_REQUESTS {
                let memory = lines(series, WARM_UP, bytes);
                let grown = memory.iter().map(|line| line[line.len() - 1].1 - line[0].1).fold(0.0, f64::max);
                assert!(grown < GROWTH, "{role} grew by {:.1} MiB", grown / MIB);
                continue;
            }
            for (what, found, bound) in [
                ("memory", slope(role, series, bytes), MAX_BYTES_PER_REQUEST * 1e6),
                ("descriptors", slope(role, series, count), MAX_DESCRIPTORS_PER_MILLION),
            ] {
                let Slope { value, error } = found.expect("there are enough samples of each role");
                assert!(
                    value - MIN_STANDARD_ERRORS * error < bound,
                    "{role}: {what} grow by {value:.0} ± {error:.0} a million"
                );
            }
        }
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| process | lives | samples | MiB | MiB per million requests | descriptors | per million requests |"
        )?;
        write!(f, "| --- | --- | --- | --- | --- | --- | --- |")?;
        for (role, series) in &self.0 {
            let samples: Vec<_> = series.values().flatten().collect();
            let memory = range(samples.iter().map(|sample| sample.memory / MIB as u64));
            let descriptors = range(samples.iter().map(|sample| sample.descriptors as u64));
            let (steep, leaks) = (slope(role, series, bytes), slope(role, series, count));
            write!(
                f,
                "\n| {role} | {} | {} | {memory} | {} | {descriptors} | {} |",
                series.len(),
                samples.len(),
                shown(steep, MIB),
                shown(leaks, 1.0)
            )?;
        }
        Ok(())
    }
}

fn bytes(sample: &Sample) -> f64 {
    sample.memory as f64
}

fn count(sample: &Sample) -> f64 {
    sample.descriptors as f64
}

/// The slope of all processes of a role after their warm-up.
fn slope(role: &str, series: &Series, value: fn(&Sample) -> f64) -> Option<Slope> {
    let warm_up = if role == "engine" { ENGINE_WARM_UP } else { WARM_UP };
    fit::slope(&lines(series, warm_up, value))
}

/// The points of each process after its warm-up: x is the number of requests in millions, y the value.
fn lines(series: &Series, warm_up: usize, value: fn(&Sample) -> f64) -> Vec<Vec<(f64, f64)>> {
    let of = |samples: &Vec<Sample>| {
        let warm = samples.first().map_or(0, |first| first.request + warm_up);
        let points = samples.iter().filter(|sample| sample.request >= warm);
        points.map(|sample| (sample.request as f64 / 1e6, value(sample))).collect::<Vec<_>>()
    };
    series.values().map(of).filter(|points| points.len() > 1).collect()
}

fn range(values: impl Iterator<Item = u64> + Clone) -> String {
    let (least, most) = (values.clone().min().unwrap_or(0), values.max().unwrap_or(0));
    format!("{least} to {most}")
}

fn shown(slope: Option<Slope>, unit: f64) -> String {
    slope.map_or("–".to_owned(), |slope| format!("{:.2} ± {:.2}", slope.value / unit, slope.error / unit))
}
