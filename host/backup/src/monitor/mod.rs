//! What operators want to know of a state's backups: what they take and for whom, which alerts hold, and
//! what happens, as events.

mod alerts;
mod apart;
mod facts;
mod forecast;
mod rules;
mod storage;
mod survey;
mod tell;
mod watch;

pub use alerts::{Alert, AlertConfig, AlertFacts, AlertRule, DiskFacts, Severity};
pub use apart::{Apart, disks_of, look_apart};
pub use forecast::{
    Ahead, FORECAST_DAYS, FORECAST_POINTS_MAX, FORECAST_POINTS_MIN, FORECAST_SPAN_MS_MIN, Forecast,
    ForecastBackup, ForecastInput, Growth, Reach, forecast, growth,
};
pub use rules::alerts;
pub use storage::{
    AGES, AgeStorage, BackupStorage, ChainStorage, FolderStorage, ScopeStorage, SeriesStorage,
    StorageReport, Stored,
};
pub use tell::CleanupStatus;
pub use watch::{Monitor, Observed};
