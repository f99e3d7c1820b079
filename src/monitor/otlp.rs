//! Figures as OTLP/HTTP takes them, in protobuf: cumulative sums, gauges, and histograms with the bounds of all
//! other forms. Names and units are such that Prometheus makes of them the names that its endpoint has.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::{AsDouble, AsInt};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use percent_encoding::percent_decode_str;
use prost::Message as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::families::Kind;
use super::figures::{Figures, Series, Value};
use super::run::figures;
use crate::metrics::{BOUNDS_US, Buckets, Exposure};

/// A collector.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// Path included, without secrets.
    pub(super) uri: Uri,
    /// Marked as sensitive.
    headers: HeaderMap,
}

impl Otlp {
    /// Reads a URL and the further headers, if there are any, as OTEL_EXPORTER_OTLP_HEADERS has them
    /// (`key=value,…`, values percent-encoded); what is wrong with them, and the way out.
    pub fn new(url: &str, headers: Option<&SecretString>) -> Result<Self, String> {
        if url.contains(['@', '?']) {
            return Err(format!("a URL is no place for a secret\nhelp: {HEADERS}"));
        }
        let root = url.trim_end_matches('/').trim_end_matches("/v1/metrics");
        let uri: Option<Uri> = format!("{root}/v1/metrics").parse().ok();
        let usable = |uri: &Uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
        };
        let uri = uri.filter(usable).ok_or(FORM)?;
        let mut told = HeaderMap::new();
        for pair in headers
            .map_or("", |headers| headers.expose_secret())
            .split(',')
        {
            if pair.trim().is_empty() {
                continue;
            }
            let (name, value) = header(pair).ok_or_else(|| {
                format!(
                    "OTEL_EXPORTER_OTLP_HEADERS has something that is no header\nhelp: {HEADERS}"
                )
            })?;
            told.append(name, value);
        }
        Ok(Self { uri, headers: told })
    }

    /// What must not be shown, even if the server says it.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let values = self
            .headers
            .values()
            .filter_map(|value| value.to_str().ok());
        values.filter(|value| !value.is_empty()).collect()
    }

    /// A push of a state.
    pub(super) fn request(
        &self,
        state: &Exposure,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let setting = &state.setting;
        let nanos = |time: jiff::Timestamp| u64::try_from(time.as_nanosecond()).unwrap_or(0);
        let now = nanos(jiff::Timestamp::now());
        let times = Times {
            start: setting.started_at.parse().map_or(now, nanos),
            now,
        };
        let resource = [
            ("service.name", "fleetcall"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", &setting.started_at),
        ];
        let body = export(&figures(state), &resource, times).encode_to_vec();
        let mut request = Request::post(self.uri.clone()).body(Full::new(body.into()))?;
        *request.headers_mut() = self.headers.clone();
        let kind = HeaderValue::from_static(PROTOBUF);
        request.headers_mut().insert(CONTENT_TYPE, kind);
        Ok(request)
    }

    /// All points are taken when the server says so in OTLP's own words: 200 may be anybody's page. Why not, if
    /// that is other than the whole answer.
    pub(super) fn judge(status: StatusCode, body: &[u8]) -> Result<(), Option<String>> {
        if status != StatusCode::OK {
            return Err(None);
        }
        let answer = ExportMetricsServiceResponse::decode(body).map_err(|_| None)?;
        match answer.partial_success {
            Some(part) if part.rejected_data_points != 0 => Err(Some(format!(
                "{} points were rejected: {}",
                part.rejected_data_points, part.error_message
            ))),
            _ => Ok(()),
        }
    }
}

fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once('=')?;
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some((name.trim().parse().ok()?, value))
}

/// Nanoseconds since 1970.
#[derive(Clone, Copy)]
struct Times {
    /// Since when counters and histograms count.
    start: u64,
    now: u64,
}

