//! Metrics: what the parts of an open state know of themselves, under the names of one table.
//!
//! `table` has the names, `collect` reads the parts, `text` writes OpenMetrics. Collecting counts
//! nothing itself and stops nobody; what cannot be read has no sample and a line in the log, never a
//! made-up value.

mod collect;
mod table;
mod text;

use serde::{Serialize, Serializer};
use statekeep_core::{HistogramCounts, Result};

use self::table::{Family, Metric, TABLE};
use crate::Host;

/// The metrics of an open state at one moment. Shown as OpenMetrics text; as JSON, each family is an
/// object of its own.
#[derive(Clone, Debug)]
pub struct Metrics {
    state_id: String,
    families: Vec<MetricFamily>,
}

/// A metric with its samples, of which a metric without labels has at most one.
#[derive(Clone, Debug, Serialize)]
pub struct MetricFamily {
    /// Its name, as Prometheus stores it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it means.
    pub help: &'static str,
    /// Its values.
    pub samples: Vec<Sample>,
}

/// What a metric is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Only rises, and starts again at 0.
    Counter,
    /// A value of this moment.
    Gauge,
    /// Observations by range.
    Histogram,
}

/// A value under labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// Names and values; `state_id` is the first.
    #[serde(serialize_with = "as_map")]
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    #[serde(flatten)]
    pub value: SampleValue,
}

/// The value of a sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum SampleValue {
    /// A whole number.
    Whole {
        /// The number.
        value: u64,
    },
    /// Any other number.
    Real {
        /// The number.
        value: f64,
    },
    /// Observations.
    Ranges {
        /// How many there were.
        count: u64,
        /// Their sum.
        sum: f64,
        /// The upper end of each range, and the observations in it alone; those above all ranges are
        /// in `count` only.
        ranges: Vec<(f64, u64)>,
    },
}

impl From<u64> for SampleValue {
    fn from(value: u64) -> SampleValue {
        SampleValue::Whole { value }
    }
}

impl From<bool> for SampleValue {
    fn from(value: bool) -> SampleValue {
        u64::from(value).into()
    }
}

impl From<f64> for SampleValue {
    fn from(value: f64) -> SampleValue {
        SampleValue::Real { value }
    }
}

fn as_map<S: Serializer>(
    labels: &[(&'static str, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter().map(|(name, value)| (name, value)))
}

impl Metrics {
    /// Every metric without a sample.
    fn new(state_id: String) -> Metrics {
        let family = |family: &Family| MetricFamily {
            name: family.name,
            kind: family.kind,
            help: family.help,
            samples: Vec::new(),
        };
        Metrics {
            state_id,
            families: TABLE.iter().map(family).collect(),
        }
    }

    /// Adds a sample; `labels` are the values of the labels that the table names.
    fn put(&mut self, metric: Metric, labels: &[&str], value: impl Into<SampleValue>) {
        let known = TABLE.get(metric as usize);
        let Some((family, known)) = self.families.get_mut(metric as usize).zip(known) else {
            return;
        };
        let own = known.labels.iter().zip(labels);
        let own = own.map(|(name, value)| (*name, (*value).to_owned()));
        let state = ("state_id", self.state_id.clone());
        family.samples.push(Sample {
            labels: std::iter::once(state).chain(own).collect(),
            value: value.into(),
        });
    }

    /// Adds a histogram; `per_unit` of what it observed are one of the metric's unit.
    fn put_histogram(&mut self, metric: Metric, observed: &HistogramCounts, per_unit: f64) {
        let bounds = observed.bounds.iter().map(|bound| *bound as f64 / per_unit);
        let value = SampleValue::Ranges {
            count: observed.counts.iter().sum(),
            sum: observed.sum as f64 / per_unit,
            ranges: bounds.zip(observed.counts.iter().copied()).collect(),
        };
        self.put(metric, &[], value);
    }

    /// All metrics in the order of their table, also those that have no sample now.
    pub fn families(&self) -> &[MetricFamily] {
        &self.families
    }

    /// Says that the state takes no more writes, for a cause that it does not know itself.
    pub fn set_poisoned(&mut self) {
        if let Some(family) = self.families.get_mut(Metric::Poisoned as usize) {
            family.samples.clear();
        }
        self.put(Metric::Poisoned, &[], true);
    }
}

impl Host {
    /// The metrics of the state, its backups and its plugins now. Counters start again at 0 when the
    /// state is opened, those of the cache also when it is restored, swapped or undone. Reads the
    /// sizes of the state's files and the manifests of all backups.
    ///
    /// # Errors
    /// `Closed`.
    pub fn metrics(&self) -> Result<Metrics> {
        let mut metrics = Metrics::new(self.manager.state_id());
        collect::state(self, &mut metrics)?;
        collect::backups(self, &mut metrics);
        collect::schedule(self, &mut metrics);
        collect::monitor(self, &mut metrics);
        collect::plugins(self, &mut metrics);
        Ok(metrics)
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
