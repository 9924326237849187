//! The log of the host.

use super::abi;

const fn number_of(level: log::Level) -> u32 {
    match level {
        log::Level::Trace => 0,
        log::Level::Debug => 1,
        log::Level::Info => 2,
        log::Level::Warn => 3,
        log::Level::Error => 4,
    }
}

/// Sends the lines of the `log` macros to the host, which filters them by its own level.
pub(crate) fn install() {
    struct Logger;

    impl log::Log for Logger {
        /// A host that does not tell its level gets every line.
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            let mut least = 0;
            // SAFETY: the pointer is valid for the call.
            let status = unsafe { abi::proxy_get_log_level(&raw mut least) };
            status != 0 || number_of(metadata.level()) >= least
        }

        fn log(&self, record: &log::Record<'_>) {
            let line = record.args().to_string();
            // SAFETY: the slice is valid for the call.
            let _ = unsafe { abi::proxy_log(number_of(record.level()), line.as_ptr(), line.len()) };
        }

        fn flush(&self) {}
    }

    // A second VM start in one instance would find the logger already there, which is as good.
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}
