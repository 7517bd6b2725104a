//! Label selectors in both notations: `a=b,c!=d` and `a in (x,y),!b`.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

use crate::status::Failure;

/// All requirements must match. Without requirements, every object matches.
#[derive(Debug, Clone, Default)]
pub(crate) struct LabelSelector {
    requirements: Vec<(String, Test)>,
}

#[derive(Debug, Clone)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let mut reader = Reader {
            rest: text.chars().peekable(),
        };
        let mut requirements = Vec::new();
        reader.skip_space();
        while reader.rest.peek().is_some() {
            requirements.push(reader.requirement().map_err(|why| {
                Failure::bad_request(format!(
                    "unable to parse requirement: {why} in selector {text:?}"
                ))
            })?);
        }
        Ok(Self { requirements })
    }

    /// Reads a selector in the notation of objects: `matchLabels` and `matchExpressions`. An operator that is not known
    /// matches nothing.
    pub(crate) fn of_object(selector: &Value) -> Self {
        let mut requirements = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            requirements.push((key.clone(), Test::In(vec![value])));
        }
        for expression in selector["matchExpressions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let key = expression["key"].as_str().unwrap_or_default().to_owned();
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let test = match expression["operator"].as_str() {
                Some("Exists") => Test::Exists,
                Some("DoesNotExist") => Test::Absent,
                Some("NotIn") => Test::NotIn(values),
                Some("In") => Test::In(values),
                _ => Test::In(Vec::new()),
            };
            requirements.push((key, test));
        }
        Self { requirements }
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.requirements
            .iter()
            .all(|(key, test)| test.holds(labels[key.as_str()].as_str()))
    }
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|text| text.parse::<i64>().ok());
        match self {
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::In(known) => value.is_some_and(|text| known.iter().any(|one| one == text)),
            Self::NotIn(known) => value.is_none_or(|text| known.iter().all(|one| one != text)),
            Self::Greater(limit) => number().is_some_and(|found| found > *limit),
            Self::Less(limit) => number().is_some_and(|found| found < *limit),
        }
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        while self.rest.next_if(char::is_ascii_whitespace).is_some() {}
    }

    fn word(&mut self) -> String {
        self.skip_space();
        let mut word = String::new();
        while let Some(letter) = self
            .rest
            .next_if(|one| one.is_ascii_alphanumeric() || "-_./".contains(*one))
        {
            word.push(letter);
        }
        self.skip_space();
        word
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.rest.next_if_eq(&wanted).is_some();
        self.skip_space();
        found
    }

    fn requirement(&mut self) -> Result<(String, Test), String> {
        let absent = self.take('!');
        let key = self.word();
        if key.is_empty() {
            return Err(format!(
                "found '{}', expected: identifier",
                self.next_text()
            ));
        }
        let test = if absent { Test::Absent } else { self.test()? };
        if self.rest.peek().is_some() {
            if !self.take(',') {
                return Err(format!(
                    "found '{}', expected: ',' or 'end of string'",
                    self.next_text()
                ));
            }
            if self.rest.peek().is_none() {
                return Err("found '', expected: identifier after ','".to_owned());
            }
        }
        Ok((key, test))
    }

    fn test(&mut self) -> Result<Test, String> {
        match self.rest.peek() {
            None | Some(',') => return Ok(Test::Exists),
            Some('=') => {
                self.take('=');
                self.take('=');
                return Ok(Test::In(vec![self.word()]));
            }
            Some('!') => {
                self.take('!');
                return if self.take('=') {
                    Ok(Test::NotIn(vec![self.word()]))
                } else {
                    Err("found '!', expected: '!='".to_owned())
                };
            }
            Some('>') => {
                self.take('>');
                return self.number().map(Test::Greater);
            }
            Some('<') => {
                self.take('<');
                return self.number().map(Test::Less);
            }
            Some(_) => {}
        }
        match self.word().as_str() {
            "in" => self.values().map(Test::In),
            "notin" => self.values().map(Test::NotIn),
            other => Err(format!(
                "found '{other}', expected: in, notin, =, ==, !=, >, <"
            )),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let word = self.word();
        word.parse().map_err(|_| format!("{word:?} is no integer"))
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        if !self.take('(') {
            return Err(format!("found '{}', expected: '('", self.next_text()));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.word());
            if self.take(')') {
                return Ok(values);
            }
            if !self.take(',') {
                return Err(format!(
                    "found '{}', expected: ',' or ')'",
                    self.next_text()
                ));
            }
        }
    }

    fn next_text(&mut self) -> String {
        self.rest
            .peek()
            .map(ToString::to_string)
            .unwrap_or_default()
    }
}
