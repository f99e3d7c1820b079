//! Our statistics against those of others: scipy's and numpy's.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;

use fleetcall::statistics::{Figure, Samples, Scale, a12, contrast, holm, t_quantile, t_tail};
use serde_json::{Value, json};

use crate::support::{python, root};
use crate::undisturbed;

/// What `tests/peers/statistics_peer.py` makes of the same input.
fn peer(input: &Value) -> Value {
    let mut command = python();
    command.arg(root().join("tests/peers/statistics_peer.py"));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "is numpy there? run scripts/peers");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn counted(samples: &[u64]) -> Vec<(u64, u64)> {
    let mut counts = BTreeMap::new();
    for value in samples {
        *counts.entry(*value).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

/// Samples of 40 cells, a wave on top; the same each time.
fn made(seed: u64) -> Vec<Vec<u64>> {
    let mut state = seed;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let cells = (0..40u64).map(|cell| {
        (0..25)
            .map(|_| 50_000 + next() % 30_000 + (cell % 8) * 1_500)
            .collect()
    });
    cells.collect()
}

fn close(ours: f64, theirs: &Value, share: f64, what: &str) {
    let theirs = theirs.as_f64().unwrap();
    assert!(
        (ours - theirs).abs() <= share * theirs.abs().max(1e-12),
        "{what}: {ours} and {theirs}"
    );
}

#[test]
fn distribution_correction_and_effect_size_are_those_of_scipy() {
    let _machine = undisturbed();
    let points = [
        (0.975, 1.0),
        (0.975, 7.5),
        (0.9995, 4.0),
        (0.8, 30.0),
        (0.02, 12.0),
    ];
    let p = [0.001, 0.2, 0.013, 0.04, 0.9, 0.0004];
    let (one, two) = (made(1).concat(), made(2).concat());
    let told = peer(&json!({"t": points, "p": p, "one": one, "two": two}));
    for (at, (p, df)) in points.into_iter().enumerate() {
        close(t_quantile(p, df), &told["t"][at], 1e-8, "t");
        close(t_tail(t_quantile(p, df), df), &json!(1.0 - p), 1e-8, "tail");
    }
    for (at, adjusted) in holm(&p).into_iter().enumerate() {
        close(adjusted, &told["holm"][at], 1e-12, "Holm");
    }
    close(
        a12(&counted(&one), &counted(&two)).unwrap(),
        &told["a12"],
        1e-12,
        "A12",
    );
}

#[test]
fn the_noise_within_runs_is_what_another_block_bootstrap_finds() {
    let _machine = undisturbed();
    let (one, two) = (made(3), made(4));
    let samples = |cells: &[Vec<u64>]| Samples::new(&[cells.iter().map(|c| counted(c)).collect()]);
    let sides = [samples(&one), samples(&two)];
    let figures = [
        Figure::Quantile(&sides[0], 0.5),
        Figure::Quantile(&sides[1], 0.5),
    ];
    let found = contrast(figures, Scale::LogRatio, true, 4_000, 9).unwrap();
    let told = peer(&json!({"cells": [one, two], "block": found.spread.block}));
    close(found.effect, &told["effect"], 1e-9, "effect");
    // Ours is corrected for few blocks, and for what blocks lose at their ends.
    let blocks = found.spread.cells as f64 / found.spread.block as f64;
    let plain = (found.spread.within.unwrap() * (blocks - 1.0) / blocks).sqrt();
    let theirs = told["error"].as_f64().unwrap();
    assert!(
        (0.9..1.8).contains(&(plain / theirs)),
        "{plain} and {theirs}"
    );
}
