//! Times of senders, in the format that a host accepts.

use alloc::string::String;

use crate::Request;

const SECONDS_OF_DAY: u32 = 86_400;
/// The number of days from 1 March of the year 0, where the count of days starts, to 1 January 1970.
const DAYS_BEFORE_1970: u32 = 719_468;
const DAYS_OF_400_YEARS: u32 = 146_097;

/// Returns the time at a pointer that is a number of seconds since 1970, or `None` if there is no such number.
pub fn unix_at(request: &impl Request, pointer: &str) -> Option<String> {
    request.json_at(pointer)?.parse().ok().map(from_unix)
}

/// Returns the RFC 3339 text of a number of seconds since 1970.
#[must_use]
pub fn from_unix(seconds: u32) -> String {
    // If a year starts in March, its leap day is at the end, so each month starts at the same day of every year.
    let days = seconds / SECONDS_OF_DAY + DAYS_BEFORE_1970;
    let day_of_era = days % DAYS_OF_400_YEARS;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + days / DAYS_OF_400_YEARS * 400 + u32::from(month <= 2);

    let time = seconds % SECONDS_OF_DAY;
    let fields = [
        year / 100,
        year % 100,
        month,
        day,
        time / 3600,
        time / 60 % 60,
        time % 60,
    ];
    let mut text = String::with_capacity(20);
    for (field, mark) in fields.iter().zip(["", "-", "-", "T", ":", ":", "Z"]) {
        text.push(digit(field / 10));
        text.push(digit(field % 10));
        text.push_str(mark);
    }
    text
}

fn digit(number: u32) -> char {
    char::from_digit(number, 10).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::from_unix;

    #[test]
    fn seconds_become_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (86_399, "1970-01-01T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_704_067_199, "2023-12-31T23:59:59Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_772_444_477, "2026-03-02T09:41:17Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u32::MAX, "2106-02-07T06:28:15Z"),
        ] {
            assert_eq!(from_unix(seconds), text);
        }
    }

    #[test]
    fn days_are_in_order() {
        let days: Vec<_> = (0..u32::MAX / 86_400)
            .map(|day| from_unix(day * 86_400))
            .collect();
        assert!(days.is_sorted() && days.iter().all(|day| crate::text::is_timestamp(day)));
        assert!(days.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
