use alloc::string::String;

const SECONDS_OF_DAY: u64 = 86_400;
/// The first second of the year 9999: a time must stay in range in any time zone.
const END: u64 = 253_370_764_800;

/// Seconds since 1970 as RFC 3339 text.
pub(crate) fn from_unix(seconds: u64) -> Option<String> {
    if seconds >= END {
        return None;
    }
    let mut days = seconds / SECONDS_OF_DAY;
    let mut year = 1970;
    while days >= days_in_year(year) {
        days -= days_in_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_in_month(year, month) {
        days -= days_in_month(year, month);
        month += 1;
    }
    let time = seconds % SECONDS_OF_DAY;
    let mut text = String::with_capacity(20);
    push_two_digits(&mut text, year / 100);
    for (number, mark) in [
        (year % 100, '-'),
        (month, '-'),
        (days + 1, 'T'),
        (time / 3600, ':'),
        (time / 60 % 60, ':'),
        (time % 60, 'Z'),
    ] {
        push_two_digits(&mut text, number);
        text.push(mark);
    }
    Some(text)
}

fn push_two_digits(text: &mut String, number: u64) {
    text.extend([number / 10 % 10, number % 10].map(|digit| char::from(b'0' + digit as u8)));
}

fn days_in_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}
