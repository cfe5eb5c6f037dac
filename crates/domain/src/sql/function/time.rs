//! `parse_time` and `time_to_epoch`: times as text, by patterns of letters. AWS takes Joda's letters for the one and the
//! JDK's for the other; names of months, days and halves of the day are English. A letter or a zone that is not known makes
//! the result Undefined.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use crate::sql::evaluation::Evaluation;
use crate::sql::number::Number;
use crate::sql::value::Value;

const PATTERN_BYTES_MAX: usize = 256;
const ZONE_BYTES_MAX: usize = 64;
/// Letters in a row, and so the digits of one field.
const RUN_MAX: usize = 19;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// Abbreviations that the time zone database does not have as names.
const ABBREVIATIONS: [(&str, &str); 6] = [
    ("CST", "America/Chicago"),
    ("CDT", "America/Chicago"),
    ("EDT", "America/New_York"),
    ("MDT", "America/Denver"),
    ("PST", "America/Los_Angeles"),
    ("PDT", "America/Los_Angeles"),
];

enum Part {
    /// A letter and how often it stands in a row.
    Field(char, usize),
    Text(String),
}

/// Letters are fields, what is in quotes or no letter stands for itself; a quote is doubled.
fn parts(pattern: &str) -> Option<Vec<Part>> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return None;
    }
    let mut parts = Vec::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' if letters.next_if_eq(&'\'').is_some() => parts.push(Part::Text("'".to_owned())),
            '\'' => {
                let mut text = String::new();
                loop {
                    match letters.next()? {
                        '\'' if letters.next_if_eq(&'\'').is_some() => text.push('\''),
                        '\'' => break,
                        letter => text.push(letter),
                    }
                }
                parts.push(Part::Text(text));
            }
            letter if letter.is_ascii_alphabetic() => {
                let mut count = 1;
                while letters.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                if count > RUN_MAX {
                    return None;
                }
                parts.push(Part::Field(letter, count));
            }
            letter => parts.push(Part::Text(letter.to_string())),
        }
    }
    Some(parts)
}

fn zone(name: &str) -> Option<TimeZone> {
    if name.len() > ZONE_BYTES_MAX {
        return None;
    }
    if let Some((_, name)) = ABBREVIATIONS.iter().find(|(abbreviation, _)| *abbreviation == name) {
        return TimeZone::get(name).ok();
    }
    if matches!(name, "Z" | "UT") {
        return Some(TimeZone::UTC);
    }
    let offset = ["UTC", "GMT", "UT"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    if let Some((seconds, "")) = offset_s(offset) {
        return Offset::from_seconds(seconds).ok().map(TimeZone::fixed);
    }
    TimeZone::get(name).ok()
}

/// `+1`, `+01`, `+0130`, `+01:30` and the like; the seconds, and what comes after.
fn offset_s(text: &str) -> Option<(i32, &str)> {
    let (sign, digits) = match text.chars().next()? {
        '+' => (1, text.get(1..)?),
        '-' => (-1, text.get(1..)?),
        _ => return None,
    };
    let number = |text: &str, count: usize| -> Option<i32> {
        let digits = text.get(..count).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse().ok()
    };
    let (hours, mut rest) = match number(digits, 2) {
        Some(hours) => (hours, digits.get(2..)?),
        None => (number(digits, 1)?, digits.get(1..)?),
    };
    let mut seconds = hours * 3600;
    for unit in [60, 1] {
        let unmarked = rest.strip_prefix(':').unwrap_or(rest);
        let Some(value) = number(unmarked, 2).filter(|value| *value < 60) else { break };
        seconds += value * unit;
        rest = unmarked.get(2..)?;
    }
    (hours <= 18).then_some((sign * seconds, rest))
}

pub(super) fn parse_time(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    formatted(evaluation, arguments).map_or(Value::Undefined, Value::Text)
}

fn formatted(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Option<String> {
    let (pattern, millis, name) = match arguments {
        [pattern, millis] => (pattern, millis, "UTC".to_owned()),
        [pattern, millis, name] => (pattern, millis, name.to_text()?),
        _ => return None,
    };
    let millis = super::int_argument(millis, evaluation.version())?;
    let at = Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok()?;
    let zone = zone(&name)?;
    let local = zone.to_datetime(at);
    let mut text = String::new();
    for part in parts(&pattern.to_text()?)? {
        match part {
            Part::Text(part) => text.push_str(&part),
            Part::Field(letter @ ('z' | 'Z'), count) => {
                let info = zone.to_offset_info(at);
                let seconds = info.offset().seconds();
                match (letter, count) {
                    ('z', _) => text.push_str(info.abbreviation()),
                    ('Z', 1 | 2) => {
                        let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs() / 60);
                        let colon = if count == 2 { ":" } else { "" };
                        text.push_str(&format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60));
                    }
                    _ => text.push_str(&name),
                }
            }
            Part::Field(letter, count) => text.push_str(&field(letter, count, local)?),
        }
    }
    Some(text)
}

