//! Reads Rust as text: what remains without comments, strings and test modules, and which paths it
//! names. No compiler: a path that a macro builds is not seen.
use std::collections::BTreeMap;

/// One file: the module that it is, and its text without comments, literals and `mod tests { … }`.
pub struct Source {
    pub module: String,
    pub code: String,
}

impl Source {
    /// `root` is the crate's `src`; `file` is relative to it: `actors/effects/pull.rs`.
    pub fn new(root: &str, file: &str, text: &str) -> Self {
        let parts = file.trim_end_matches(".rs").split('/');
        let parts: Vec<&str> = parts.filter(|part| !matches!(*part, "lib" | "main" | "mod")).collect();
        let module = std::iter::once(root).chain(parts).collect::<Vec<_>>().join("::");
        Self { module, code: without_test_modules(&without_comments_and_literals(text)) }
    }

    /// Every path that the code names, as far as its first part can be told: `crate::a::b`, `tokio::time`.
    pub fn paths(&self) -> Vec<String> {
        let uses = self.uses();
        let children = self.children();
        let mut paths: Vec<String> = uses.iter().map(|(_, path)| self.absolute(path, &children)).collect();
        let bound: BTreeMap<&str, String> =
            uses.iter().map(|(name, path)| (name.as_str(), self.absolute(path, &children))).collect();
        for path in inline_paths(&without_uses(&self.code)) {
            let (first, rest) = path.split_once("::").unwrap_or((&path, ""));
            paths.push(match bound.get(first) {
                Some(full) => format!("{full}::{rest}"),
                None => self.absolute(&path, &children),
            });
        }
        paths
    }

    fn absolute(&self, path: &str, children: &[String]) -> String {
        let mut module: Vec<&str> = self.module.split("::").collect();
        let mut parts: Vec<&str> = path.trim_start_matches("::").split("::").collect();
        match parts[0] {
            "crate" => module.truncate(1),
            "self" => {}
            "super" => {
                while parts.first() == Some(&"super") {
                    module.pop();
                    parts.remove(0);
                }
                return module.into_iter().chain(parts).collect::<Vec<_>>().join("::");
            }
            child if children.iter().any(|known| known == child) => {
                return module.into_iter().chain(parts).collect::<Vec<_>>().join("::");
            }
            _ => return parts.join("::"),
        }
        module.into_iter().chain(parts.into_iter().skip(1)).collect::<Vec<_>>().join("::")
    }

    /// Names of the modules declared here.
    fn children(&self) -> Vec<String> {
        let words = words(&self.code);
        words.windows(2).filter(|pair| pair[0] == "mod").map(|pair| pair[1].to_owned()).collect()
    }

    /// Each name that a `use` brings, with its path as written.
    fn uses(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for statement in use_statements(&self.code) {
            expand(statement, "", &mut found);
        }
        found
    }

