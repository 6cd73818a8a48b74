//! `metrics`: what a state knows of itself, for Prometheus.

use clap::Args;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};

/// Arguments of `metrics`.
#[derive(Args)]
pub struct Metrics {}

impl Metrics {
    /// OpenMetrics text, or a JSON document a metric.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let metrics = host.metrics()?;
        if out.json() {
            let mut families = metrics.families().iter();
            families.try_for_each(|family| out.document(family))?;
            return Ok(Exit::Ok);
        }
        out.bytes(metrics.to_string().as_bytes())?;
        Ok(Exit::Ok)
    }
}
