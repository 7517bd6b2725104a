//! The end of the validity of a server's certificate, as a metric and in the log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use der::asn1::{GeneralizedTime, UtcTime};
use der::{Reader as _, SliceReader, Tag};
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// The first byte of the version of a certificate, which may be absent (RFC 5280, section 4.1).
const VERSION: u8 = 0xa0;

/// The end of a certificate in seconds since 1970, as a metric. There is no series while no certificate is in use, or if
/// its end cannot be read. Clones share the value.
#[derive(Debug, Clone)]
pub struct CertificateEnd(Arc<AtomicI64>);

impl Default for CertificateEnd {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MIN)))
    }
}

impl CertificateEnd {
    /// Registers the metric under a name.
    pub(crate) fn register(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        let end = self.clone();
        registry.register_collector(Box::new(Series { name, help, end }));
    }

    pub(super) fn set(&self, ends_at: Option<Timestamp>) {
        let seconds = ends_at.map_or(i64::MIN, Timestamp::as_second);
        self.0.store(seconds, Ordering::Relaxed);
    }
}

/// The series of the metric.
#[derive(Debug)]
struct Series {
    name: &'static str,
    help: &'static str,
    end: CertificateEnd,
}

impl Collector for Series {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let seconds = self.end.0.load(Ordering::Relaxed);
        if seconds == i64::MIN {
            return Ok(());
        }
        let kind = MetricType::Gauge;
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        metric.encode_gauge(&seconds)
    }
}

/// Returns the end of the validity of a certificate in DER. Returns `None` if it cannot be read.
pub(super) fn ends_at(certificate: &[u8]) -> Option<Timestamp> {
    let seconds = not_after(certificate).ok()?.as_secs();
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

fn not_after(certificate: &[u8]) -> der::Result<std::time::Duration> {
    let mut reader = SliceReader::new(certificate)?;
    reader.sequence(|certificate: &mut SliceReader<'_>| {
        let end = certificate.sequence(|fields: &mut SliceReader<'_>| {
            if fields.peek_byte() == Some(VERSION) {
                fields.tlv_bytes()?;
            }
            // The serial number, the algorithm of the signature, and the issuer.
            for _ in 0..3 {
                fields.tlv_bytes()?;
            }
            let end = fields.sequence(|validity: &mut SliceReader<'_>| {
                validity.tlv_bytes()?;
                Ok::<_, der::Error>(match Tag::peek(validity)? {
                    Tag::UtcTime => validity.decode::<UtcTime>()?.to_unix_duration(),
                    _ => validity.decode::<GeneralizedTime>()?.to_unix_duration(),
                })
            })?;
            fields.drain(fields.remaining_len())?;
            Ok::<_, der::Error>(end)
        })?;
        certificate.drain(certificate.remaining_len())?;
        Ok(end)
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_formats() {
        for (year, expected) in [
            (2024, "2024-03-01T00:00:00Z"),
            (2049, "2049-03-01T00:00:00Z"),
            (2050, "2050-03-01T00:00:00Z"),
        ] {
            let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.not_after = date_time_ymd(year, 3, 1);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let ends_at = ends_at(certificate.der()).unwrap();
            assert_eq!(ends_at.to_string(), expected);
        }
        for invalid in [&b""[..], b"x", &[0x30, 0x80], &[0x30, 2, 0x30, 0]] {
            assert_eq!(ends_at(invalid), None);
        }
    }

    #[test]
    fn there_is_a_series_while_there_is_a_certificate() {
        let mut registry = Registry::default();
        let end = CertificateEnd::default();
        end.register(registry.sub_registry_with_prefix("x"), "end", "End");
        let text = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        assert!(!text().contains("x_end"));
        end.set(Some(Timestamp::from_second(1_800_000_000).unwrap()));
        let line = "\nx_end 1800000000\n";
        assert!(text().contains(line), "{}", text());
        end.set(None);
        assert!(!text().contains("x_end"));
    }
}
