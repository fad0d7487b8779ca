//! The structure of `src`, as ARCHITECTURE.md states it: ranks without cycles, and what is contained where.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A module imports only from lower ranks.
const RANKS: [(&str, u8); 30] = [
    ("id", 0),
    ("model", 0),
    ("pattern", 0),
    ("percent", 0),
    ("quiet", 0),
    ("report", 0),
    ("say", 0),
    ("signal", 0),
    ("sync", 0),
    ("clock", 1),
    ("context", 1),
    ("error", 1),
    ("id_generator", 1),
    ("problem", 1),
    ("proto", 1),
    ("rate", 1),
    ("stats", 1),
    ("config", 2),
    ("queue", 2),
    ("redaction", 2),
    ("resource", 2),
    ("sampler", 2),
    ("cgroup", 3),
    ("env", 3),
    ("export", 3),
    ("layer", 3),
    ("bridge", 4),
    ("pipeline", 5),
    ("testing", 5),
    ("lib", 6),
];

/// What may be named only in these modules.
const CONTAINED: [(&[&str], &[&str]); 5] = [
    (
        &["tracing_core::", "tracing_subscriber::", "tracing::"],
        &["layer", "bridge", "pipeline"],
    ),
    (
        &[
            "tokio::",
            "h2::",
            "rustls",
            "socket2::",
            "http::",
            "http_body::",
            "hyper",
        ],
        &["export"],
    ),
    (&["std::sync::atomic", "crossbeam_queue::"], &["sync"]),
    (
        &[
            "opentelemetry::",
            "opentelemetry_0_32::",
            "opentelemetry_sdk::",
            "tracing_opentelemetry::",
            "tracing_opentelemetry_0_33::",
        ],
        &["bridge"],
    ),
    (&["prost::", "opentelemetry_proto::"], &[]),
];

/// A file that names what is contained elsewhere. The headers of a request are a carrier of contexts for whoever has the crate
/// `http`: there its traits are implemented, and nothing else is done with it.
const EXCEPTED: [(&str, &str); 1] = [("context/header_map.rs", "http::")];

const MOST_LINES: usize = 600;
const MOST_LINES_OF_A_FUNCTION: usize = 60;

/// A module's name, and the text of one of its files without comments and tests.
struct Source {
    module: String,
    path: PathBuf,
    code: String,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    assert!(files.len() > 30, "src was found and read");
    files.into_iter().map(|path| source(&src, path)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !path.ends_with("tests.rs")
        {
            files.push(path);
        }
    }
}

fn source(src: &Path, path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).unwrap();
    let first = path.strip_prefix(src).unwrap().components().next().unwrap();
    let module = Path::new(first.as_os_str())
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let own = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap()
        .split("#[cfg(all(test")
        .next()
        .unwrap();
    let code = own
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    Source {
        module,
        path,
        code,
        lines: text.lines().count(),
    }
}

fn rank(module: &str) -> u8 {
    let found = RANKS.iter().find(|(name, _)| *name == module);
    found
        .unwrap_or_else(|| {
            panic!("{module} has no rank: ARCHITECTURE.md and this table name every module")
        })
        .1
}

#[test]
fn modules_import_only_from_lower_ranks() {
    for Source {
        module, path, code, ..
    } in sources().iter().filter(|source| source.module != "lib")
    {
        for used in code.split("crate::").skip(1) {
            let used: String = used
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if used != *module && RANKS.iter().any(|(name, _)| *name == used) {
                assert!(
                    rank(&used) < rank(module),
                    "{} imports {used}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn what_is_contained_stays_where_it_belongs() {
    for Source {
        module, path, code, ..
    } in sources()
    {
        for (names, homes) in CONTAINED {
            if homes.contains(&module.as_str()) {
                continue;
            }
            for name in names {
                let is_it =
                    |(file, excepted): (&str, &str)| path.ends_with(file) && excepted == *name;
                if EXCEPTED.into_iter().any(is_it) {
                    continue;
                }
                let named = code.match_indices(name).any(|(at, _)| {
                    let before = code[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
                });
                assert!(
                    !named,
                    "{} names {name}, which belongs to {homes:?}",
                    path.display()
                );
            }
        }
    }
}

/// What `export` gives to the public is in two files, and those know no crate but `bytes`.
#[test]
fn the_public_api_names_no_foreign_type() {
    let sources = sources();
    let code = |file: &str| {
        &sources
            .iter()
            .find(|source| source.path.ends_with(file))
            .unwrap()
            .code
    };
    for line in code("export/mod.rs")
        .lines()
        .filter(|line| line.trim_start().starts_with("pub use"))
    {
        let is_known = line.contains("self::transport::") || line.contains("self::file::");
        assert!(is_known, "{line}");
    }
    for name in [
        "tokio",
        "tonic",
        "http",
        "hyper",
        "tower",
        "prost",
        "opentelemetry",
    ] {
        let named =
            |line: &str| line.contains(&format!("{name}::")) || line.contains(&format!("{name}_"));
        for file in ["export/transport.rs", "export/file/mod.rs"] {
            let line = code(file).lines().find(|line| named(line));
            assert_eq!(line, None, "{name} in the public API");
        }
    }
}

#[test]
fn files_and_functions_stay_small() {
    for Source {
        path, code, lines, ..
    } in sources()
    {
        assert!(lines <= MOST_LINES, "{} has {lines} lines", path.display());
        let mut open: BTreeMap<usize, (usize, String)> = BTreeMap::new();
        for (number, line) in code.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            if line.contains("fn ") && line.trim_end().ends_with(['{', '(', '>']) {
                open.insert(indent, (number, line.trim().to_owned()));
            }
            if line.trim_start().starts_with('}')
                && line.trim() == "}"
                && let Some((start, name)) = open.remove(&indent)
            {
                let length = number - start + 1;
                assert!(
                    length <= MOST_LINES_OF_A_FUNCTION,
                    "{}: {name} has {length} lines",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn nothing_in_the_crate_takes_the_host_down() {
    for Source { path, code, .. } in sources() {
        for word in [
            ".unwrap()",
            ".expect(",
            "panic!(",
            "unreachable!(",
            "todo!(",
            "println!(",
            "process::exit",
        ] {
            assert!(!code.contains(word), "{} contains {word}", path.display());
        }
    }
}
