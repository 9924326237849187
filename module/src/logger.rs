//! The lines of the `log` macros, in Envoy's log.

use crate::calls;

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        calls::is_logged(number(metadata.level()))
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = number(record.level());
        if calls::is_logged(level) {
            calls::log(level, &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

const fn number(level: log::Level) -> u32 {
    match level {
        log::Level::Trace => 0,
        log::Level::Debug => 1,
        log::Level::Info => 2,
        log::Level::Warn => 3,
        log::Level::Error => 4,
    }
}

/// Sends all lines to Envoy. A logger that is there already is this one.
pub(crate) fn install() {
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}
