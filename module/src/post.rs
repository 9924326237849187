//! Envoy's side of a configuration: its counters, its events on the main thread, and its calls to clusters.

use std::cell::Cell;

use keyswap_core::services::FetchRequest;
use keyswap_streams::{FAMILIES, GAUGE_LABEL, GAUGES, HostError, Metric, WATCHED};

use crate::abi::{self, Bytes, Envoy, Line, SUCCESS};
use crate::after::effective;

/// A configuration of Envoy's.
pub(crate) struct Post {
    configuration: Envoy,
    scheduler: Envoy,
    /// The counters by their families; `None` where Envoy refused one.
    counters: Vec<Option<usize>>,
    gauges: [Option<usize>; GAUGES.len()],
}

// SAFETY: events may be sent from any thread, and counters are counted from any. Calls are made on the main thread only,
// by the hooks that are for no stream.
unsafe impl Send for Post {}
// SAFETY: as above.
unsafe impl Sync for Post {}

impl Post {
    /// Prepares a configuration, in the hook that makes it.
    pub(crate) fn new(configuration: Envoy) -> Self {
        // SAFETY: Envoy handed the configuration over, and is not done with it.
        let scheduler =
            unsafe { abi::envoy_dynamic_module_callback_http_filter_config_scheduler_new(configuration) };
        let counter = |(family, labels): &(&str, &[&str])| define(configuration, family, labels, false);
        let gauge = |name: &str| define(configuration, name, &[GAUGE_LABEL], true);
        let (counters, gauges) = (FAMILIES.iter().map(counter).collect(), GAUGES.map(gauge));
        let post = Self { configuration, scheduler, counters, gauges };
        for metric in &WATCHED {
            post.count(metric, 0);
        }
        post
    }

    /// Has the hook for events called on the main thread.
    pub(crate) fn send(&self, event: u64) {
        use abi::envoy_dynamic_module_callback_http_filter_config_scheduler_commit as commit;
        // SAFETY: the scheduler lives as long as this value, and takes events from any thread.
        unsafe { commit(self.scheduler, event) };
    }

    /// Adds to a counter.
    pub(crate) fn count(&self, metric: &Metric<'_>, by: u64) {
        let Some(Some(id)) = self.counters.get(metric.family) else { return };
        let (_, labels) = metric.parts();
        let mut values = [Bytes::NONE; 3];
        let mut size = 0_usize;
        for (place, (_, value)) in values.iter_mut().zip(labels) {
            *place = Bytes::of(value.as_bytes());
            size = size.saturating_add(1);
        }
        let filter = effective();
        // SAFETY: the values are valid for the call. Where the hook is for no stream, it is one of this configuration.
        let _ = unsafe {
            if filter.is_null() {
                abi::envoy_dynamic_module_callback_http_filter_config_increment_counter(
                    self.configuration,
                    *id,
                    values.as_mut_ptr(),
                    size,
                    by,
                )
            } else {
                abi::envoy_dynamic_module_callback_http_filter_increment_counter(
                    filter,
                    *id,
                    values.as_mut_ptr(),
                    size,
                    by,
                )
            }
        };
    }

    /// Sets the gauges of an issuer.
    pub(crate) fn set_gauges(&self, issuer: &str, values: [u64; GAUGES.len()]) {
        let filter = effective();
        for (id, value) in self.gauges.iter().zip(values) {
            let Some(id) = *id else { continue };
            let mut label = Bytes::of(issuer.as_bytes());
            // SAFETY: as for counters.
            let _ = unsafe {
                if filter.is_null() {
                    abi::envoy_dynamic_module_callback_http_filter_config_set_gauge(
                        self.configuration,
                        id,
                        &raw mut label,
                        1,
                        value,
                    )
                } else {
                    abi::envoy_dynamic_module_callback_http_filter_set_gauge(
                        filter,
                        id,
                        &raw mut label,
                        1,
                        value,
                    )
                }
            };
        }
    }

    /// Makes a call, on the main thread. Returns its number among those of the configuration.
    pub(crate) fn call(&self, request: &FetchRequest) -> Result<u64, HostError> {
        let lines = request.headers.iter();
        let mut lines: Vec<Line> =
            lines.map(|(name, value)| Line::of(name.as_bytes(), value.as_bytes())).collect();
        let body = request.body.as_ref().map_or(Bytes::NONE, |body| Bytes::of(body));
        let mut number = 0;
        // SAFETY: the hook is one of this configuration's, and what is shown is valid for the call.
        let status = unsafe {
            abi::envoy_dynamic_module_callback_http_filter_config_http_callout(
                self.configuration,
                &raw mut number,
                Bytes::of(request.cluster.as_bytes()),
                lines.as_mut_ptr(),
                lines.len(),
                body,
                u64::try_from(request.timeout.as_millis()).unwrap_or(u64::MAX),
            )
        };
        if status == SUCCESS { Ok(number) } else { Err(HostError::Status("http_callout", status)) }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        // SAFETY: nothing sends events any more.
        unsafe { abi::envoy_dynamic_module_callback_http_filter_config_scheduler_delete(self.scheduler) };
    }
}

/// Defines a counter or a gauge. Its labels have the names that the rules of `stats_tags` give to those of the filter.
fn define(configuration: Envoy, family: &str, labels: &[&str], is_gauge: bool) -> Option<usize> {
    let name = format!("keyswap.{family}");
    let labels: Vec<String> = labels.iter().map(|label| format!("keyswap_{label}")).collect();
    let mut shown: Vec<Bytes> = labels.iter().map(|label| Bytes::of(label.as_bytes())).collect();
    let mut id = 0;
    // SAFETY: Envoy handed the configuration over in this hook, and what is shown is valid for the call.
    let status = unsafe {
        let define = if is_gauge {
            abi::envoy_dynamic_module_callback_http_filter_config_define_gauge
        } else {
            abi::envoy_dynamic_module_callback_http_filter_config_define_counter
        };
        define(configuration, Bytes::of(name.as_bytes()), shown.as_mut_ptr(), shown.len(), &raw mut id)
    };
    (status == SUCCESS).then_some(id)
}

/// The name of a stream: how it is woken.
pub(crate) struct Waker {
    filter: Envoy,
    scheduler: Cell<Envoy>,
}

impl Waker {
    pub(crate) const fn new(filter: Envoy) -> Self {
        Self { filter, scheduler: Cell::new(std::ptr::null_mut()) }
    }

    /// Prepares the stream for being woken, in a hook of its own.
    pub(crate) fn prepare(&self) {
        if self.scheduler.get().is_null() {
            // SAFETY: the hook is one of this stream's.
            self.scheduler
                .set(unsafe { abi::envoy_dynamic_module_callback_http_filter_scheduler_new(self.filter) });
        }
    }

    /// Has the stream's hook for events called on its thread.
    pub(crate) fn wake(&self) {
        let scheduler = self.scheduler.get();
        if !scheduler.is_null() {
            // SAFETY: the scheduler lives as long as this value, and takes events from any thread.
            unsafe { abi::envoy_dynamic_module_callback_http_filter_scheduler_commit(scheduler, 0) };
        }
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        let scheduler = self.scheduler.get();
        if !scheduler.is_null() {
            // SAFETY: nothing wakes the stream any more.
            unsafe { abi::envoy_dynamic_module_callback_http_filter_scheduler_delete(scheduler) };
        }
    }
}
