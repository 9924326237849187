//! The bench: every set-up works as described, and every table is measured. The figures are not checked.

#![cfg(target_os = "linux")]

use std::{sync::atomic::AtomicBool, time::Duration};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    bench::{self, COMPONENT_SET_UPS, GATEWAY_SET_UPS, Kind, Plan, SET_UPS, Watch},
    figures::{Metric, Report, Table, document, targets},
};

fn quick(tables: &[Kind]) -> Result<Report> {
    let plan = Plan {
        rounds: 1,
        slice: Duration::from_millis(50),
        rate: Some(200),
        set_ups: Vec::new(),
        former: None,
        tables: tables.to_vec(),
        quick: true,
    };
    let measured = bench::run(&plan, &mut Watch::new(&mut |_, _| {}, &AtomicBool::default()))?;
    measured.failure.map_or(Ok(measured.report), Err)
}

/// Ensures that every row has positive samples of these metrics.
fn has(table: &Table, metrics: &[Metric]) -> Result<()> {
    for row in &table.rows {
        for metric in metrics {
            let samples =
                row.samples.get(metric).with_context(|| format!("no {metric:?} of {}", row.set_up))?;
            ensure!(!samples.is_empty() && samples.iter().all(|sample| *sample > 0.0), "{metric:?}: {row:?}");
        }
    }
    Ok(())
}

#[test]
fn every_set_up_does_what_it_is_said_to_do_and_is_measured() -> Result<()> {
    let report = quick(&[Kind::SetUps])?;
    let table = report.table("set-ups").context("there is no table of set-ups")?;
    let measured: Vec<&str> = table.rows.iter().map(|row| row.set_up.as_str()).collect();
    ensure!(measured == SET_UPS.map(|set_up| set_up.name), "measured were {measured:?}");
    has(table, &[Metric::ProcessorMicros, Metric::P50Micros, Metric::P99Micros, Metric::MemoryMegabytes])?;
    // The report has the figures of these targets.
    ensure!(targets(&report).len() == 30, "{:#?}", targets(&report));
    let text = document(&report);
    ensure!(text.contains("A quick run: these figures say nothing"), "{text}");
    ensure!(SET_UPS.iter().all(|set_up| text.contains(set_up.title)), "{text}");
    Ok(())
}

#[test]
fn the_component_is_measured_beside_one_that_only_forwards() -> Result<()> {
    let report = quick(&[Kind::Component])?;
    let table = report.table("component").context("there is no table of the component")?;
    let measured: Vec<&str> = table.rows.iter().map(|row| row.set_up.as_str()).collect();
    ensure!(measured == COMPONENT_SET_UPS.map(|set_up| set_up.name), "measured were {measured:?}");
    has(table, &[Metric::ProcessorMicros, Metric::MemoryMegabytes])?;
    // Without the table of set-ups the speed of the machine is unknown.
    ensure!(targets(&report).len() == 2, "{:#?}", targets(&report));
    let text = document(&report);
    ensure!(COMPONENT_SET_UPS.iter().all(|set_up| text.contains(set_up.title)), "{text}");
    Ok(())
}

#[test]
fn other_gateways_do_the_same_job_and_are_measured() -> Result<()> {
    let report = quick(&[Kind::Gateways])?;
    let table = report.table("gateways").context("there is no table of gateways")?;
    let measured: Vec<&str> = table.rows.iter().map(|row| row.set_up.as_str()).collect();
    ensure!(measured == GATEWAY_SET_UPS.map(|set_up| set_up.name), "measured were {measured:?}");
    // The slowest may answer no request in a quick run's window.
    has(table, &[Metric::ProcessorMicros, Metric::MemoryMegabytes])?;
    ensure!(targets(&report).len() == 2, "{:#?}", targets(&report));
    let text = document(&report);
    ensure!(GATEWAY_SET_UPS.iter().all(|set_up| text.contains(set_up.title)), "{text}");
    Ok(())
}

#[test]
fn every_table_of_growth_is_measured() -> Result<()> {
    let report = quick(&[Kind::Tokens, Kind::Workers, Kind::Bodies, Kind::Streams, Kind::Memory])?;
    for (name, rows, metric) in [
        ("tokens", 8, Metric::ProcessorMicros),
        ("workers", 6, Metric::RequestsPerSecond),
        ("bodies", 20, Metric::ProcessorMicros),
        ("streams", 5, Metric::EventMicros),
        ("memory", 3, Metric::MemoryMegabytes),
    ] {
        let table = report.table(name).with_context(|| format!("there is no table `{name}`"))?;
        ensure!(table.rows.len() == rows, "{name}: {table:?}");
        has(table, &[metric])?;
    }
    ensure!(targets(&report).len() == 6, "{:#?}", targets(&report));
    // A report that is written and read again is unchanged.
    let again: Report = serde_json::from_str(&report.to_json()?)?;
    ensure!(document(&again) == document(&report));
    Ok(())
}
