//! Which worker gets which GPU.

use super::Request;
use krt_model::version::{Gpu, GpuNeed};
use std::cmp::Reverse;

/// A whole GPU: the least common multiple of 1 to [`Gpu::MAX_SHARE`], so that every share is a whole number.
pub(super) const WHOLE: u64 = 144_403_552_893_600;

/// What is left of each GPU.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    /// By device: the part that is free, up to [`WHOLE`].
    pub(super) free: Vec<u64>,
    /// By device: the workers that have it.
    pub(super) workers: Vec<usize>,
}

/// By request, then by worker: the indices of its devices. An empty list hides every GPU; `None` leaves the worker's
/// environment as it is.
type Placements = Vec<Vec<Option<Vec<usize>>>>;

impl Pool {
    pub(super) fn new(devices: usize) -> Self {
        Self { free: vec![WHOLE; devices], workers: vec![0; devices] }
    }

    /// Places the workers of all requests, and returns what was taken. If one of them cannot be placed, takes nothing
    /// and returns its request's index.
    ///
    /// Requests that need the most of a GPU come first, and optional ones last. Workers that share spread over the
    /// GPUs.
    pub(super) fn place(
        &mut self,
        requests: &[Request<'_>],
    ) -> Result<(Placements, Vec<(usize, u64)>), usize> {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&index| {
            let Gpu { count, share, need } = requests[index].gpu;
            (need == GpuNeed::Optional, share, Reverse(count))
        });
        let mut left = self.clone();
        let mut placed: Placements = vec![Vec::new(); requests.len()];
        let mut taken = Vec::new();
        for index in order {
            let Request { gpu, workers, .. } = requests[index];
            for _ in 0..workers {
                let devices = match (left.take(gpu), gpu.need) {
                    (Some(devices), _) => {
                        taken.extend(devices.iter().map(|&device| (device, part(gpu))));
                        Some(devices)
                    }
                    (None, GpuNeed::Optional | GpuNeed::RequiredIfAny) if self.free.is_empty() => None,
                    (None, GpuNeed::Optional) => Some(Vec::new()),
                    (None, GpuNeed::Required | GpuNeed::RequiredIfAny) => return Err(index),
                };
                placed[index].push(devices);
            }
        }
        *self = left;
        Ok((placed, taken))
    }

    /// Takes the devices of one worker: those with the most left.
    fn take(&mut self, gpu: Gpu) -> Option<Vec<usize>> {
        let (part, count) = (part(gpu), usize::from(gpu.count));
        let mut found: Vec<usize> =
            (0..self.free.len()).filter(|&device| self.free[device] >= part).collect();
        found.sort_by_key(|&device| Reverse(self.free[device]));
        found.truncate(count);
        if found.len() < count {
            return None;
        }
        found.sort_unstable();
        for &device in &found {
            self.free[device] -= part;
            self.workers[device] += 1;
        }
        Some(found)
    }

    /// Returns what [`Pool::place`] took.
    pub(super) fn release(&mut self, taken: &[(usize, u64)]) {
        for &(device, part) in taken {
            self.free[device] += part;
            self.workers[device] -= 1;
        }
    }
}

/// The part of a GPU that one worker takes.
fn part(gpu: Gpu) -> u64 {
    WHOLE / u64::from(gpu.share)
}
