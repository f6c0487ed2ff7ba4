//! The GPUs of this machine, and the workers that have them.
//!
//! A [`Reservation`] gives each worker of a version its GPUs for as long as the version runs. Workers see theirs by
//! [`VISIBLE`]: variables that CUDA, ROCm and what is built on them obey.
//!
//! - [`choice`]: the GPUs that the user names.
//! - [`nvml`]: NVIDIA's management library, which lists GPUs and reads their load.
//! - [`place`]: which worker gets which.
//! - [`mod@page`]: the metrics.

mod choice;
mod nvml;
mod page;
mod place;

pub use choice::{Choice, InvalidChoice};

use krt_model::{name::Name, version::Gpu};
use nvml::Nvml;
use place::{Pool, WHOLE};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The variables that name the GPUs that a process sees: of CUDA, and of ROCm.
const VISIBLE: [&str; 2] = ["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"];
/// Makes CUDA number GPUs as the management library and `nvidia-smi` do.
const ORDER: (&str, &str) = ("CUDA_DEVICE_ORDER", "PCI_BUS_ID");

/// The GPUs that workers may get.
#[derive(Debug)]
pub struct Gpus {
    devices: Vec<Device>,
    nvml: Option<Nvml>,
    pool: Mutex<Pool>,
}

/// A GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Device {
    /// What workers see in [`VISIBLE`]: an index, or an identifier such as `GPU-…` or `MIG-…`.
    id: String,
    /// The management library's identifier, if it knows the GPU.
    uuid: Option<String>,
    /// Its product name, if it is known.
    name: Option<String>,
}

/// The state of a GPU at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct GpuReading {
    /// Its index or identifier, as workers see it.
    pub id: String,
    /// Its product name, if it is known.
    pub name: Option<String>,
    /// The workers that have it.
    pub workers: usize,
    /// Its memory in bytes: in use, and all.
    pub memory: Option<(u64, u64)>,
    /// The part of the last moments in which it worked, 0 to 1.
    pub utilization: Option<f64>,
}

/// Why the GPUs cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// The management library knows no such GPU.
    #[error("this machine has no GPU `{id}`")]
    #[diagnostic(help("its GPUs are {known}"))]
    Unknown {
        /// As the user named it.
        id: String,
        /// The GPUs that there are.
        known: String,
    },
}

/// A node of a version that starts has too few GPUs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum TooFew {
    /// The machine has none.
    #[error("it wants {}, and krt knows of no GPU on this machine", wants(.gpu, *.workers))]
    #[diagnostic(help("name the GPUs with --gpus, or write `gpu: optional` to run without"))]
    None {
        /// What the node wants.
        gpu: Gpu,
        /// The number of its workers.
        workers: usize,
    },
    /// The machine has fewer.
    #[error("it wants {}, and {found}", wants(.gpu, *.workers))]
    #[diagnostic(help(
        "fewer `replicas`, a `share` of more workers for each GPU, or `gpu: {{optional: true}}`"
    ))]
    Some {
        /// What the node wants.
        gpu: Gpu,
        /// The number of its workers.
        workers: usize,
        /// How many there are and how many are free, in words.
        found: String,
    },
}

/// What a node wants, in words.
fn wants(gpu: &Gpu, workers: usize) -> String {
    let Gpu { count, share, .. } = gpu;
    let each = if workers == 1 { String::new() } else { format!(" for each of {workers} workers") };
    let shared = if *share == 1 { String::new() } else { format!(", shared by up to {share}") };
    format!("{}{each}{shared}", gpus(usize::from(*count)))
}

/// A number of GPUs, in words.
fn gpus(count: usize) -> String {
    if count == 1 { "1 GPU".to_owned() } else { format!("{count} GPUs") }
}

/// Whether a line that a worker prints says that a GPU ran out of memory: the words of CUDA, of ROCm, and of
/// frameworks on top of them.
pub(crate) fn is_out_of_memory(line: &str) -> bool {
    const WORDS: [&str; 6] = [
        "CUDA out of memory",
        "HIP out of memory",
        "CUDA error: out of memory",
        "HIP error: out of memory",
        "CUDA_ERROR_OUT_OF_MEMORY",
        "cudaErrorMemoryAllocation",
    ];
    WORDS.iter().any(|words| line.contains(words))
}

/// The workers of a node that wants GPUs.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) node: &'a Name,
    pub(crate) gpu: Gpu,
    pub(crate) workers: usize,
}

/// The GPUs of a version's workers, until it is dropped.
#[derive(Debug)]
pub struct Reservation {
    gpus: Arc<Gpus>,
    /// By request, then by worker: indices of devices. `None`: the worker runs without, and its environment stays as
    /// it is.
    workers: Vec<Vec<Option<Vec<usize>>>>,
    /// The devices that were taken, and the part of each.
    taken: Vec<(usize, u64)>,
}

