//! Reports as readers that are not ours have them.

use std::path::Path;

use serde_json::Value;

use super::{python, root, succeed};

/// A report as a validating reader of its format has it.
pub(crate) fn validated(kind: &str, path: &Path) -> Value {
    let mut command = python();
    command
        .arg(root().join("tests/peers/valid.py"))
        .arg(kind)
        .arg(path);
    serde_json::from_slice(&succeed(&mut command).stdout).unwrap()
}

/// What is in a tree of XML below an element of this tag: attributes and texts.
pub(crate) fn all_of<'t>(tree: &'t Value, tag: &str, found: &mut Vec<&'t Value>) {
    if tree[0] == tag {
        found.push(tree);
    }
    for child in tree[3].as_array().unwrap() {
        all_of(child, tag, found);
    }
}

/// What a script of `tests/peers/` says of a file.
pub(crate) fn told_by(script: &str, file: &Path) -> Value {
    let mut command = python();
    command
        .arg(root().join("tests/peers").join(script))
        .arg(file);
    serde_json::from_slice(&succeed(&mut command).stdout).unwrap()
}

/// What holds for every `report.html` that `browser.py` saw: it draws, loads nothing and says nothing on the console.
pub(crate) fn assert_calm(seen: &Value) {
    assert_eq!(seen["faults"], Value::Array(Vec::new()));
    for view in ["light", "dark", "narrow", "plain"] {
        let seen = &seen[view];
        assert_eq!(seen["said"], Value::Array(Vec::new()), "{view}");
        assert_eq!(seen["asked"], Value::Array(Vec::new()), "{view}");
        assert_eq!(seen["wide"], false, "{view}");
        let charts = seen["charts"].as_u64().unwrap();
        assert!(charts > 4, "{view}: {charts}");
        let (canvases, pictures) = if view == "plain" {
            (0, charts)
        } else {
            (charts, 0)
        };
        assert_eq!(seen["canvases"], canvases, "{view}");
        assert_eq!(seen["pictures"], pictures, "{view}");
        if view != "plain" {
            assert_ne!(seen["toggled"], seen["background"], "{view}");
            assert_eq!(seen["redrawn"], charts, "{view}");
        }
    }
    assert_eq!(seen["light"]["toggled"], seen["dark"]["background"]);
}