/// One of Joda's fields.
fn field(letter: char, count: usize, at: DateTime) -> Option<String> {
    let number = |value: i64| Some(format!("{value:0count$}"));
    let name = |names: &[&str], index: i8| {
        let name = names.get(usize::try_from(index).ok()?)?;
        Some(if count >= 4 { (*name).to_owned() } else { name.get(..3)?.to_owned() })
    };
    // Joda's year of the era: 1 BC is the year before 1 AD.
    let year = i64::from(at.year());
    let year_of_era = if year > 0 { year } else { 1 - year };
    let week = at.date().iso_week_date();
    match letter {
        'G' => Some(if year > 0 { "AD" } else { "BC" }.to_owned()),
        'C' => number(year_of_era / 100),
        'Y' | 'y' if count == 2 => Some(format!("{:02}", year_of_era % 100)),
        'Y' => number(year_of_era),
        'y' => number(year),
        'x' if count == 2 => Some(format!("{:02}", week.year().rem_euclid(100))),
        'x' => number(week.year().into()),
        'w' => number(week.week().into()),
        'e' => number(at.weekday().to_monday_one_offset().into()),
        'E' => name(&DAYS, at.weekday().to_monday_zero_offset()),
        'D' => number(at.day_of_year().into()),
        'M' if count >= 3 => name(&MONTHS, at.month() - 1),
        'M' => number(at.month().into()),
        'd' => number(at.day().into()),
        'a' => Some(if at.hour() < 12 { "AM" } else { "PM" }.to_owned()),
        'K' => number((at.hour() % 12).into()),
        'h' => number(((at.hour() + 11) % 12 + 1).into()),
        'H' => number(at.hour().into()),
        'k' => number(((at.hour() + 23) % 24 + 1).into()),
        'm' => number(at.minute().into()),
        's' => number(at.second().into()),
        'S' => format!("{:09}0000000000", at.subsec_nanosecond()).get(..count).map(str::to_owned),
        _ => None,
    }
}

pub(super) fn time_to_epoch(_: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let [text, pattern] = arguments else { return Value::Undefined };
    let millis = match (text.to_text(), pattern.to_text()) {
        (Some(text), Some(pattern)) => Reading::of(&text, &pattern),
        _ => None,
    };
    millis.map_or(Value::Undefined, |millis| Value::Number(Number::Int(millis.into())))
}

/// What has been read of a text, by the JDK's letters.
#[derive(Default)]
struct Reading {
    year: Option<i64>,
    is_before_christ: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    hour_of_half: Option<i64>,
    is_afternoon: bool,
    minute: i64,
    second: i64,
    nanos: i64,
    zone: Option<TimeZone>,
}

impl Reading {
    /// Milliseconds since the epoch. Without a zone the text is in UTC, without a time at midnight.
    fn of(text: &str, pattern: &str) -> Option<i64> {
        let parts = parts(pattern)?;
        let mut reading = Self::default();
        let mut rest = text;
        for (at, part) in parts.iter().enumerate() {
            rest = match part {
                Part::Text(text) => rest.strip_prefix(text.as_str())?,
                Part::Field(letter, count) => {
                    let is_run =
                        matches!(parts.get(at + 1), Some(Part::Field(next, count)) if is_number(*next, *count));
                    reading.field(*letter, *count, is_run, rest)?
                }
            };
        }
        if !rest.is_empty() {
            return None;
        }
        reading.millis()
    }

