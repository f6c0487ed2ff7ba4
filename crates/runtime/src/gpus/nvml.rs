//! NVIDIA's management library (NVML), which the driver installs. It is loaded at run time.

use super::Device;
use nvml_wrapper::{Nvml as Library, error::NvmlError};
use std::ffi::OsStr;

/// The library's name as the driver installs it. The one without a version belongs to development packages.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// The loaded library.
#[derive(Debug)]
pub(super) struct Nvml(Library);

/// The load of a GPU, as far as it can be read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    /// Bytes in use, and all.
    pub(super) memory: Option<(u64, u64)>,
    /// 0 to 1.
    pub(super) utilization: Option<f64>,
}

impl Nvml {
    /// Loads the library; `None` on machines without the driver.
    pub(super) fn load() -> Option<Self> {
        match Library::builder().lib_path(OsStr::new(LIBRARY)).init() {
            Ok(library) => Some(Self(library)),
            Err(NvmlError::LibloadingError(error)) => {
                tracing::debug!("no NVIDIA driver: {error}");
                None
            }
            Err(error) => {
                tracing::warn!("the NVIDIA driver cannot be used: {error}");
                None
            }
        }
    }

    /// Lists the GPUs, in the library's order; the parts of those that are divided (MIG), instead of them.
    pub(super) fn devices(&self) -> Vec<Device> {
        let count = self.0.device_count().unwrap_or_else(|error| {
            tracing::warn!("the NVIDIA driver lists no GPUs: {error}");
            0
        });
        let mut devices = Vec::new();
        for index in 0..count {
            match self.device(index) {
                Ok(found) => devices.extend(found),
                Err(error) => tracing::warn!("GPU {index} cannot be used: {error}"),
            }
        }
        devices
    }

    fn device(&self, index: u32) -> Result<Vec<Device>, NvmlError> {
        let device = self.0.device_by_index(index)?;
        let name = device.name().ok();
        // Only some GPUs can be divided, and older drivers do not know of it.
        let parts = device.mig_device_count().unwrap_or(0);
        let parts = (0..parts).filter_map(|part| device.mig_device_by_index(part).ok()?.uuid().ok());
        let mut uuids: Vec<_> = parts.collect();
        if uuids.is_empty() {
            uuids.push(device.uuid()?);
        }
        let found = |uuid: String| Device { id: uuid.clone(), uuid: Some(uuid), name: name.clone() };
        Ok(uuids.into_iter().map(found).collect())
    }

    /// Reads the load of a GPU.
    pub(super) fn load_of(&self, uuid: &str) -> Load {
        let Ok(device) = self.0.device_by_uuid(uuid) else { return Load::default() };
        let utilization = device.utilization_rates().ok();
        Load {
            memory: device.memory_info().ok().map(|memory| (memory.used, memory.total)),
            utilization: utilization.map(|rates| f64::from(rates.gpu.min(100)) / 100.0),
        }
    }
}
