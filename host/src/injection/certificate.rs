//! Certificates of the webhook's own authority. This module has neither a clock nor a client.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

/// The lifetime of a certificate.
const LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);
/// The age at which a certificate is renewed, two thirds of its lifetime. Renewal can then fail for months.
const RENEWAL_AGE: SignedDuration = SignedDuration::from_hours(243 * 24);
/// The difference of clocks that is tolerated between this machine and the API server.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(24);
/// The last line of a certificate in PEM.
const END: &str = "-----END CERTIFICATE-----";

/// The reason why a certificate cannot be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A name is not valid in a certificate, or no random numbers are available.
    #[error("cannot issue a certificate for the webhook")]
    Rcgen(#[from] rcgen::Error),
}

/// The certificate of the webhook, and the authorities that the API server trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// The authority that signed the certificate, and before the next renewal the previous authority, in PEM.
    pub(super) authorities: String,
    /// The certificate in PEM.
    pub(super) chain: String,
    /// The key of the certificate in PEM.
    pub(super) key: String,
    /// The names in the certificate.
    pub(super) names: Vec<String>,
    /// The time from which it is replaced.
    pub(super) renew_at: Timestamp,
}

impl Certificate {
    /// Issues a certificate with a new authority. The key of the authority is not kept: nobody can sign another
    /// certificate with it, and a renewal has a new authority.
    ///
    /// The authority of the certificate that is replaced stays trusted, because replicas use it until they have the new
    /// one.
    pub(super) fn issue(
        names: &[String],
        now: Timestamp,
        replaced: Option<&Self>,
    ) -> Result<Self, IssueError> {
        let mut authority = params(&[], now, "stoker-webhook-authority")?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let authority_pem = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let mut server = params(names, now, "stoker-webhook")?;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &issuer)?;
        let previous = replaced.and_then(|replaced| first(&replaced.authorities));
        Ok(Self {
            authorities: authority_pem + previous.unwrap_or_default(),
            chain: certificate.pem(),
            key: key.serialize_pem(),
            names: names.to_vec(),
            renew_at: now + RENEWAL_AGE,
        })
    }

    /// Returns whether the certificate can be used for these names, without a renewal.
    pub(super) fn is_current(&self, names: &[String], now: Timestamp) -> bool {
        self.names == names
            && now < self.renew_at
            && self.renew_at <= now + RENEWAL_AGE + CLOCK_SKEW
    }
}

/// Returns what the authority and the certificate have in common.
fn params(
    names: &[String],
    now: Timestamp,
    common_name: &str,
) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::new(names)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    // The clocks may differ, and rcgen takes days.
    let day = |time: Timestamp| {
        let date = time.to_zoned(TimeZone::UTC).date();
        let [month, day] = [date.month(), date.day()].map(i8::unsigned_abs);
        rcgen::date_time_ymd(date.year().into(), month, day)
    };
    params.not_before = day(now - CLOCK_SKEW);
    params.not_after = day(now + LIFETIME + CLOCK_SKEW);
    Ok(params)
}

/// Returns the first certificate of a text in PEM, with its last line.
fn first(text: &str) -> Option<&str> {
    let end = text.find(END)? + END.len();
    let rest = text.get(end..)?;
    let line_end = if rest.starts_with("\r\n") {
        2
    } else {
        usize::from(rest.starts_with('\n'))
    };
    text.get(..end + line_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "stoker-webhook-service.stoker-system.svc";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn issue(now: &str, replaced: Option<&Certificate>) -> Certificate {
        Certificate::issue(&[NAME.to_owned()], at(now), replaced).unwrap()
    }

    #[test]
    fn a_certificate_is_renewed_months_before_it_ends() {
        let certificate = issue("2026-11-26T12:00:00Z", None);
        let is_current = |now: &str| certificate.is_current(&[NAME.to_owned()], at(now));
        assert!(is_current("2026-11-26T12:00:00Z"));
        assert!(is_current("2027-07-27T11:59:59Z"));
        assert!(!is_current("2027-07-27T12:00:00Z"));
        // The clock that chose this time was wrong.
        assert!(!is_current("2020-01-01T00:00:00Z"));
    }

    #[test]
    fn a_certificate_with_other_names_is_replaced() {
        let now = at("2026-11-26T12:00:00Z");
        let certificate = issue("2026-11-26T12:00:00Z", None);
        assert!(!certificate.is_current(&["other.svc".to_owned()], now));
    }

    #[test]
    fn a_renewal_trusts_the_previous_authority_and_no_older_one() {
        let first = issue("2026-11-26T12:00:00Z", None);
        let second = issue("2027-07-27T12:00:00Z", Some(&first));
        let third = issue("2028-03-27T12:00:00Z", Some(&second));
        assert_eq!(first.authorities.matches(END).count(), 1);
        assert!(second.authorities.ends_with(&first.authorities));
        assert_eq!(third.authorities.matches(END).count(), 2);
        assert!(!third.authorities.contains(&first.authorities));
        assert_ne!(first.key, second.key);
    }

    #[test]
    fn a_name_that_is_no_dns_name_is_an_error() {
        let names = ["ä".to_owned()];
        assert!(Certificate::issue(&names, at("2026-11-26T12:00:00Z"), None).is_err());
    }
}
