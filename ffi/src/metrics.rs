//! The metrics of an open state as OpenMetrics text.

use statekeep_plugin_api::Status;

use crate::buf::Buf;
use crate::error::Error;
use crate::guard::guard;
use crate::manager::Manager;
use crate::report;

/// The metrics of the state, its backups and its plugins now, as OpenMetrics text that Prometheus
/// reads; the names are those of docs/metrics.md. Counters start again at 0 when the state is opened. It
/// looks at the sizes of the state's files and reads the manifests of its backups. PERMISSION_DENIED
/// for a handle that is bound to a tenant: it concerns all of them. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_metrics_text(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::text(manager, out, |manager| {
            let lease = manager.whole("reading the metrics")?;
            let mut metrics = lease.host().metrics()?;
            if lease.health().is_poisoned() {
                metrics.set_poisoned();
            }
            Ok(metrics.to_string())
        })
    })
}
