//! AWS's names as Rust's, one rule for all.

/// Names in which a capital does not begin a word.
const EXCEPTIONS: &[(&str, &str)] = &[("dynamoDBv2", "dynamo_dbv2")];

/// `RegisterCACertificate` becomes `register_ca_certificate`.
pub fn snake(name: &str) -> String {
    if let Some((_, snake)) = EXCEPTIONS.iter().find(|(exception, _)| *exception == name) {
        return (*snake).to_owned();
    }
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at)).copied();
        let after = letters.get(at + 1).copied();
        let begins_word = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                !before.is_ascii_uppercase() || after.is_some_and(|after| after.is_ascii_lowercase())
            });
        match letter {
            '-' | '.' => snake.push('_'),
            _ if begins_word && before != Some('-') => snake.extend(['_', letter.to_ascii_lowercase()]),
            _ => snake.push(letter.to_ascii_lowercase()),
        }
    }
    snake
}

/// A field or function: `snake`, raw where Rust has taken the word.
pub fn identifier(name: &str) -> String {
    let snake = snake(name);
    match snake.as_str() {
        "const" | "enum" | "in" | "match" | "mod" | "ref" | "static" | "type" | "use" | "where" => format!("r#{snake}"),
        _ => snake,
    }
}

/// What serde's `rename_all` makes of a field.
pub fn pascal(snake: &str) -> String {
    snake
        .split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
        })
        .collect()
}

pub fn camel(snake: &str) -> String {
    let pascal = pascal(snake);
    let mut letters = pascal.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::{camel, pascal, snake};

    #[test]
    fn words_are_found() {
        for (name, expected) in [
            ("RegisterCACertificate", "register_ca_certificate"),
            ("ListCACertificates", "list_ca_certificates"),
            ("certificateId", "certificate_id"),
            ("KMSKeyArn", "kms_key_arn"),
            ("sqsURL", "sqs_url"),
            ("dynamoDBv2", "dynamo_dbv2"),
            ("S3Bucket", "s3_bucket"),
            ("Type", "type"),
            ("OAuth", "o_auth"),
        ] {
            assert_eq!(snake(name), expected);
        }
        assert_eq!(pascal("function_name"), "FunctionName");
        assert_eq!(camel("ca_certificate_id"), "caCertificateId");
    }
}