    /// What comes after the field. `is_run`: a number follows at once, so that this one has as many digits as letters.
    fn field<'t>(&mut self, letter: char, count: usize, is_run: bool, rest: &'t str) -> Option<&'t str> {
        if is_number(letter, count) {
            let longest = match (letter, count) {
                ('y' | 'u', 2) => 2,
                ('y' | 'u', _) if !is_run => 9,
                (_, 1) if !is_run => RUN_MAX,
                _ => count,
            };
            let shortest = if count == 1 { 1 } else { count };
            let found = rest.bytes().take(longest).take_while(u8::is_ascii_digit).count();
            let digits = rest.get(..found).filter(|_| found >= shortest)?;
            self.number(letter, count, digits)?;
            return rest.get(found..);
        }
        let name = |names: &[&str]| -> Option<(i64, usize)> {
            let written = |name: &&str| if count >= 4 { name.len() } else { 3 };
            let fits =
                |name: &&&str| rest.get(..written(name)).is_some_and(|text| name.get(..written(name)) == Some(text));
            let found = names.iter().find(fits)?;
            let index = names.iter().position(|name| name == found)?;
            Some((i64::try_from(index).ok()?, written(found)))
        };
        let taken = match letter {
            'G' => {
                self.is_before_christ = rest.starts_with("BC");
                if !self.is_before_christ && !rest.starts_with("AD") {
                    return None;
                }
                2
            }
            'M' | 'L' => {
                let (month, taken) = name(&MONTHS)?;
                self.month = Some(month + 1);
                taken
            }
            'E' => name(&DAYS)?.1,
            'a' => {
                self.is_afternoon = rest.starts_with("PM");
                if !self.is_afternoon && !rest.starts_with("AM") {
                    return None;
                }
                2
            }
            'X' if rest.starts_with('Z') => {
                self.zone = Some(TimeZone::UTC);
                1
            }
            'X' | 'x' | 'Z' => {
                let (seconds, after) = offset_s(rest)?;
                self.zone = Some(TimeZone::fixed(Offset::from_seconds(seconds).ok()?));
                rest.len() - after.len()
            }
            'V' | 'z' | 'O' | 'v' => {
                let is_of_zone = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_+-:".contains(byte);
                let taken = rest.bytes().take_while(is_of_zone).count();
                self.zone = Some(zone(rest.get(..taken)?)?);
                taken
            }
            _ => return None,
        };
        rest.get(taken..)
    }

    fn number(&mut self, letter: char, count: usize, digits: &str) -> Option<()> {
        let value: i64 = digits.parse().ok()?;
        match letter {
            // The JDK's two-digit years are of this century.
            'y' | 'u' if count == 2 => self.year = Some(2000 + value),
            'y' | 'u' => self.year = Some(value),
            'M' | 'L' => self.month = Some(value),
            'd' => self.day = Some(value),
            'D' => self.day_of_year = Some(value),
            'H' => self.hour = Some(value),
            'k' => self.hour = Some(value % 24),
            'K' => self.hour_of_half = Some(value),
            'h' => self.hour_of_half = Some(value % 12),
            'm' => self.minute = value,
            's' => self.second = value,
            'S' => self.nanos = format!("{digits:0<9}").get(..9)?.parse().ok()?,
            'n' => self.nanos = value,
            _ => return None,
        }
        Some(())
    }

    fn millis(self) -> Option<i64> {
        let year = if self.is_before_christ { 1 - self.year? } else { self.year? };
        let year = i16::try_from(year).ok()?;
        let small = |value: i64| i8::try_from(value).ok();
        let date = match (self.month, self.day, self.day_of_year) {
            (Some(month), Some(day), _) => Date::new(year, small(month)?, small(day)?).ok()?,
            (_, _, Some(day)) => {
                let date = Date::new(year, 1, 1).ok()?;
                date.with().day_of_year(i16::try_from(day).ok()?).build().ok()?
            }
            _ => return None,
        };
        let hour = match (self.hour, self.hour_of_half) {
            (Some(hour), _) => hour,
            (None, Some(hour)) => hour + if self.is_afternoon { 12 } else { 0 },
            (None, None) => 0,
        };
        let nanos = i32::try_from(self.nanos).ok()?;
        let time = Time::new(small(hour)?, small(self.minute)?, small(self.second)?, nanos).ok()?;
        let zone = self.zone.unwrap_or(TimeZone::UTC);
        Some(zone.to_timestamp(DateTime::from_parts(date, time)).ok()?.as_millisecond())
    }
}

/// Whether a field of the JDK's is written in digits.
fn is_number(letter: char, count: usize) -> bool {
    match letter {
        'M' | 'L' => count <= 2,
        'y' | 'u' | 'd' | 'D' | 'H' | 'k' | 'K' | 'h' | 'm' | 's' | 'S' | 'n' => true,
        _ => false,
    }
}
