//! The text formats of metrics.

use std::fmt::{self, Write as _};

use http::HeaderMap;
use http::header::ACCEPT;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The OpenMetrics text format, version 1.0.0.
    OpenMetrics,
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
}

impl Format {
    /// Returns the format of the answer to a request: OpenMetrics if the client names it, else the format that every
    /// client knows.
    #[must_use]
    pub fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).iter();
        let mut ranges = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        if ranges.any(accepts_open_metrics) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// Returns the media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Returns the metrics of a registry in this format.
    pub fn encode(self, registry: &Registry) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, registry)?;
        match self {
            Self::OpenMetrics => Ok(text),
            Self::Prometheus => prometheus(&text),
        }
    }
}

/// Returns whether a media range of an `Accept` header is that of OpenMetrics, with a weight other than zero
/// (RFC 9110 §12.5.1).
fn accepts_open_metrics(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let is_named = parts
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
    let is_refused = |parameter: &str| {
        let weight = parameter
            .split_once('=')
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        weight.is_some_and(|(_, weight)| weight.trim().parse() == Ok(0.0_f32))
    };
    is_named && !parts.any(is_refused)
}

/// Converts metrics from the OpenMetrics text format.
///
/// In OpenMetrics, the lines about a metric name it without the suffix of its samples. The older format has no suffixes,
/// fewer types, and neither units nor an end.
fn prometheus(open_metrics: &str) -> Result<String, fmt::Error> {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            // The type, which decides about the name, is in the next line.
            help = Some(described.split_once(' ').unwrap_or((described, "")));
        } else if let Some((name, kind)) = type_of(line) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            if let Some((_, help)) = help.take().filter(|(described, _)| *described == name) {
                writeln!(text, "# HELP {name}{suffix} {help}")?;
            }
            writeln!(text, "# TYPE {name}{suffix} {kind}")?;
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            writeln!(text, "{line}")?;
        }
    }
    Ok(text)
}

fn type_of(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("# TYPE ")?.split_once(' ')
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::Unit;

    use super::*;

    fn accepted(values: &[&'static str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, value.parse().unwrap());
        }
        Format::accepted(&headers)
    }

    #[test]
    fn open_metrics_is_for_clients_that_name_it() {
        for values in [
            &["application/openmetrics-text"][..],
            // Prometheus sends such a list.
            &[
                "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
            ],
            &["text/plain", "Application/OpenMetrics-Text; version=0.0.1"],
        ] {
            assert_eq!(accepted(values), Format::OpenMetrics, "{values:?}");
        }
        for values in [
            &[][..],
            &["*/*"],
            &["text/plain;version=0.0.4"],
            &["application/openmetrics-text; q=0, text/plain"],
            &["application/openmetrics-text;Q = 0.0"],
        ] {
            assert_eq!(accepted(values), Format::Prometheus, "{values:?}");
        }
    }

    #[test]
    fn both_formats_have_the_same_samples() {
        let mut registry = Registry::default();
        let counter = Family::<Vec<(String, String)>, Counter>::default();
        registry.register("calls", "Calls # TYPE calls", counter.clone());
        let pair = ("kind".to_owned(), "# EOF".to_owned());
        counter.get_or_create(&vec![pair]).inc_by(2);
        registry.register("in_flight", "In flight", Gauge::<i64>::default());
        let histogram = Histogram::new([0.5]);
        histogram.observe(0.25);
        registry.register_with_unit("duration", "Duration", Unit::Seconds, histogram);
        registry.register("build", "Build", Info::new(vec![("version", "1")]));

        let open = Format::OpenMetrics.encode(&registry).unwrap();
        assert!(open.contains("# TYPE calls counter\n") && open.ends_with("# EOF\n"));
        let expected = r##"# HELP calls_total Calls # TYPE calls.
# TYPE calls_total counter
calls_total{kind="# EOF"} 2
# HELP in_flight In flight.
# TYPE in_flight gauge
in_flight 0
# HELP duration_seconds Duration.
# TYPE duration_seconds histogram
duration_seconds_sum 0.25
duration_seconds_count 1
duration_seconds_bucket{le="0.5"} 1
duration_seconds_bucket{le="+Inf"} 1
# HELP build_info Build.
# TYPE build_info gauge
build_info{version="1"} 1
"##;
        assert_eq!(Format::Prometheus.encode(&registry).unwrap(), expected);
    }
}
