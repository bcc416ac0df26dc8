//! A report as JSON (RFC 8460 §4.4).

use hikyaku_smtp_proto::date_time;
use serde::Serialize;
use std::net::IpAddr;

use super::result_type::ResultType;
use super::settings::TlsReports;
use super::tally::{DAY, Failure, Key, Kind, OfDomain, OfPolicy};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report<'a> {
    organization_name: &'a str,
    date_range: DateRange,
    contact_info: &'a str,
    report_id: &'a str,
    policies: Vec<Policy<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DateRange {
    start_datetime: String,
    end_datetime: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Policy<'a> {
    policy: Applied<'a>,
    summary: Summary,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failure_details: Vec<Details<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Applied<'a> {
    policy_type: Kind,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    policy_string: &'a [String],
    policy_domain: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    mx_host: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    total_successful_session_count: u64,
    total_failure_session_count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Details<'a> {
    result_type: ResultType,
    #[serde(skip_serializing_if = "Option::is_none")]
    sending_mta_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiving_mx_hostname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiving_ip: Option<IpAddr>,
    failed_session_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason_code: Option<&'a str>,
}

/// The first and the last second of a report's day, since 1970.
pub(super) fn range(key: &Key) -> (i64, i64) {
    (key.day * DAY, (key.day + 1) * DAY - 1)
}

/// Names a report. It is the same when the report is made once more, so that its recipient knows a repetition.
pub(super) fn report_id(key: &Key, reports: &TlsReports) -> String {
    let (from, _) = range(key);
    let date = date_time(from);
    let date = date.get(..10).unwrap_or_default();
    format!("{date}.{}@{}", key.domain, reports.submitter())
}

/// Writes a report.
///
/// # Errors
/// None: all of it can be written.
pub(super) fn write(
    key: &Key,
    counted: &OfDomain,
    reports: &TlsReports,
) -> serde_json::Result<Vec<u8>> {
    let (from, to) = range(key);
    serde_json::to_vec(&Report {
        organization_name: &reports.organization,
        date_range: DateRange {
            start_datetime: date_time(from),
            end_datetime: date_time(to),
        },
        contact_info: &reports.contact,
        report_id: &report_id(key, reports),
        policies: counted.policies.iter().map(policy).collect(),
    })
}

fn policy(one: &OfPolicy) -> Policy<'_> {
    Policy {
        policy: Applied {
            policy_type: one.policy.kind,
            policy_string: one.policy.lines(),
            policy_domain: &one.policy.domain,
            mx_host: &one.policy.hosts,
        },
        summary: Summary {
            total_successful_session_count: one.successes,
            total_failure_session_count: one.failures,
        },
        failure_details: one.details.iter().map(details).collect(),
    }
}

fn details((failure, count): &(Failure, u64)) -> Details<'_> {
    Details {
        result_type: failure.result,
        sending_mta_ip: failure.source,
        receiving_mx_hostname: failure.host.as_deref(),
        receiving_ip: failure.address,
        failed_session_count: *count,
        failure_reason_code: failure.reason.as_deref(),
    }
}