    pub fn words(&self) -> Vec<&str> {
        words(&self.code)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn words(code: &str) -> Vec<&str> {
    code.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect()
}

/// The text between `use` and `;`, without blanks.
fn use_statements(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let begins = code[..at].chars().next_back().is_none_or(|before| !is_word(before));
        // `impl Trait + use<>` has no blank; `use ` inside a body is a statement like any other.
        if let (true, Some(end)) = (begins, code[at..].find(';')) {
            let statement = code[at + 4..at + end].split_whitespace().collect::<Vec<_>>().join(" ");
            found.push(statement.replace(" as ", "@").replace(' ', ""));
        }
    }
    found
}

fn without_uses(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::new();
    while let Some(at) = rest.find("use ") {
        let begins = rest[..at].chars().next_back().is_none_or(|before| !is_word(before));
        let end = if begins { rest[at..].find(';').map_or(rest.len(), |end| at + end) } else { at + 4 };
        kept.push_str(&rest[..if begins { at } else { end }]);
        rest = &rest[end..];
    }
    kept + rest
}

/// `a::{b, c as d}` becomes (b, a::b) and (d, a::c).
fn expand(tree: String, prefix: &str, found: &mut Vec<(String, String)>) {
    let Some(open) = tree.find('{') else {
        let (path, name) = match tree.split_once('@') {
            Some((path, name)) => (path.to_owned(), name.to_owned()),
            None => (tree.clone(), tree.rsplit("::").next().unwrap_or("").to_owned()),
        };
        let full = format!("{prefix}{path}");
        let full = full.trim_end_matches("::self").to_owned();
        let name = if name == "self" { full.rsplit("::").next().unwrap_or("").to_owned() } else { name };
        found.push((name, full));
        return;
    };
    let inner_prefix = format!("{prefix}{}", &tree[..open]);
    let inner = tree[open + 1..].strip_suffix('}').unwrap_or(&tree[open + 1..]);
    let (mut depth, mut from) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if from < at {
                    expand(inner[from..at].to_owned(), &inner_prefix, found);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

/// Every `a::b…` in code, without generics.
fn inline_paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    for c in code.chars().chain(['\n']) {
        if is_word(c) || c == ':' {
            current.push(c);
            continue;
        }
        let path = current.trim_matches(':');
        if path.contains("::") {
            found.push(path.to_owned());
        }
        current.clear();
    }
    found
}

/// Comments become blanks, literals become empty ones.
fn without_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut kept = String::new();
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let after_word = kept.chars().next_back().is_some_and(is_word);
        at += match rest {
            ['/', '/', ..] => until_line_end(rest),
            ['/', '*', ..] => block_comment(rest),
            ['"', ..] => string(rest, &mut kept),
            ['r', '"' | '#', ..] if !after_word => raw_string(rest, &mut kept),
            ['b', 'r', '"' | '#', ..] if !after_word => 1 + raw_string(&rest[1..], &mut kept),
            ['\'', '\\', ..] => 3 + rest[3..].iter().take_while(|c| **c != '\'').count(),
            ['\'', _, '\'', ..] => 2,
            [c, ..] => {
                kept.push(*c);
                1
            }
            [] => 1,
        };
    }
    kept
}

fn until_line_end(rest: &[char]) -> usize {
    rest.iter().take_while(|c| **c != '\n').count()
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(rest: &[char], kept: &mut String) -> usize {
    kept.push_str("\"\"");
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// `r"…"`, `r#"…"#`, or a raw identifier.
fn raw_string(rest: &[char], kept: &mut String) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        kept.push('r');
        return 1;
    }
    kept.push_str("\"\"");
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let from = 2 + hashes;
    let inside = rest[from..].windows(end.len()).position(|window| window == end);
    inside.map_or(rest.len(), |at| from + at + end.len())
}

/// Tests may name everything.
fn without_test_modules(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let item = &rest[at..];
        let semicolon = item.find(';').unwrap_or(item.len());
        let body = item.find('{').unwrap_or(item.len());
        let end = if semicolon < body { semicolon + 1 } else { closing(item, body) };
        rest = &item[end..];
    }
    kept + rest
}

fn closing(item: &str, from: usize) -> usize {
    let mut depth = 0;
    for (at, c) in item.char_indices().skip_while(|(at, _)| *at < from) {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    item.len()
}

#[test]
fn comments_literals_and_tests_are_no_code() {
    let text = r####"
        // crate::a
        /* crate::b /* crate::c */ crate::d */
        const S: &str = "crate::e \" crate::f";
        const R: &str = r##"crate::g "# crate::h"##;
        const C: [char; 3] = ['"', '\'', '\u{1f}'];
        fn f<'a>(x: &'a crate::kept::X) {}
        #[cfg(test)]
        mod tests { use crate::i; fn g() { crate::j::k() } }
        #[cfg(test)]
        use crate::l;
        struct Z(crate::kept::Y);
    "####;
    assert_eq!(Source::new("crate", "m.rs", text).paths(), ["crate::kept::X", "crate::kept::Y"]);
}

#[test]
fn every_way_to_name_a_module_is_found() {
    let text = "
        use super::{one, two::{self, three as drei}};
        pub(crate) use crate::four;
        mod child;
        use child::Five;
        fn f() { four::six(); drei::seven(); self::eight(); ::tokio::nine(); let x = <T as crate::ten::T>::g(); }
    ";
    let mut paths = Source::new("crate", "a/b.rs", text).paths();
    paths.sort();
    let wanted = [
        "crate::a::b::child::Five",
        "crate::a::b::eight",
        "crate::a::one",
        "crate::a::two",
        "crate::a::two::three",
        "crate::a::two::three::seven",
        "crate::four",
        "crate::four::six",
        "crate::ten::T",
        "tokio::nine",
    ];
    assert_eq!(paths, wanted);
}