impl Gpus {
    /// Finds the GPUs that `choice` names; without one those of `visible`, the value of `CUDA_VISIBLE_DEVICES` of this
    /// process; without that all that NVIDIA's management library lists.
    ///
    /// Without the library there are those that are named.
    pub fn find(choice: Option<&Choice>, visible: Option<&str>) -> Result<Self, Error> {
        let nvml = Nvml::load();
        let named = match (choice, visible) {
            (Some(Choice::Listed(ids)), _) => Some(ids.clone()),
            (Some(Choice::None), _) => Some(Vec::new()),
            (None, Some(visible)) => Some(choice::visible(visible)),
            (Some(Choice::All) | None, _) => None,
        };
        let is_strict = matches!(choice, Some(Choice::Listed(_)));
        let devices = match (named, &nvml) {
            (Some(ids), None) => ids.into_iter().map(|id| Device { id, uuid: None, name: None }).collect(),
            (Some(ids), Some(nvml)) => named_devices(ids, &nvml.devices(), is_strict)?,
            (None, Some(nvml)) => nvml.devices(),
            (None, None) => Vec::new(),
        };
        Ok(Self { pool: Mutex::new(Pool::new(devices.len())), devices, nvml })
    }

    /// Returns an empty set.
    pub fn none() -> Self {
        Self { devices: Vec::new(), nvml: None, pool: Mutex::new(Pool::new(0)) }
    }

    /// Returns the number of GPUs.
    pub fn count(&self) -> usize {
        self.devices.len()
    }

    /// Reserves GPUs for all workers of a version, or for none of them: the error names the node.
    pub(crate) fn reserve(self: &Arc<Self>, requests: &[Request<'_>]) -> Result<Reservation, (Name, TooFew)> {
        let mut pool = self.lock();
        let (workers, taken) = pool.place(requests).map_err(|index| {
            let Request { node, gpu, workers } = requests[index].clone();
            (node.clone(), self.too_few(gpu, workers, &pool))
        })?;
        drop(pool);
        for (request, workers) in requests.iter().zip(&workers) {
            let without = workers.iter().filter(|devices| devices.as_ref().is_none_or(Vec::is_empty)).count();
            if without > 0 && self.devices.is_empty() {
                tracing::warn!(node = %request.node, "krt knows of no GPU on this machine; name them with --gpus");
            } else if without > 0 {
                tracing::warn!(node = %request.node, "workers that run without a GPU, since none is free: {without}");
            }
        }
        Ok(Reservation { gpus: Arc::clone(self), workers, taken })
    }

    fn too_few(&self, gpu: Gpu, workers: usize, pool: &Pool) -> TooFew {
        let all = self.devices.len();
        if all == 0 {
            return TooFew::None { gpu, workers };
        }
        let free = pool.free.iter().filter(|free| **free == WHOLE).count();
        let verb = if all == 1 { "is" } else { "are" };
        let found = match free {
            free if free == all => format!("there {verb} {}", gpus(all)),
            0 => format!("{} {verb} in use by other workers", if all == 1 { "the only one" } else { "all" }),
            free => format!("of {} only {free} {} free", gpus(all), if free == 1 { "is" } else { "are" }),
        };
        TooFew::Some { gpu, workers, found }
    }

    /// Reads the state of GPUs, by index.
    fn read(&self, indices: impl IntoIterator<Item = usize>) -> Vec<GpuReading> {
        let workers = self.lock().workers.clone();
        let read = |index: usize| {
            let Device { id, uuid, name } = self.devices[index].clone();
            let load =
                self.nvml.as_ref().zip(uuid).map(|(nvml, uuid)| nvml.load_of(&uuid)).unwrap_or_default();
            GpuReading {
                id,
                name,
                workers: workers[index],
                memory: load.memory,
                utilization: load.utilization,
            }
        };
        indices.into_iter().map(read).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds named GPUs among those that the library lists. Names that it does not know are an error if `is_strict`;
/// otherwise they end the list, as they do for CUDA.
fn named_devices(ids: Vec<String>, known: &[Device], is_strict: bool) -> Result<Vec<Device>, Error> {
    let mut devices = Vec::new();
    for id in ids {
        let found = match id.parse::<usize>() {
            Ok(index) => known.get(index),
            // CUDA accepts the start of an identifier.
            Err(_) => {
                known.iter().find(|device| device.uuid.as_ref().is_some_and(|uuid| uuid.starts_with(&id)))
            }
        };
        match found {
            Some(device) => devices.push(Device { id, ..device.clone() }),
            None if is_strict => {
                let listed = known.iter().enumerate().map(|(index, device)| {
                    format!("{index} ({})", device.name.as_deref().unwrap_or(&device.id))
                });
                let known = listed.collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() { "none".to_owned() } else { known };
                return Err(Error::Unknown { id, known });
            }
            None => break,
        }
    }
    Ok(devices)
}

impl Reservation {
    /// Returns the variables of a worker, by request and by worker; empty if its environment stays as it is.
    pub(crate) fn variables(&self, request: usize, worker: usize) -> Vec<(String, String)> {
        let Some(devices) = &self.workers[request][worker] else { return Vec::new() };
        let ids: Vec<_> = devices.iter().map(|&index| &*self.gpus.devices[index].id).collect();
        let ids = ids.join(",");
        let visible = VISIBLE.map(|name| (name.to_owned(), ids.clone()));
        visible.into_iter().chain([(ORDER.0.to_owned(), ORDER.1.to_owned())]).collect()
    }

    /// Returns the GPUs of a request's workers, by index, each once.
    fn devices(&self, request: usize) -> Vec<usize> {
        let mut devices: Vec<_> = self.workers[request].iter().flatten().flatten().copied().collect();
        devices.sort_unstable();
        devices.dedup();
        devices
    }

    /// Reads the state of the GPUs of a request's workers.
    pub(crate) fn read(&self, request: usize) -> Vec<GpuReading> {
        self.gpus.read(self.devices(request))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.gpus.lock().release(&self.taken);
    }
}

#[cfg(test)]
mod tests;
