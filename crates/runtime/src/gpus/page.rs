//! The metrics of all GPUs. They are of the machine, not of one version.

use super::{GpuReading, Gpus};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use std::{fmt, sync::Arc};

/// A metric with one value for each GPU.
struct Column {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    of: fn(&GpuReading) -> Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    gpu: String,
    name: String,
}

/// Reads the GPUs when metrics are read.
#[derive(Debug)]
struct Reader(Arc<Gpus>);

impl Gpus {
    /// Returns the metrics of all GPUs.
    pub(crate) fn metrics(self: &Arc<Self>) -> Registry {
        let mut registry = Registry::with_prefix("krt");
        registry.register_collector(Box::new(Reader(Arc::clone(self))));
        registry
    }
}

fn columns() -> [Column; 4] {
    [
        Column {
            name: "gpu_workers",
            help: "Workers that have a GPU",
            unit: None,
            of: |gpu| Some(gpu.workers as f64),
        },
        Column {
            name: "gpu_memory_used",
            help: "Memory in use on a GPU, by all processes",
            unit: Some(Unit::Bytes),
            of: |gpu| gpu.memory.map(|(used, _)| used as f64),
        },
        Column {
            name: "gpu_memory",
            help: "Memory of a GPU",
            unit: Some(Unit::Bytes),
            of: |gpu| gpu.memory.map(|(_, all)| all as f64),
        },
        Column {
            name: "gpu_utilization_ratio",
            help: "Part of the last moments in which a GPU worked",
            unit: None,
            of: |gpu| gpu.utilization,
        },
    ]
}

impl Collector for Reader {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        write(&self.0.read(0..self.0.count()), &mut encoder)
    }
}

/// Writes each column that has a value.
fn write(readings: &[GpuReading], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for Column { name, help, unit, of } in columns() {
        let values: Vec<_> = readings.iter().filter_map(|gpu| Some((gpu, of(gpu)?))).collect();
        if values.is_empty() {
            continue;
        }
        let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (gpu, value) in values {
            let labels = Labels { gpu: gpu.id.clone(), name: gpu.name.clone().unwrap_or_default() };
            ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text;
    use std::{collections::BTreeSet, fs, path::Path};

    /// GPUs whose state a test chooses.
    #[derive(Debug)]
    struct Fixed(Vec<GpuReading>);

    impl Collector for Fixed {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
            write(&self.0, &mut encoder)
        }
    }

    fn page(gpus: Vec<GpuReading>) -> String {
        let mut registry = Registry::with_prefix("krt");
        registry.register_collector(Box::new(Fixed(gpus)));
        let mut page = String::new();
        text::encode_registry(&mut page, &registry).unwrap();
        page
    }

    fn gpu(memory: Option<(u64, u64)>, utilization: Option<f64>) -> GpuReading {
        GpuReading { id: "0".to_owned(), name: None, workers: 2, memory, utilization }
    }

    #[test]
    fn the_docs_have_every_metric() {
        let page = page(vec![gpu(Some((1, 2)), Some(0.5))]);
        let made: BTreeSet<_> =
            page.lines().filter_map(|line| line.split_once('{')).map(|(name, _)| name).collect();
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
        let docs = fs::read_to_string(docs).unwrap();
        let described =
            docs.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | gauge | `gpu`, `name`"));
        assert_eq!(made, described.map(|(name, _)| name).collect());
        assert_eq!(made.len(), columns().len());
    }

    #[test]
    fn what_is_not_known_is_absent() {
        let page = page(vec![gpu(None, None)]);
        let samples: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(samples, ["krt_gpu_workers{gpu=\"0\",name=\"\"} 2.0"]);
        assert_eq!(self::page(Vec::new()), "");
    }
}