fn export(
    figures: &Figures,
    resource: &[(&str, &str)],
    times: Times,
) -> ExportMetricsServiceRequest {
    let metrics = figures
        .series
        .iter()
        .filter(|series| !series.points.is_empty());
    let scope = InstrumentationScope {
        name: "fleetcall".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: resource.iter().copied().map(attribute).collect(),
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope),
                metrics: metrics
                    .map(|series| metric(series, &figures.common, times))
                    .collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

fn metric(series: &Series, common: &[(&'static str, String)], times: Times) -> Metric {
    let (mut numbers, mut histograms) = (Vec::new(), Vec::new());
    for point in &series.points {
        let common = common.iter().map(|(key, value)| (*key, value.as_str()));
        let attributes = common
            .chain(point.labels(series.family))
            .map(attribute)
            .collect();
        let value = match &point.value {
            Value::Histogram(buckets) => {
                histograms.push(histogram(buckets, attributes, times));
                continue;
            }
            Value::Count(count) => AsInt(i64::try_from(*count).unwrap_or(i64::MAX)),
            Value::Gauge(value) => AsDouble(*value),
        };
        numbers.push(NumberDataPoint {
            attributes,
            start_time_unix_nano: times.start,
            time_unix_nano: times.now,
            value: Some(value),
            ..NumberDataPoint::default()
        });
    }
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let data = match series.family.kind {
        Kind::Gauge => Data::Gauge(Gauge {
            data_points: numbers,
        }),
        Kind::Counter => Data::Sum(Sum {
            data_points: numbers,
            aggregation_temporality,
            is_monotonic: true,
        }),
        Kind::Histogram => Data::Histogram(Histogram {
            data_points: histograms,
            aggregation_temporality,
        }),
    };
    Metric {
        name: format!("fleetcall.{}", series.family.name),
        description: series.family.help.to_owned(),
        unit: if series.family.seconds { "s" } else { "" }.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn histogram(buckets: &Buckets, attributes: Vec<KeyValue>, times: Times) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        count: buckets.count(),
        sum: Some(buckets.sum_us / 1e6),
        bucket_counts: buckets.counts.to_vec(),
        explicit_bounds: BOUNDS_US.iter().map(|us| *us as f64 / 1e6).collect(),
        ..HistogramDataPoint::default()
    }
}

fn attribute((key, value): (&str, &str)) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

const PROTOBUF: &str = "application/x-protobuf";

const HEADERS: &str = "what lets a push in is in the environment variable OTEL_EXPORTER_OTLP_HEADERS, as \
    'authorization=Bearer%20TOKEN'";

const FORM: &str = "this is no address of a collector\n\
    help: write it as http://HOST:4318 or https://HOST; /v1/metrics follows by itself";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_metrics_follows_by_itself() {
        for url in [
            "http://h:4318",
            "http://h:4318/",
            "http://h:4318/v1/metrics",
        ] {
            let otlp = Otlp::new(url, None).expect(url);
            assert_eq!(otlp.uri, "http://h:4318/v1/metrics");
        }
        for url in [
            "",
            "h:4318",
            "grpc://h:4317",
            "http://h?key=hunter2",
            "http://me:hunter2@h",
        ] {
            let error = Otlp::new(url, None).expect_err(url);
            assert!(
                error.contains("\nhelp: ") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn headers_are_read_as_opentelemetry_has_them_and_not_shown() {
        let told = "authorization=Bearer%20hunter2, x-scope = a=b ,".into();
        let otlp = Otlp::new("http://h", Some(&told)).expect("two headers");
        assert_eq!(otlp.headers["authorization"], "Bearer hunter2");
        assert_eq!(otlp.headers["x-scope"], "a=b");
        assert!(!format!("{otlp:?}").contains("hunter2"));
        for wrong in ["hunter2", "a b=hunter2", "a=hunter2%0a"] {
            let error = Otlp::new("http://h", Some(&wrong.into())).expect_err(wrong);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_answer_counts_only_in_the_words_of_the_protocol() {
        assert!(Otlp::judge(StatusCode::OK, b"").is_ok());
        assert!(Otlp::judge(StatusCode::NO_CONTENT, b"").is_err());
        assert!(Otlp::judge(StatusCode::OK, b"<html>Please log in</html>").is_err());
    }
}
