//! Metrics as OpenMetrics text, written by the `prometheus-client` crate.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::{Kind, MetricFamily, Metrics, SampleValue};

impl fmt::Display for Metrics {
    /// The text, with `# EOF` at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        text::encode(f, &registry)
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = self.families.iter();
        families.try_for_each(|family| encode_family(&mut encoder, family))
    }
}

/// The name as the encoder wants it, which puts the unit and `_total` behind it.
pub(super) fn name_and_unit(family: &MetricFamily) -> (&'static str, Option<Unit>) {
    let name = family.name.strip_suffix("_total").unwrap_or(family.name);
    for unit in [Unit::Seconds, Unit::Bytes] {
        let stem = name.strip_suffix(unit.as_str());
        if let Some(stem) = stem.and_then(|stem| stem.strip_suffix('_')) {
            return (stem, Some(unit));
        }
    }
    (name, None)
}

fn encode_family(encoder: &mut DescriptorEncoder<'_>, family: &MetricFamily) -> fmt::Result {
    let (name, unit) = name_and_unit(family);
    let kind = match family.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    let mut encoder = encoder.encode_descriptor(name, family.help, unit.as_ref(), kind)?;
    for sample in &family.samples {
        let mut encoder = encoder.encode_family(&sample.labels)?;
        match (&sample.value, family.kind) {
            (SampleValue::Whole { value }, Kind::Counter) => {
                encoder.encode_counter::<NoLabelSet, _, f64>(value, None)?;
            }
            (SampleValue::Real { value }, Kind::Counter) => {
                encoder.encode_counter::<NoLabelSet, _, f64>(value, None)?;
            }
            (SampleValue::Whole { value }, _) => encoder.encode_gauge(value)?,
            (SampleValue::Real { value }, _) => encoder.encode_gauge(value)?,
            (SampleValue::Ranges { count, sum, ranges }, _) => {
                let within: u64 = ranges.iter().map(|(_, count)| count).sum();
                let above = (f64::INFINITY, count.saturating_sub(within));
                let ranges: Vec<_> = ranges.iter().copied().chain([above]).collect();
                encoder.encode_histogram::<NoLabelSet>(*sum, *count, &ranges, None)?;
            }
        }
    }
    Ok(())
}
